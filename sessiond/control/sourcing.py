"""Tokens for data sources over the control socket."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import anyio
import msgspec
from msgspec import Struct
from starlette.responses import Response

from sessiond.control.access import Right, admit, refused
from sessiond.control.authorizing import OPERATIONS as AUTHORIZING
from sessiond.control.operation import Asked, Operation
from sessiond.control.operator import operator_of
from sessiond.control.problem import Problem
from sessiond.control.view import View
from sessiond.sources.answer import NotGiven, Reason
from sessiond.sources.asking import Asking
from sessiond.sources.kept_token import KeptToken
from sessiond.sources.settings import RunningSource
from sessiond.sources.standing import standing_of
from sessiond.system.peer import AllowList, Peer

JSON = "application/json"
LANE = "sources"
PATH = "/v1/sources/{name}/token"
_STATUS = {
    Reason.NOTALLOWED: HTTPStatus.FORBIDDEN,
    Reason.REFUSED: HTTPStatus.BAD_GATEWAY,
    Reason.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.THROTTLED: HTTPStatus.TOO_MANY_REQUESTS,
}


class SourceToken(Struct, frozen=True, kw_only=True):
    """A data source's access token."""

    token: str
    type: str  # Bearer: `Authorization: TYPE TOKEN` (RFC 6750, 2.1)
    expires: datetime

    def __repr__(self) -> str:
        return "SourceToken(***)"


class SourceStatus(Struct, frozen=True, kw_only=True):
    """A data source; its token is in no such answer."""

    name: str
    grant: str
    issuer: str  # the configured name; empty: it has a token endpoint of its own
    state: str  # ready, idle (nobody has asked), unauthorized, refused, unavailable or throttled
    expires_at: datetime | None  # of the token in memory; null: there is none, or one for each user
    last_fetched_at: datetime | None
    last_error: str  # why a call brought none; empty: each has brought one
    last_error_at: datetime | None
    processes: tuple[str, ...]  # who may ask over the kdb+ socket
    readers: tuple[str, ...]  # who may ask here


class SourceList(Struct, frozen=True, kw_only=True):
    """The data sources of now."""

    sources: list[SourceStatus]


async def _listed(view: View, _: Asked) -> SourceList:
    return SourceList(sources=[await _status(each) for each in view.sources_now.values()])


async def _status(running: RunningSource) -> SourceStatus:
    config, source = running.config, running.source
    token = source.token if source.is_given else None
    return SourceStatus(
        name=config.name,
        grant=config.grant,
        issuer=config.issuer,
        state=await standing_of(source),
        expires_at=None if token is None else token.expires_at,
        last_fetched_at=source.health.last_fetched_at,
        last_error=source.health.last_error,
        last_error_at=source.health.last_error_at,
        processes=config.processes,
        readers=tuple(map(str, config.readers)),
    )


def _admit(view: View, peer: Peer, path: Mapping[str, str]) -> None:
    admit_reader(view, peer, path["name"], path=PATH)


def is_reader(view: View, peer: Peer) -> bool:
    """Say whether the peer may have some source's token."""
    readers = (each.readers for each in view.sources_now.values())
    return any(each is not None and each.admits(peer) for each in readers)


def admit_reader(view: View, peer: Peer, name: str, *, path: str) -> None:
    """See that the peer may have a source's token; `path` is the operation's, for the log.

    Raises:
        Problem: It may not, or there is no such source.
    """
    running = view.sources_now.get(name)
    if running is None:
        # Which sources there are is for who may have some token; root can read the configuration.
        if not (is_reader(view, peer) or AllowList.of((), ()).admits(peer)):
            raise refused(peer, key="the readers of a [[source]]", path=path)
        raise Problem(
            HTTPStatus.NOT_FOUND, "there is no such source, wanted the name of a [[source]]"
        )
    key = f"source[{running.config.name}].readers"
    if running.readers is None:
        raise refused(peer, key=key, path=path)
    admit(peer, running.readers, key=key, path=path)


async def token_of(view: View, peer: Peer, name: str) -> KeptToken:
    """Return a source's token, for a reader of it.

    Raises:
        Problem: There is none now.
    """
    asking = Asking(source=name, who=peer.uid, by=await operator_of(peer))
    answer = view.sources.find(asking)
    if answer is None:
        with anyio.move_on_after(view.settings().deadline):
            answer = await view.sources.answer(asking)
        if answer is None:
            answer = view.sources.late(asking)
    if isinstance(answer, NotGiven):
        raise _problem(answer)
    return answer


async def _token(view: View, asked: Asked) -> Response:
    answer = await token_of(view, asked.peer, asked.path["name"])
    body = SourceToken(token=answer.token.reveal(), type=answer.kind, expires=answer.expires_at)
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(body), media_type=JSON, headers=headers)


def _problem(answer: NotGiven) -> Problem:
    seconds = max(1, round(answer.retry_after)) if answer.retry_after else None
    if answer.reason is Reason.THROTTLED:
        seconds = seconds or 1
    return Problem(_STATUS[answer.reason], answer.detail, retry_after=seconds)


_ONLY_FOR: dict[str, Any] = {"right": Right.CONNECT, "admit": _admit, "only_for": "source.readers"}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/v1/sources",
        summary="The data sources, and how fetching their tokens goes",
        carry_out=_listed,
        answer=SourceList,
    ),
    Operation(
        method="GET",
        path=PATH,
        summary="A data source's token, from memory or fetched within the login's deadline",
        carry_out=_token,
        lane=LANE,
        is_brisk=True,
        answer=SourceToken,
        **_ONLY_FOR,
    ),
    *AUTHORIZING,
)
