"""Events to publish, and a kdb+ process to publish to: it listens, and does what the test says."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID

from sessiond.api import Event, Gap, LoginRefused, ProcessAbout, SessionClosed, SessionOpened
from sessiond.qipc import (
    NIL,
    Handshake,
    MessageKind,
    Received,
    ServerConnection,
    Value,
    is_ping,
)

PATIENCE = 20.0  # seconds, for what takes milliseconds
AT = datetime(2026, 11, 21, 9, 30, 15, 250_000, tzinfo=UTC)
COLUMNS = (
    "time", "sym", "event", "session", "handle", "process",
    "issuer", "roles", "expires", "reason", "sequence",
)  # fmt: skip
SESSION = UUID("0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa")
ABOUT = ProcessAbout(name="gw1", type="gateway", host="host1", pid=4711)
EVENTS: tuple[Event, ...] = (
    SessionOpened(
        sequence=7,
        at=AT,
        session=SESSION,
        user="alice@example.com",
        issuer="corp",
        process=ABOUT,
        handle=6,
        roles=("trader", "reader"),
        expires_at=AT + timedelta(hours=1),
    ),
    LoginRefused(
        sequence=8,
        at=AT,
        user="typed-by-anyone",
        issuer="corp",
        process=ABOUT,
        handle=0,
        reason="expired",
        count=3,
    ),
    SessionClosed(
        sequence=9,
        at=AT + timedelta(seconds=1),
        session=SESSION,
        user="alice@example.com",
        issuer="corp",
        process=ABOUT,
        handle=6,
        reason="disconnect",
    ),
    Gap(sequence=19, at=AT + timedelta(seconds=2), after=9, before=20),
)
Behave = Callable[["Served", Received], None]


class Served:
    """One connection, from the stand-in's side."""

    def __init__(self, opened: socket.socket) -> None:
        self.wire = ServerConnection(max_message=1 << 24)
        self.socket = opened

    def next(self) -> Handshake | Received | None:
        """Return what the publisher sent next; None when it has gone."""
        while (event := self.wire.next_event()) is None:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.wire.receive_data(data)
        return event

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)


def answer(served: Served, received: Received) -> None:
    """Answer what is sync, as a tickerplant does that has nothing to say."""
    if received.kind is MessageKind.SYNC:
        served.send(served.wire.reply(NIL))


class Tickerplant:
    """Listens on a socket of the test's; one connection at a time."""

    def __init__(self, listener: socket.socket, *, password: str = "", behave: Behave = answer):
        self.messages: list[tuple[MessageKind, Value]] = []
        self.logins: list[tuple[str, str]] = []
        self.pings = 0
        self.behave = behave
        self._is_over = False
        self._password = password
        self._open = listener  # the connection that is served now
        self._listener = listener
        self._listener.listen()
        self._listener.settimeout(PATIENCE)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        with suppress(OSError):  # the publisher was faster
            self._open.shutdown(socket.SHUT_RDWR)
        with socket.socket(self._listener.family) as wake:
            wake.connect(self._listener.getsockname())
        self._thread.join()
        self._listener.close()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def _run(self) -> None:
        while not self._is_over:
            opened, _ = self._listener.accept()
            with opened:
                opened.settimeout(PATIENCE)
                self._open = opened
                with suppress(OSError):
                    self._serve(Served(opened))

    def _serve(self, served: Served) -> None:
        greeting = served.next()
        if not isinstance(greeting, Handshake):
            return
        self.logins.append((greeting.user, greeting.password.reveal()))
        if greeting.password.reveal() != self._password:
            return
        served.send(served.wire.accept())
        while isinstance(received := served.next(), Received):
            if is_ping(received.value):
                self.pings += 1
            else:
                self.messages.append((received.kind, received.value))
            self.behave(served, received)
