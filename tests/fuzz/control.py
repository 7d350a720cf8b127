"""The control API, asked in process: a request as uvicorn hands it over, and its answer judged."""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

import anyio
import h11
import msgspec
import structlog
from starlette.types import Message, Scope

from sessiond.control.openapi import document
from sessiond.control.operation import EVENT_STREAM, Operation
from sessiond.control.operations import OPERATIONS
from sessiond.control.problem import MEDIA_TYPE, ProblemBody
from sessiond.control.storing import OCTETS
from sessiond.control.turns import REFUSALS
from sessiond.core.changes import Revoke, WriteValue
from sessiond.core.revocation import Scope as RevocationScope
from sessiond.core.secret import Secret
from sessiond.system.peer import AllowList
from sessiond.tokenstores.settings import StoresSettings
from sessiond.tokenstores.stores import Asker, Place
from tests.fakes import MemoryStore, idle, session_id
from tests.fuzz import seeds
from tests.unit.control.viewing import ADMIN, Viewing, viewing

PART = 12  # bytes in a row of a token's random part that no answer may have
LONG_PART = 24  # the same of any password, which may come to hold words of ours
_BLOCK = re.compile(rb"id: \d+\n(?:event: ([a-z.]+)\ndata: (\{.*\})\n)?\n")
_PATHS = [
    (re.compile(each.path.replace("{id}", "[^/]+").replace("{user}", ".*"), re.DOTALL), each)
    for each in OPERATIONS
]


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get(b"content-type", b"").decode("latin-1")


def fuzz_control(data: bytes) -> bool:
    """Say whether a request is answered as asked, once it is sure that its answer is sound.

    A request is `METHOD TARGET` and its headers, a line each, an empty line, and the body.
    """
    head, _, body = data.partition(b"\n\n")
    try:
        request = _request(head)
    except h11.LocalProtocolError:  # never gets to the application
        return False
    with structlog.testing.capture_logs():
        answer, after = _RUNNING.outcome(request, body)
    operation = _operation(request)
    _must_show_no_token(answer, operation, body)
    if after is not None:  # what was taken can be shown
        assert after.status == 200
        _must_be_valid(after, _REVOCATIONS)
    if answer.status >= 300:
        return _told(answer)
    _must_be_valid(answer, operation)
    return True


def _request(head: bytes) -> h11.Request:
    """Read what h11, and so the daemon's server, lets through.

    Raises:
        h11.LocalProtocolError: It is no request of HTTP/1.1.
    """
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    pairs = [line.partition(b": ") for line in lines]
    headers = [(b"host", b"sessiond"), *((name, value) for name, _, value in pairs)]
    return h11.Request(method=method, target=target, headers=headers)


def _scope(request: h11.Request) -> Scope:
    path, _, query = request.target.partition(b"?")
    return {  # as uvicorn's H11Protocol makes it
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": None,
        "client": None,
        "scheme": "http",
        "method": request.method.decode("ascii"),
        "root_path": "",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "headers": list(request.headers),
        "state": {"peer": ADMIN},
    }


def _operation(request: h11.Request) -> Operation | None:
    path = unquote(request.target.partition(b"?")[0].decode("ascii"))
    for pattern, operation in _PATHS:
        if operation.method.encode() == request.method and pattern.fullmatch(path):
            return operation
    return None


def _told(answer: _Answer) -> bool:
    """Return False, once it is sure that the refusal is one that callers can read."""
    assert 400 <= answer.status < 500, answer
    assert answer.media_type == MEDIA_TYPE
    told = msgspec.json.decode(answer.body, type=ProblemBody)
    assert told.status == answer.status
    assert told.detail
    return False


def _must_be_valid(answer: _Answer, operation: Operation | None) -> None:
    if operation is None:  # the only one that is not in the list
        assert msgspec.json.decode(answer.body) == _DESCRIBED
    elif operation.answer is None:
        assert (answer.status, answer.body) == (204, b"")
    elif not isinstance(operation.answer, str):
        assert (answer.status, answer.media_type) == (200, "application/json")
        msgspec.json.decode(answer.body, type=operation.answer)
    elif operation.answer == EVENT_STREAM:
        assert answer.media_type.startswith(EVENT_STREAM)
        assert _BLOCK.sub(b"", answer.body) == b""
        for kind, event in _BLOCK.findall(answer.body):
            assert not kind or json.loads(event)["kind"] == kind.decode()
    elif operation.answer == OCTETS:
        assert answer.media_type == OCTETS
        assert answer.body == seeds.KEPT
    else:
        assert answer.media_type == operation.answer
        assert answer.body.endswith(b"\n")


def _must_show_no_token(answer: _Answer, operation: Operation | None, body: bytes) -> None:
    shown = answer.body + b"".join(b"%b: %b\n" % each for each in answer.headers.items())
    assert not any(part in shown for part in _TOKEN_PARTS), answer
    if operation is not None and operation.path == "/v1/explain":
        assert not any(part in answer.body for part in _parts(_password(body), LONG_PART))


def _password(body: bytes) -> bytes:
    """Return the password of a login to explain, where the body is one by and large."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return b""
    password = content.get("password") if isinstance(content, dict) else None
    return password.encode(errors="replace") if isinstance(password, str) else b""


def _parts(token: bytes, size: int) -> Iterator[bytes]:
    return (token[at : at + size] for at in range(len(token) - size + 1))


_TOKEN_PARTS = [
    part
    for token in (seeds.TOKENS[0].rpartition(b".")[2], *seeds.PASSWORDS[2].split(b";"))
    for part in _parts(token, PART)
]
_DESCRIBED = msgspec.json.decode(msgspec.json.encode(document(OPERATIONS)))
(_REVOCATIONS,) = (
    each for each in OPERATIONS if (each.method, each.path) == ("GET", "/v1/revocations")
)


class _Running:
    """The application on an event loop of its own, begun anew after each change."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._begin = MemoryStore()
        self._viewing: Viewing | None = None
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def outcome(self, request: h11.Request, body: bytes) -> tuple[_Answer, _Answer | None]:
        """Return the answer and, after a change, the revocations in force."""
        if self._runner is None:
            self._runner = asyncio.Runner()
            self._begin = self._runner.run(_begun())
        return self._runner.run(self._asked(request, body))

    def close(self) -> None:
        if self._runner is not None:
            self._runner.run(self._end())
            self._runner.close()
            self._runner = None

    async def _asked(self, request: h11.Request, body: bytes) -> tuple[_Answer, _Answer | None]:
        if self._viewing is None:
            self._over, ready = asyncio.Event(), asyncio.Event()
            self._task = asyncio.create_task(self._hold(ready))
            await ready.wait()
        assert self._viewing is not None
        await self._viewing.clock.advance(1 / REFUSALS)  # no refusal waits for its turn
        answer = await _answer(self._viewing, _scope(request), body)
        if not self._viewing.store.commits:
            if self._viewing.view.stores.locks.held != 1:  # the one that was there is released
                await self._end()
            return answer, None
        after = await _answer(self._viewing, _scope(_request(b"GET /v1/revocations")), b"")
        await self._end()
        return answer, after

    async def _hold(self, ready: asyncio.Event) -> None:
        """Have the application in one task, as its task group needs it."""
        async with viewing(store=_copied(self._begin)) as self._viewing:
            await _lock(self._viewing)
            ready.set()
            await self._over.wait()
        self._viewing = None

    async def _end(self) -> None:
        self._over.set()
        if self._task is not None:
            await self._task
            self._task = None


async def _begun() -> MemoryStore:
    """Return a store with a session, its events, and a lasting revocation."""
    async with viewing() as v:
        await v.log_in(1)
        lasting, bob = session_id(seeds.REVOCATION.int), "bob"
        change = Revoke(id=lasting, scope=RevocationScope.USER, value=bob, reason="x")
        await v.view.table.ask(change)
        kept = Secret(seeds.KEPT.decode())
        place = {"context": "kept", "name": "oauth", "uid": ADMIN.uid}
        await v.view.table.ask(
            WriteValue(**place, is_shared=False, value=kept, max_contexts=9)  # type: ignore[arg-type]
        )
        return v.store


async def _lock(v: Viewing) -> None:
    """Have token stores, and the lock of the value that is kept taken, with the first fence."""
    allowed = AllowList.exactly("stores.users", [ADMIN.uid])
    v.settings.now = replace(v.settings.now, stores=StoresSettings(allowed=allowed, max_contexts=9))
    asker, place = Asker(ADMIN.uid, ADMIN.pid), Place("kept", "oauth")
    assert await v.view.stores.lock(asker, place, 0, anyio.sleep_forever) == seeds.FENCE
    v.store.commits.clear()


def _copied(store: MemoryStore) -> MemoryStore:
    copy = MemoryStore()
    copy.rows, copy.events, copy._sequence = dict(store.rows), [*store.events], store._sequence
    copy.secrets = dict(store.secrets)
    return copy


async def _answer(v: Viewing, scope: Scope, body: bytes) -> _Answer:
    told: list[Message] = []
    asked: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    left = anyio.Event()

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        told.append(message)

    async def serve() -> None:
        await v.app(scope, receive, send)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await idle()
        left.set()  # else a stream of events has no end
    (start,) = (each for each in told if each["type"] == "http.response.start")
    return _Answer(
        status=start["status"],
        headers=dict(start["headers"]),
        body=b"".join(each.get("body", b"") for each in told if each is not start),
    )


_RUNNING = _Running()
close = _RUNNING.close
