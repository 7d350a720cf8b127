"""From HTTP requests to operations and back: who may, what is asked, what is answered."""

from collections.abc import Awaitable, Callable, Iterable
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog
from msgspec import Struct
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sessiond.control.access import Access, Right, refused
from sessiond.control.bodies import MAX_SEQUENCE
from sessiond.control.openapi import document
from sessiond.control.operation import READS, Asked, Operation
from sessiond.control.operations import OPERATIONS
from sessiond.control.problem import Problem, answer_of
from sessiond.control.request_body import content_of, read_body, unquoted
from sessiond.control.turns import Turns
from sessiond.control.view import View
from sessiond.core.errors import StoreError, TableClosed
from sessiond.system.peer import Peer

JSON = "application/json"
REFUSED = 400  # from this status on (RFC 9110, 15.5)
BRISK = "is_brisk"  # of a request's state: its operation is

log = structlog.get_logger()


def control_app(
    view: View,
    access: Callable[[], Access],
    closing: anyio.Event,
    operations: Iterable[Operation] = OPERATIONS,
) -> Starlette:
    """Return the application that serves the control API."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    turns = Turns(view.clock)
    handlers = _Handlers(view, access, turns)
    routes = [handlers.route(path, by_method) for path, by_method in by_path.items()]
    routes.append(Route("/openapi.json", handlers.description(), methods=["GET"]))
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Unhurried, turns)],
        exception_handlers={
            Problem: _tell_problem,
            HTTPException: _tell_http,
            StoreError: _tell_store,
            TableClosed: _tell_stopping,
            Exception: _tell_bug,
        },
    )
    app.state.closing = closing  # set: event streams end; may be replaced while the app serves
    app.router.redirect_slashes = False  # a redirect repeats the query, whatever is in it
    return app


@cache
def _described() -> bytes:
    """Return the OpenAPI document, made once, for who asks first: no start waits for it."""
    return msgspec.json.encode(document(OPERATIONS))


class _Unhurried:
    """Sends refusals, whatever they are for, no faster than others can bear."""

    def __init__(self, app: ASGIApp, turns: Turns) -> None:
        self._app = app
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_turn(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= REFUSED:
                state = scope["state"]
                # What is asked before each request of a program may well not be there.
                if message["status"] != HTTPStatus.NOT_FOUND or not state.get(BRISK):
                    await self._turns.refuse(state["peer"].uid)
            await send(message)

        await self._app(scope, receive, send_in_turn)


class _Handlers:
    """Reads requests for operations."""

    def __init__(self, view: View, access: Callable[[], Access], turns: Turns) -> None:
        self._view = view
        self._access = access
        self._turns = turns

    def route(self, path: str, operations: dict[str, Operation]) -> Route:
        """Return the route for the operations of one path."""

        async def attend(request: Request) -> Response:
            operation = operations.get(request.method)
            peer: Peer = request.state.peer
            if operation is not None and self._is_apart(request, operation):
                return await carry_out(request, operation, peer)
            lane = None if operation is None else operation.lane
            is_brisk = operation is not None and operation.is_brisk
            setattr(request.state, BRISK, is_brisk)
            turn = self._turns.beside if is_brisk else self._turns.turn
            async with turn(peer.uid, lane or READS):
                # Nobody waits for it any more? To look would take a piece of a body away.
                if not _takes_a_body(operation) and await request.is_disconnected():
                    return Response(status_code=HTTPStatus.NO_CONTENT)
                return await carry_out(request, operation, peer)

        async def carry_out(request: Request, operation: Operation | None, peer: Peer) -> Response:
            self._permit(request, path, Right.READ if operation is None else operation.right)
            if operation is None:  # HEAD, which Starlette adds to GET
                raise HTTPException(405, headers={"allow": ", ".join(operations)})
            if operation.admit is not None:
                operation.admit(self._view, peer, request.path_params)
            asked = Asked(
                peer=peer,
                path=request.path_params,
                query=_query(request, operation.query),
                body=await _body(request, operation),
                content=await _content(request, operation),
                headers=_headers(request),
                hung_up=partial(_hung_up, request),
                last_event_id=_last_event_id(request),
                closing=request.app.state.closing,
                turns=self._turns,
            )
            answer = await operation.carry_out(self._view, asked)
            if isinstance(answer, Response):
                return answer
            if answer is None:
                return Response(status_code=HTTPStatus.NO_CONTENT)
            return Response(msgspec.json.encode(answer), media_type=JSON)

        # A user name may hold a slash, which the server has unquoted by now.
        return Route(path.replace("{user}", "{user:path}"), attend, methods=list(operations))

    def description(self) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of the OpenAPI document."""

        async def attend(request: Request) -> Response:
            peer: Peer = request.state.peer
            async with self._turns.turn(peer.uid, READS):
                self._permit(request, "/openapi.json", Right.READ)
                described = await anyio.to_thread.run_sync(_described)  # longer than a request may
                return Response(described, media_type=JSON)

        return attend

    def _is_apart(self, request: Request, operation: Operation) -> bool:
        """Say whether it waits for no turn: a stream of events, or what an administrator does."""
        is_permitted = self._access().permits(request.state.peer, operation.right)
        return is_permitted and (operation.right is Right.ADMINISTER or operation.lane is None)

    def _permit(self, request: Request, path: str, right: Right) -> Peer:
        peer: Peer = request.state.peer
        if not self._access().permits(peer, right):
            key = "control_readers" if right is Right.READ else "control_admins"
            raise refused(peer, key=f"listen.{key}", path=path)
        return peer


def _query(request: Request, kind: type[Struct]) -> Any:
    given = request.query_params.multi_items()
    if len({name for name, _ in given}) < len(given):
        raise Problem(HTTPStatus.BAD_REQUEST, "a query parameter is there twice")
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"query: {unquoted(error)}") from None


async def _body(request: Request, operation: Operation) -> Any:
    if operation.body is None:
        return None
    return await read_body(request, operation.body, operation.content or frozenset())


async def _content(request: Request, operation: Operation) -> bytes:
    if operation.content is None or operation.body is not None:
        return b""
    return await content_of(request, operation.content, limit=operation.content_limit)


def _takes_a_body(operation: Operation | None) -> bool:
    if operation is None:
        return False
    return operation.body is not None or operation.content is not None


async def _hung_up(request: Request) -> None:
    """Return when nobody waits for the answer any more; the body is read by then."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _headers(request: Request) -> dict[str, str]:
    """Return the header fields; one that is there more than once is a list (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _last_event_id(request: Request) -> int | None:
    text = request.headers.get("last-event-id")
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_SEQUENCE)):
        raise Problem(HTTPStatus.BAD_REQUEST, "Last-Event-ID is no event's number")
    return min(int(text), MAX_SEQUENCE)


async def _tell_problem(_: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return answer_of(error)


async def _tell_http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    allowed = ", ".join(sorted(Headers(error.headers).get("allow", "").split(", ")))
    wanted = f"{allowed} here" if allowed else "one of /openapi.json"
    response = answer_of(
        Problem(HTTPStatus(error.status_code), f"no such operation, wanted {wanted}")
    )
    response.headers.update(error.headers or {})
    return response


async def _tell_store(_: Request, error: Exception) -> Response:
    return answer_of(Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)))


async def _tell_stopping(_: Request, __: Exception) -> Response:
    return answer_of(Problem(HTTPStatus.SERVICE_UNAVAILABLE, "sessiond is stopping"))


async def _tell_bug(_: Request, __: Exception) -> Response:
    """Answer for a bug; its traceback is in the log."""
    return answer_of(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug: see sessiond's log"))
