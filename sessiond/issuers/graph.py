"""Asks Microsoft Graph for the groups that a token leaves out, where there are too many for it.

learn.microsoft.com/graph/api/directoryobject-checkmembergroups: at most 20 ids a request, of which
those come back that the user is in, through other groups too. Our own client asks, with application
permissions. Which groups a user is in beside those that have a role is not asked.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import anyio

from sessiond.core.errors import (
    ClientRefused,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.granted import Granted
from sessiond.core.jsontext import read_object
from sessiond.core.principal import Principal
from sessiond.core.printable import seen
from sessiond.core.secret import Secret
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.issuers.own_token import OwnToken

NAME = "Microsoft Graph"  # to operators; no [[role_source]] can have a blank in its name
MOST_IDS = 20  # of one request
PERMISSIONS = "User.ReadBasic.All and GroupMember.Read.All"
_OID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")  # learn.microsoft.com/graph/errors


class GraphGroups:
    """A RoleSource (sessiond.api) that says, in place of roles, which of some groups a user is in.

    Where a token says that Graph is does not matter: this asks the one that is configured.
    """

    def __init__(
        self, *, http: IssuerHttp, token: OwnToken, endpoint: str, groups: Collection[str]
    ) -> None:
        """Ask nothing yet.

        Args:
            http: Asks Graph and the token endpoint; closed by `stop`.
            token: Our client's, for Graph.
            endpoint: Graph's URL, without version and without a slash at its end.
            groups: Object ids, in lower case.
        """
        self._http = http
        self._token = token
        self._users = f"{endpoint}/v1.0/users"
        ids = sorted(groups)
        self._parts = [ids[start : start + MOST_IDS] for start in range(0, len(ids), MOST_IDS)]

    async def roles(self, principal: Principal, *, now: datetime) -> Granted:
        """Return the ids of the groups that the user is in, in lower case; see `RoleSource`."""
        if not _OID.fullmatch(principal.subject):
            raise TokenRejected(
                Refusal.MALFORMED,
                f"oid is {seen(principal.subject)}, wanted the user's object id, by which Graph is "
                "asked for his groups: see subject_claim",
            )
        url = f"{self._users}/{principal.subject.lower()}/checkMemberGroups"
        outcomes: list[Collection[str] | TokenRejected | IssuerUnavailable] = []

        async def check(part: Sequence[str]) -> None:
            try:
                outcomes.append(await self._check(url, part))
            except (TokenRejected, IssuerUnavailable) as fault:
                outcomes.append(fault)
                tasks.cancel_scope.cancel()  # one part that is not known is enough

        async with anyio.create_task_group() as tasks:
            for part in self._parts:
                tasks.start_soon(check, part)
        return Granted(roles=_together(outcomes))

    def stop(self) -> None:
        """Close the connections."""
        self._http.close()

    async def _check(self, url: str, ids: Sequence[str]) -> Collection[str]:
        """Return which of these groups the user is in."""
        token = await self._token.get()
        reply = await self._post(url, ids, token)
        if reply.status == 401:  # revoked, or its key withdrawn: another may be taken
            reply = await self._post(url, ids, await self._token.get(refused=token))
        if reply.status != 200:
            raise _fault(reply)
        return _groups_in(reply).intersection(ids)

    async def _post(self, url: str, ids: Sequence[str], token: Secret) -> Reply:
        headers = {"authorization": f"Bearer {token.reveal()}"}
        return await self._http.post_json(url, {"groupIds": ids}, headers=headers)


def _together(
    outcomes: Iterable[Collection[str] | TokenRejected | IssuerUnavailable],
) -> Collection[str]:
    found: set[str] = set()
    for outcome in outcomes:
        if isinstance(outcome, TokenRejected | IssuerUnavailable):
            raise outcome
        found.update(outcome)
    return found


def _groups_in(reply: Reply) -> set[str]:
    """Return the ids in Graph's answer, all of it."""
    answer = reply.read()
    value = answer.get("value")
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise reply.trouble(
            f"Graph's answer has as value {seen(value)}, wanted a list of group ids: see "
            "graph_endpoint"
        )
    if "@odata.nextLink" in answer:
        raise reply.trouble(
            "Graph's answer goes on elsewhere (@odata.nextLink), wanted all of it: see "
            "graph_endpoint"
        )
    return {each.lower() for each in value}


def _fault(reply: Reply) -> TokenRejected | UnusableAnswer:
    """Return what an answer other than 200 amounts to. Graph's code alone decides and is shown."""
    code = _code_of(reply)
    saw = f"Graph answered {reply.status} ({code or 'no code'}) to checkMemberGroups"
    if reply.status == 404 and code == "Request_ResourceNotFound":
        return TokenRejected(
            Refusal.NOROLES,
            f"groups overage: {saw}, wanted the user's groups: see whether the tenant still has "
            "the user whose oid the token states",
        )
    if reply.status == 401:
        return ClientRefused(
            f"{saw}: it does not take our client's token, wanted 200: see that graph_endpoint is "
            "of the issuer's cloud"
        )
    if reply.status == 403:
        return ClientRefused(
            f"{saw}: our client may not ask, wanted 200: give it the application permissions "
            f"{PERMISSIONS} of Microsoft Graph, with the administrator's consent"
        )
    return reply.trouble(f"{saw}, wanted 200: see graph_endpoint")


def _code_of(reply: Reply) -> str:
    error = (read_object(reply.body) or {}).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
