"""A q process without q: what the hook does over HTTP (plugins/torq/web.q), done in Python.

For machines that have no interpreter: the call `web`, and all that comes of it, is the real one.
"""

import html
import select
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from typing import Any
from uuid import UUID

from anyio import CancelScope, wait_readable

from sessiond.testing import FakeProcess
from sessiond.testing.calls import opened_call
from sessiond.testing.plain import instant, plain
from tests.web.callbacks import Asked, Tell
from tests.web.https_server import PATIENCE, HttpsServer

OWN = "/.sessiond/"
OURS = ("sessiond-", "__host-sessiond-")  # cookies
OF_THIS_SITE = ("", "none", "same-origin")
NOBODY = UUID(int=0)
ENDS = ("revoked", "expired")

Brought = tuple[str, ...]  # what tells a person: cookies, host, origin


@dataclass(frozen=True, slots=True)
class Kept:
    """Whom the daemon has let in, and until when it need not be asked again."""

    answer: dict[str, Any]
    until: datetime


@dataclass
class PythonProcess:
    """One that has said hello. As in q one thread does it all: that of the server before it."""

    daemon: FakeProcess
    held: dict[int, "Connection"] = field(default_factory=dict)  # by their handles
    _kept: dict[Brought, Kept] = field(default_factory=dict)
    _sessions: set[UUID] = field(default_factory=set)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _handles: Iterator[int] = field(default_factory=lambda: count(6))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection"]:
        handle = next(self._handles)
        with CancelScope() as scope:
            self.held[handle] = held = Connection(self, handle, scope)
            try:
                yield held
            finally:
                self.held.pop(handle, None)

    async def run(self) -> None:
        """Do what the daemon says of itself, for as long as it is there."""
        with suppress(ConnectionError):
            while True:
                await wait_readable(self.daemon)
                while select.select([self.daemon], [], [], 0)[0]:  # no call has taken it meanwhile
                    self.daemon.receive()
                self._hear()

    def wait_until_knows_none(self) -> None:
        """Wait until each session was ended that has been here; from any thread."""
        with self._news:
            assert self._news.wait_for(lambda: not self._sessions, PATIENCE)

    def forget(self) -> None:
        """Ask anew from now on."""
        self._kept.clear()

    def judged(self, asked: Asked) -> dict[str, Any]:
        """Return the daemon's answer about a request, kept or not."""
        target, said = f"/{asked.text}", request(asked)
        is_own = target.startswith(OWN)
        brought = (*ours(said["cookie"]), said["host"].lower(), said["origin"])
        found = self._kept.get(brought)
        if found and not is_own and said["site"] in OF_THIS_SITE and found.until > now():
            return found.answer
        answer = self.daemon.web(target, **said)
        if is_own:
            self._kept.pop(brought, None)  # it may have signed out
        if answer["action"] == "allow":
            expires = instant(answer["expires"])
            assert expires is not None
            until = min(expires, now() + timedelta(microseconds=answer["keep"] // 1000))
            self._kept[brought] = Kept(answer, until)
            self._know(answer["session"])
        self._hear()
        return answer

    def websocket(self, session: UUID, handle: int) -> UUID:
        """Return the session that a websocket has under that of its page; nobody's: it has none."""
        child: UUID = plain(self.daemon.sync(opened_call(session, handle)))
        if child != NOBODY:
            self._know(child)
        self._hear()
        return child

    def left(self, child: UUID, handle: int) -> None:
        """Say that a browser has closed its websocket."""
        self.daemon.disconnect(handle, child)
        self._forget(child)

    def _hear(self) -> None:
        """Do what the pushes say that have come."""
        while self.daemon.pushes:
            push = self.daemon.next_push()
            if push["event"] in ENDS:
                self._forget(push["session"])
                if push["handle"] in self.held:
                    self.held[push["handle"]].scope.cancel()
            else:
                self._unkeep(push["session"])

    def _know(self, session: UUID) -> None:
        with self._news:
            self._sessions.add(session)

    def _forget(self, session: UUID) -> None:
        self._unkeep(session)
        with self._news:
            self._sessions.discard(session)
            self._news.notify_all()

    def _unkeep(self, session: UUID) -> None:
        of = [each for each, kept in self._kept.items() if kept.answer["session"] == session]
        for each in of:
            del self._kept[each]


@dataclass
class Connection:
    """A browser's connection; its pages say which they are, and for whom."""

    process: PythonProcess
    handle: int
    scope: CancelScope  # hclose
    _page: dict[str, Any] = field(default_factory=dict)  # the answer that the last request got
    _child: UUID = NOBODY
    _tell: Tell | None = None

    async def ac(self, asked: Asked) -> tuple[int, bytes]:
        self._page = answer = self.process.judged(asked)
        match answer["action"]:
            case "allow":
                return 1, answer["user"].encode()
            case "basic":
                return 4, b""
            case _:
                return 2, response(answer["status"], answer["headers"], answer["body"])

    async def pw(self, user: str, password: str) -> bool:
        return False

    async def ph(self, asked: Asked) -> bytes:
        shown = (f"Page {asked.text} for {self._page['user']}", " ".join(self._page["roles"]))
        title, roles = (html.escape(each) for each in shown)
        away = html.escape(self._page["signout"])
        body = f"<h1>{title}</h1><p>Roles: {roles}</p><a href='{away}'>Sign out</a>"
        length = len(body.encode())
        headers = f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n"
        return response(200, f"{headers}Cache-Control: no-store\r\n", body)

    async def pp(self, asked: Asked) -> bytes:
        return await self.ph(asked)

    async def wo(self, tell: Tell) -> None:
        self._tell = tell
        self._child = self.process.websocket(self._page["session"], self.handle)
        if self._child == NOBODY:
            self.scope.cancel()

    async def ws(self, message: str | bytes) -> None:
        assert self._tell is not None
        assert isinstance(message, str)
        await self._tell(f"{self._page['user']} said {message}")

    async def wc(self) -> None:
        self.process.left(self._child, self.handle)


@contextmanager
def python_process(server: HttpsServer, daemon: FakeProcess) -> Iterator[PythonProcess]:
    """Have one answer the server's requests, for the block; what fails in it fails the block."""
    daemon.hello()
    process = PythonProcess(daemon)
    running = server.portal.start_task_soon(process.run)
    server.serve(process)
    yield process
    daemon.half_close()
    running.result(PATIENCE)


def request(asked: Asked) -> dict[str, str]:
    """Return what the daemon is told of a request, besides its target."""
    names = {name: name for name in ("cookie", "accept", "origin", "host")}
    named = {**names, "site": "sec-fetch-site"}
    return {key: asked.header(name.encode()).decode("latin-1") for key, name in named.items()}


def ours(cookies: str) -> list[str]:
    """Return those of sessiond's."""
    each = (cookie.strip() for cookie in cookies.split(";"))
    return [cookie for cookie in each if cookie.lower().startswith(OURS)]


def response(status: int, headers: str, body: str) -> bytes:
    """Return a whole response; each line of the headers has its end."""
    phrase = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {phrase}\r\n{headers}\r\n{body}".encode()


def now() -> datetime:
    return datetime.now(UTC)
