"""Gets tokens for data sources from a token endpoint, by each of the grants that a source may have.

RFC 6749, 4.4 (client credentials), 4.3 (password) and 6 (refresh token); RFC 8693 (token exchange)
on behalf of a user, at Microsoft Entra its own: learn.microsoft.com/entra/identity-platform/
v2-oauth2-on-behalf-of-flow.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sessiond.core.errors import RefreshRefused, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client
from sessiond.issuers.discovery import Place
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.issuers.token_endpoint import (
    FINAL,
    NO_BEARER,
    OURS,
    guards_fault,
    said_of,
    tokens_of,
)
from sessiond.refresher import Tokens
from sessiond.sources.source_client import SourceRefused

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - RFC 8693, 3
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693, 2.1
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523, 2.1
# The issuer's own trouble, whatever its status: nothing was refused.
_TRANSIENT = ("server_error", "temporarily_unavailable", "slow_down")
_WORDS = {
    **OURS,
    "unauthorized_client": "it does not let this client use this grant",
    "invalid_scope": "it does not take scope",
    "invalid_target": "it does not know resource or audience",
    "invalid_resource": "it does not know what scope is for",
    "unsupported_grant_type": "it does not have this grant",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who signs in by the password grant."""

    name: str
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a source asks for; empty text is not sent."""

    scope: str = ""
    resource: str = ""  # RFC 8707
    audience: str = ""  # RFC 8693, 2.1

    @property
    def form(self) -> dict[str, str]:
        fields = {"scope": self.scope, "resource": self.resource, "audience": self.audience}
        return {name: value for name, value in fields.items() if value}


class SourceTokens:
    """A SourceClient (sessiond.sources)."""

    def __init__(
        self,
        *,
        http: IssuerHttp,
        place: Callable[[], Awaitable[Place]],
        client: Client,
        wanted: Wanted,
        at: str,
        user: User | None = None,
        is_entra: bool = False,
    ) -> None:
        """Ask nothing yet.

        Args:
            http: Asks the issuer.
            place: Says where its token endpoint is, or raises IssuerUnavailable.
            client: Whose tokens these are.
            wanted: What they are for.
            at: The issuer, or the endpoint where there is none, as configured.
            user: Who signs in, where a password is the grant.
            is_entra: A user's token is handed on in Entra's way.
        """
        self._http = http
        self._place = place
        self._client = client
        self._wanted = wanted
        self._user = user
        self._is_entra = is_entra
        self.identity = f"{client.id} at {at}"

    async def fetch(self) -> Tokens:
        """Return a token; see `sessiond.sources.source_client.SourceClient`."""
        if self._user is None:
            form = {"grant_type": "client_credentials"}
        else:
            form = {
                "grant_type": "password",
                "username": self._user.name,
                "password": self._user.password.reveal(),
            }
        return await self._granted({**form, **self._wanted.form})

    async def refresh(self, token: Secret) -> Tokens:
        """Spend a refresh token; see `sessiond.sources.source_client.SourceClient`."""
        asked = {"scope": self._wanted.scope, "resource": self._wanted.resource}
        form = {name: value for name, value in asked.items() if value}
        reply = await self._post(
            {"grant_type": "refresh_token", "refresh_token": token.reveal(), **form},
            is_repeatable=False,
        )
        if reply.status != 200:
            error = reply.read().get("error")
            if error in tuple(FINAL) and guards_fault(reply) is None:
                raise RefreshRefused(str(error), said=said_of(reply.read()))
            raise _fault(reply)
        return _tokens(reply)

    async def exchange(self, subject: Secret) -> Tokens:
        """Hand a user's token on; see `sessiond.sources.source_client.SourceClient`."""
        if self._is_entra:
            form = {
                "grant_type": JWT_BEARER,
                "assertion": subject.reveal(),
                "requested_token_use": "on_behalf_of",
            }
        else:
            form = {
                "grant_type": EXCHANGE,
                "subject_token": subject.reveal(),
                "subject_token_type": ACCESS_TOKEN,
                "requested_token_type": ACCESS_TOKEN,
            }
        return await self._granted({**form, **self._wanted.form})

    async def _granted(self, form: Mapping[str, str]) -> Tokens:
        """Ask for what spends nothing, so that it may be sent twice."""
        reply = await self._post(form, is_repeatable=True)
        if reply.status != 200:
            raise _fault(reply)
        return _tokens(reply)

    async def _post(self, form: Mapping[str, str], *, is_repeatable: bool) -> Reply:
        return await self._client.post(
            self._http, await self._place(), form, is_repeatable=is_repeatable
        )


def _tokens(reply: Reply) -> Tokens:
    answer = reply.read()
    tokens = tokens_of(answer)
    if tokens is None:
        raise reply.trouble(NO_BEARER)
    # RFC 8693, 2.2.1: an exchange says what came of it, which may be no access token at all.
    if answer.get("issued_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise reply.trouble(
            "the token endpoint's answer is no access token (issued_token_type, RFC 8693), wanted "
            "one: see what this client may exchange for"
        )
    return tokens


def _fault(reply: Reply) -> SourceRefused | UnusableAnswer:
    """Return what an answer other than 200 amounts to, by its code alone (RFC 6749, 5.2)."""
    guarded = guards_fault(reply)
    if guarded is not None:
        return guarded
    answer = reply.read()
    error, said = answer.get("error"), said_of(answer)
    if not isinstance(error, str) or not said or error in _TRANSIENT:
        return reply.trouble(
            f"no token: the endpoint answers {reply.status} with {said or 'no error code'}, wanted "
            "a token (RFC 6749, 5.1): see the endpoint, and what stands before it"
        )
    why = f", {_WORDS[error]}" if error in _WORDS else ""
    return SourceRefused(
        f"no token: the issuer says {said}{why}, wanted a token: check this source's table, and "
        "its client at the issuer"
    )
