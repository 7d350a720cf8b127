"""Every operation of the control socket.

The routes and `/openapi.json` are both made from the list at the end.
"""

from collections.abc import AsyncIterator
from http import HTTPStatus
from uuid import UUID

import structlog
from msgspec import UNSET
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sessiond.control import (
    bodies,
    listing,
    pieces,
    prometheus,
    reloading,
    revoking,
    sourcing,
    storing,
    subscribing,
    ticketing,
)
from sessiond.control.access import Right
from sessiond.control.access_steps import because_of
from sessiond.control.explain import explain
from sessiond.control.operation import EVENT_STREAM, Asked, Operation
from sessiond.control.problem import Problem
from sessiond.control.status import status
from sessiond.control.stream import event_stream
from sessiond.control.view import View
from sessiond.core.listing import Filter, count, find_session, list_revocations
from sessiond.core.principal import shown
from sessiond.core.queries import Ping
from sessiond.core.secret import Secret
from sessiond.core.session import SessionId

log = structlog.get_logger()


async def _status(view: View, _: Asked) -> bodies.Status:
    return await status(view)


async def _sessions(view: View, asked: Asked) -> bodies.Sessions:
    query: bodies.SessionsQuery = asked.query
    wanted = Filter(user=query.user, process=query.process, issuer=query.issuer)
    after = None if query.after is None else SessionId(query.after)
    found = await pieces.sessions(view.table, wanted, after=after, limit=query.limit + 1)
    has_more, page = len(found) > query.limit, found[: query.limit]
    return bodies.Sessions(
        sessions=await pieces.encoded(page, bodies.Session.of),
        next=page[-1].session.id if has_more else None,
    )


async def _session(view: View, asked: Asked) -> bodies.OneSession:
    rows = await view.table.rows()
    found = find_session(rows, SessionId(_id(asked)))
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no such session is live")
    because = because_of(view.settings().access, found.session, rows.sessions.get)
    return bodies.OneSession.with_reasons(found, because)


async def _processes(view: View, asked: Asked) -> listing.Processes:
    return await listing.processes(view, asked.query)


async def _names(view: View, asked: Asked) -> listing.Names:
    return await listing.names(view, asked.query)


async def _reload(view: View, asked: Asked) -> reloading.Reloaded:
    return await reloading.reload(view, asked.body, asked.peer)


async def _revoke(view: View, asked: Asked) -> bodies.Revoked:
    return await revoking.revoke(view, asked.body, asked.peer)


async def _revocations(view: View, _: Asked) -> bodies.Revocations:
    found = list_revocations(await view.table.rows())
    return bodies.Revocations(revocations=await pieces.encoded(found, bodies.LastingRevocation.of))


async def _forgive(view: View, asked: Asked) -> None:
    await revoking.forgive(view, _id(asked), asked.peer, asked.query.reason)


async def _forget(view: View, asked: Asked) -> None:
    await revoking.forget(view, asked.path["user"], asked.peer, asked.query.reason)


async def _events(view: View, asked: Asked) -> Response:
    query: bodies.EventsQuery = asked.query
    last = view.table.sequence
    await view.events.wait_beyond(last - 1)  # which hears of a commit just after its answer
    after = last if query.after is UNSET else query.after
    if asked.last_event_id is not None:  # who comes back asks by the same URL as at first
        after = asked.last_event_id
    asked.turns.check_streams(asked.peer.uid)
    stream = event_stream(view.events, after=after, closing=asked.closing)
    return _Following(asked, stream)


class _Following(StreamingResponse):
    """The events for one who follows them, counted until he leaves."""

    def __init__(self, asked: Asked, stream: AsyncIterator[bytes]) -> None:
        headers = {"cache-control": "no-store"}
        super().__init__(stream, media_type=EVENT_STREAM, headers=headers)
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._asked.turns.stream(self._asked.peer.uid):
            await super().__call__(scope, receive, send)


async def _explain(view: View, asked: Asked) -> bodies.Explanation:
    request: bodies.ExplainRequest = asked.body
    at = request.process
    if at is not None and not at.type and view.settings().access.tells_types_apart(at.name):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"process {shown(at.name)} has no type, wanted one, since [[access.process]] tells "
            "processes of this name apart by it: add it, as NAME:TYPE",
        )
    found = await explain(
        view,
        user=request.user,
        password=Secret(request.password),
        process=at,
        peer=asked.peer,
    )
    log.warning(
        "explained",
        uid=asked.peer.uid,
        pid=asked.peer.pid,
        user=shown(request.user),
        outcome=found.reason or "accepted",
    )
    return found


async def _metrics(view: View, _: Asked) -> Response:
    counts = count(await view.table.rows(), view.clock.now(), expiring_within=prometheus.SOON)
    return Response(await prometheus.exposition(view, counts), media_type=prometheus.MEDIA_TYPE)


async def _health(view: View, _: Asked) -> bodies.Health:
    await view.table.ask(Ping())
    return bodies.Health()


async def _subscribers(view: View, _: Asked) -> bodies.Subscribers:
    return await subscribing.listed(view)


async def _retry(view: View, asked: Asked) -> bodies.SetAsideCount:
    return subscribing.retry(view, asked.path["name"], asked.peer)


async def _forget_subscriber(view: View, asked: Asked) -> None:
    await subscribing.forget(view, asked.path["name"], asked.peer)


async def _give_up(view: View, asked: Asked) -> bodies.SetAsideCount:
    return await subscribing.drop(view, asked.path["name"], asked.peer)


def _id(asked: Asked) -> UUID:
    try:
        return UUID(asked.path["id"])
    except ValueError:
        raise Problem(HTTPStatus.NOT_FOUND, "that is no id") from None


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/status",
        summary="The daemon as it stands",
        carry_out=_status,
        answer=bodies.Status,
    ),
    Operation(
        method="GET",
        path="/v1/sessions",
        summary="Live sessions, page by page",
        carry_out=_sessions,
        query=bodies.SessionsQuery,
        answer=bodies.Sessions,
    ),
    Operation(
        method="GET",
        path="/v1/sessions/{id}",
        summary="One live session",
        carry_out=_session,
        answer=bodies.OneSession,
    ),
    Operation(
        method="POST",
        path="/v1/revocations",
        summary="Take back; answered when it is on disk and on the processes' connections",
        carry_out=_revoke,
        right=Right.ADMINISTER,
        body=bodies.RevocationRequest,
        answer=bodies.Revoked,
    ),
    Operation(
        method="GET",
        path="/v1/revocations",
        summary="The lasting revocations in force",
        carry_out=_revocations,
        answer=bodies.Revocations,
    ),
    Operation(
        method="DELETE",
        path="/v1/revocations/{id}",
        summary="Forgive: lift a lasting revocation; what it ended stays ended",
        carry_out=_forgive,
        right=Right.ADMINISTER,
        query=bodies.ReasonQuery,
        answer=None,
    ),
    Operation(
        method="GET",
        path="/v1/processes",
        summary="The q processes that are connected, or have sessions, page by page",
        carry_out=_processes,
        query=listing.ProcessesQuery,
        answer=listing.Processes,
    ),
    Operation(
        method="GET",
        path="/v1/names",
        summary="The user names that belong to somebody, page by page",
        carry_out=_names,
        query=listing.NamesQuery,
        answer=listing.Names,
    ),
    Operation(
        method="POST",
        path="/v1/reload",
        summary="Apply the configuration file anew, or say what that would come to",
        carry_out=_reload,
        right=Right.ADMINISTER,
        body=reloading.ReloadRequest,
        answer=reloading.Reloaded,
    ),
    Operation(
        method="DELETE",
        path="/v1/names/{user}",
        summary="Forget: let a user name belong to somebody else",
        carry_out=_forget,
        right=Right.ADMINISTER,
        query=bodies.ReasonQuery,
        answer=None,
    ),
    Operation(
        method="GET",
        path="/v1/events",
        summary="Events as they happen (Server-Sent Events); Last-Event-ID goes before `after`",
        carry_out=_events,
        query=bodies.EventsQuery,
        lane=None,
        answer=EVENT_STREAM,
    ),
    Operation(
        method="POST",
        path="/v1/explain",
        summary="What a login would come to, check by check and step by step; nobody is let in",
        carry_out=_explain,
        right=Right.ADMINISTER,
        body=bodies.ExplainRequest,
        answer=bodies.Explanation,
    ),
    Operation(
        method="GET",
        path="/v1/subscribers",
        summary="The subscribers, and the events that were set aside for them",
        carry_out=_subscribers,
        answer=bodies.Subscribers,
    ),
    Operation(
        method="POST",
        path="/v1/subscribers/{name}/retry",
        summary="Send a subscriber's set-aside events once more, oldest first",
        carry_out=_retry,
        right=Right.ADMINISTER,
        answer=bodies.SetAsideCount,
    ),
    Operation(
        method="DELETE",
        path="/v1/subscribers/{name}/set-aside",
        summary="Give up a subscriber's set-aside events",
        carry_out=_give_up,
        right=Right.ADMINISTER,
        answer=bodies.SetAsideCount,
    ),
    Operation(
        method="DELETE",
        path="/v1/subscribers/{name}",
        summary="Forget the place of a subscriber that is not configured any more",
        carry_out=_forget_subscriber,
        right=Right.ADMINISTER,
        answer=None,
    ),
    Operation(
        method="GET",
        path="/healthz",
        summary="Whether the table answers",
        carry_out=_health,
        lane="health",
        answer=bodies.Health,
    ),
    Operation(
        method="GET",
        path="/metrics",
        summary="Metrics in Prometheus' text format",
        carry_out=_metrics,
        lane="metrics",
        answer=prometheus.MEDIA_TYPE,
    ),
    *ticketing.OPERATIONS,
    *sourcing.OPERATIONS,
    *storing.OPERATIONS,
)
