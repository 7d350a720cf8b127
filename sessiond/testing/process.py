"""A q process as the daemon sees one, for tests of a plugin in the whole, and of the daemon."""

import socket
from collections.abc import Callable
from typing import Any, Self, TypeVar
from uuid import UUID

from sessiond.api import Secret
from sessiond.qipc import Accepted, Asked, Push, Response, Table, Value, mapping
from sessiond.testing.calls import (
    NONCE,
    PING,
    SESSIONS,
    connect_call,
    disconnect_call,
    hello_call,
    opened_call,
    reconcile_call,
    renew_call,
    ticket_call,
    token_call,
    web_call,
)
from sessiond.testing.issued import Issued
from sessiond.testing.plain import plain, plain_dict, plain_rows
from sessiond.testing.wire import ProcessWire

PATIENCE = 20.0  # seconds to wait for the daemon
CHUNK = 65536  # bytes

R = TypeVar("R")
Token = Secret | Issued | str


class FakeProcess:
    """One connection to the daemon: kdb+ IPC over a Unix socket, blocking.

    It reads only while it waits for something, so one that is asked nothing is a slow reader.
    `pushes` are those that came meanwhile, in their order. Tokens are a `Secret`, what
    `FakeIssuer.sign_in` gave, or the text that a user would type.
    """

    def __init__(
        self,
        address: bytes | str | socket.socket,
        *,
        name: str = "gw1",
        greets: bool = True,
        capability: int = 3,
        piece: int = CHUNK,
    ) -> None:
        """Connect. Say `hello` next: the daemon serves nobody who has not.

        Args:
            address: The daemon's socket, `[listen] directory` and `/kx.PORT`, a first NUL before
                an abstract name; or a socket that is connected to it.
            name: What the process is called.
            greets: False: say nothing at all, not even kdb+'s handshake.
            capability: Offered in the handshake; the daemon needs 3.
            piece: Send so many bytes at a time.

        Raises:
            ConnectionError: The daemon refuses it.
        """
        self.name = name
        self._piece = piece
        if isinstance(address, socket.socket):
            self.socket = address
        else:
            self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self._wire = ProcessWire()
        try:
            if not isinstance(address, socket.socket):
                self.socket.connect(address)
            if greets:
                self.send(self._wire.greeting(name, "ignored", capability))
                self._wait_for(self._wire.accepted)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def pushes(self) -> list[dict[str, Any]]:
        """What the daemon has told of sessions, and nobody has asked for."""
        self._wire.keep_all()
        return self._wire.pushes

    def hello(
        self, name: str = "", *, host: str = "host1", pid: int = 4711, nonce: str = NONCE
    ) -> dict[str, Value]:
        """Say who it is, and return the entries of the answer."""
        return mapping(self.sync(hello_call(name or self.name, host=host, pid=pid, nonce=nonce)))

    def connect(self, user: str, token: Token, handle: int = 5) -> dict[str, Any]:
        """Bring a user's tokens; return the answer, which is `ok` or has a `reason`."""
        return plain_dict(self.sync(connect_call(user, _password(token), handle)))

    def log_in(self, user: str, token: Token, handle: int = 5) -> dict[str, Any]:
        """Log a user in on a handle; return the answer, once the `session` is open.

        Raises:
            PermissionError: He was refused; the text is the reason.
        """
        answer = self.connect(user, token, handle)
        if not answer["ok"]:
            raise PermissionError(answer["reason"])
        self.opened(answer["session"], handle)
        self.ping()
        return answer

    def log_out(self, handle: int = 5) -> None:
        """Say that the user on a handle has left; return when that has had its turn."""
        self.disconnect(handle)
        self.ping()

    def opened(self, session: UUID, handle: int) -> None:
        """Say that the handle of a login is open."""
        self.tell(opened_call(session, handle))

    def disconnect(self, handle: int, session: UUID | None = None) -> None:
        """Say that a user left; where the session is named, it is that one."""
        self.tell(disconnect_call(handle, session))

    def renew(self, session: UUID, token: Token) -> dict[str, Any]:
        """Bring other tokens for a live session; return the answer."""
        return plain_dict(self.sync(renew_call(session, _password(token))))

    def ticket(self, session: UUID, audience: str) -> dict[str, Any]:
        """Ask for a ticket for a session, to log in at another process; return the answer."""
        return plain_dict(self.sync(ticket_call(session, audience)))

    def token(self, name: str, session: UUID | None = None) -> dict[str, Any]:
        """Ask for a data source's token, maybe for the user of a session; return the answer."""
        return plain_dict(self.sync(token_call(name, session)))

    def web(self, target: str = "/", **said: str) -> dict[str, Any]:
        """Ask about a request over HTTP: its `bearer`, `cookie`, `accept`, `origin`, `host`."""
        return plain_dict(self.sync(web_call(target, **said)))

    def reconcile(self, held: dict[int, UUID]) -> list[int]:
        """Say what is held; return the handles to close."""
        doomed: list[int] = plain(self.sync(reconcile_call(held)))
        return doomed

    def sessions(self) -> list[dict[str, Any]]:
        """Return the live sessions of this process, a dictionary each."""
        return plain_rows(self.sync(SESSIONS))

    def ping(self) -> None:
        """Return when everything sent before was taken in its turn."""
        self.sync(PING)

    def sync(self, value: Value) -> Value:
        """Call and return the answer, as `h(...)` does.

        Raises:
            QReplyError: It is a q error.
            ConnectionError: The daemon has gone.
        """
        self.ask(value)
        return self.answer()

    def ask(self, value: Value) -> None:
        """Send a sync call and do not wait; `answer` does, for the oldest."""
        self.send(self._wire.sync(value))

    def answer(self) -> Value:
        """Wait for the answer to the oldest call that has none; errors as `sync`'s."""
        while (answer := self._wire.next_answer()) is None:
            self.receive()
        return answer

    def tell(self, value: Value) -> None:
        """Call and wait for nothing, as `neg[h](...)` does."""
        self.send(self._wire.async_(value))

    def next_push(self) -> dict[str, Any]:
        """Wait for the daemon's next push; its `event` says what happened, such as `revoked`."""
        return self._wait_for(self._wire.next_push)

    def next_published(self) -> tuple[str, Table]:
        """Wait for the next rows of what was subscribed to, and return their table's name too."""
        return self._wait_for(self._wire.next_published)

    def next_event(self) -> Accepted | Response | Push | Asked | None:
        """Return what came next, of whatever kind, or None when nothing more is there.

        For one who takes all in the order in which it came: nothing of it is kept.
        """
        return self._wire.next_event()

    def receive(self) -> None:
        """Take what is there; to be called when there is something to read.

        Raises:
            ConnectionError: The daemon closed the connection.
        """
        data = self.socket.recv(CHUNK)
        if not data:
            raise ConnectionError("the daemon closed the connection")
        self._wire.receive_data(data)

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        for start in range(0, len(data), self._piece):
            self.socket.sendall(data[start : start + self._piece])

    def expect(self, count: int) -> None:
        """Be ready for the answers to so many calls that are sent by `send`."""
        self._wire.expect(count)

    def half_close(self) -> None:
        """Say no more, and hear what is still to come."""
        self.socket.shutdown(socket.SHUT_WR)

    def is_cut(self) -> bool:
        """Wait for the daemon to end the connection."""
        try:
            while True:
                self.receive()
        except ConnectionError:
            return True

    def _wait_for(self, asked: Callable[[], R | None]) -> R:
        while (found := asked()) is None:
            self.receive()
        return found


def _password(token: Token) -> str:
    match token:
        case Issued():
            return f"{token.access.reveal()};{token.refresh.reveal()}"
        case Secret():
            return f"bearer:{token.reveal()}"
        case _:
            return token
