"""One q process of a chaos run: its connection, and what it believes, as the hook would."""

import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from sessiond.qipc import (
    ClientConnection,
    List,
    Push,
    QError,
    QType,
    Response,
    Table,
    Value,
    Vector,
    call,
    dictionary,
    guid,
    int_,
    string,
    symbol,
)
from sessiond.qipc.connection import Accepted
from sessiond.testing.calls import NONCE, connect_call
from sessiond.testing.plain import plain, plain_dict
from tests.chaos.journal import Journal

PEER = Path(__file__).with_name("peer.py")
PATIENCE = 20.0  # seconds for a handshake
Q_EPOCH = 946_684_800  # Unix time of 2000-01-01


class ChaosProcess:
    """A real pid; nothing here waits for the daemon but the handshake.

    What was sent and not answered when the connection breaks counts as never acknowledged.
    """

    def __init__(self, name: str, address: bytes, journal: Journal) -> None:
        self.name = name
        self.held: dict[int, UUID] = {}  # the users on its handles
        self.users: dict[UUID, str] = {}
        self.knocking: set[int] = set()  # handles whose login is not answered yet
        self.socket: socket.socket | None = None
        self._ended: set[UUID] = set()
        self._journal = journal
        self._waiting: deque[Callable[[Value], object]] = deque()
        self._wire = ClientConnection(max_message=1 << 24)
        self._passed, out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._passed.settimeout(PATIENCE)
        with out:
            self._peer = subprocess.Popen(
                [sys.executable, "-S", "-E", PEER, address.hex(), str(out.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[out.fileno()],
                text=True,
            )

    def kill(self) -> None:
        """Die as kill -9 would."""
        self.close()
        self._note("process-killed", held=list(self.held.values()))
        self.held.clear()

    def close(self) -> None:
        """End the process."""
        self._peer.kill()
        self._peer.communicate()
        self._passed.close()
        self._disconnected()

    def drop(self) -> None:
        """Lose the connection, and nothing else."""
        self._disconnected()

    def come(self) -> None:
        """Connect, say hello and reconcile, as after each loss of the daemon."""
        assert self._peer.stdin is not None
        self._peer.stdin.write("\n")
        self._peer.stdin.flush()
        _, files, _, _ = socket.recv_fds(self._passed, 1, 1)
        if not files:
            return
        self.socket = socket.socket(fileno=files[0])
        self.socket.settimeout(PATIENCE)
        self._wire = ClientConnection(max_message=1 << 24)
        try:
            self.socket.sendall(self._wire.greeting(self.name, "ignored"))
            while not isinstance(event := self._wire.next_event(), Accepted):
                assert event is None
                self._receive()
        except OSError:
            self._disconnected()
            return
        self._note("came")
        self._ask(_hello(self.name), lambda _: None)
        self._reconcile()

    def log_in(self, user: str, password: str, token: int, handle: int, *, opens: bool) -> None:
        """Log a user in on a handle; `token` is what the journal calls what he brings."""
        asked_at = self._note("connecting", user=user, token=token, handle=handle)

        self.knocking.add(handle)

        def answered(value: Value) -> None:
            self.knocking.discard(handle)
            answer = plain_dict(value)
            if not answer["ok"]:
                self._note("refused", user=user, handle=handle, reason=answer["reason"])
                return
            session = answer["session"]
            self._note(
                "login",
                user=user,
                token=token,
                alone=";" not in password,
                handle=handle,
                session=session,
                asked_at=asked_at,
                expires=unix(answer["expires"]),
            )
            self.held.pop(handle, None)  # whoever was there is replaced
            if opens and session not in self._ended:
                self._open(session, user, handle)

        self._ask(connect_call(user, password, handle), answered)

    def leave(self, handle: int) -> None:
        """Let the user on a handle go."""
        session = self.held.pop(handle)
        self._note("leaving", session=session, handle=handle)
        self._tell(call("disconnect", int_(handle)))
        self._ask(string(""), lambda _: self._note("left", session=session, handle=handle))

    def renew(self, handle: int, password: str, token: int, *, waits: bool) -> None:
        """Bring fresh tokens for the session on a handle, sync or async."""
        session = self.held[handle]
        self._note("renewing", session=session, token=token, alone=";" not in password)
        renewal = call("renew", guid(session), string(password))
        if not waits:
            self._tell(renewal)
            return

        def answered(value: Value) -> None:
            answer = plain_dict(value)
            if answer["ok"]:
                self._note("renewed", session=session, expires=unix(answer["expires"]))
            else:
                self._note("renewal-refused", session=session, reason=answer["reason"])

        self._ask(renewal, answered)

    def look(self) -> None:
        """Ask which sessions are live."""

        def answered(value: Value) -> None:
            assert isinstance(value, Table)
            rows = dict(zip(value.columns, map(plain, value.values), strict=True))
            expires = map(unix, rows["expires"])
            seen = dict(zip(map(str, rows["session"]), expires, strict=True))
            self._note("sees", sessions=seen)

        self._ask(call("sessions"), answered)

    def believe(self) -> None:
        """Note what is held, for comparison."""
        self._note("believes", held=list(self.held.values()))

    @property
    def settled(self) -> list[int]:
        """The handles with a user on them and no other login under way."""
        return [handle for handle in self.held if handle not in self.knocking]

    @property
    def is_waiting(self) -> bool:
        """Say whether an answer is still to come."""
        return bool(self._waiting)

    def read(self) -> None:
        """Take what the daemon has sent; to be called when the socket is readable."""
        try:
            self._receive()
        except ConnectionError:
            self._disconnected()
            return
        while (event := self._wire.next_event()) is not None:
            if isinstance(event, Response):
                if isinstance(event.value, QError):
                    self._waiting.popleft()
                    self._note("error", text=event.value.text)
                else:
                    self._waiting.popleft()(event.value)
            else:
                self._pushed(event)

    def _open(self, session: UUID, user: str, handle: int) -> None:
        self.held[handle] = session
        self.users[session] = user
        self._note("opening", session=session, handle=handle)
        self._tell(call("opened", guid(session), int_(handle)))

        def answered(_: Value) -> None:
            if session not in self._ended:  # else a push came first: it no longer stood
                self._note("opened", session=session, handle=handle)

        self._ask(string(""), answered)

    def _reconcile(self) -> None:
        held = dict(self.held)
        self._note("reconciling", held=list(held.values()))

        def answered(value: Value) -> None:
            doomed = plain(value)
            for handle in doomed:
                if self.held.get(handle) == held[handle]:
                    del self.held[handle]
            ended = [held[handle] for handle in doomed]
            self._note("reconciled", held=list(self.held.values()), doomed=ended)

        handles, sessions = tuple(held), tuple(held.values())
        lists = Vector(QType.INT, handles), Vector(QType.GUID, sessions)
        self._ask(call("reconcile", *lists), answered)

    def _pushed(self, event: object) -> None:
        assert isinstance(event, Push), event
        assert isinstance(event.value, List)
        push = plain_dict(event.value.items[1])
        push["expires"] = unix(push["expires"])
        self._note("push", **push)
        if push["event"] not in ("revoked", "expired"):
            return
        self._ended.add(push["session"])  # perhaps before its login was answered
        for handle, session in tuple(self.held.items()):
            if session == push["session"]:
                del self.held[handle]

    def _receive(self) -> None:
        assert self.socket is not None
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError
        self._wire.receive_data(data)

    def _ask(self, value: Value, answered: Callable[[Value], object]) -> None:
        self._waiting.append(answered)
        self._send(self._wire.sync(value))

    def _tell(self, value: Value) -> None:
        self._send(self._wire.async_(value))

    def _send(self, data: bytes) -> None:
        """Send, or find out by reading, in its turn, that nobody is there."""
        if self.socket is not None:
            try:
                self.socket.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                return

    def _disconnected(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self._note("cut")
        self.socket = None
        self._waiting.clear()
        self.knocking.clear()

    def _note(self, kind: str, **facts: Any) -> float:
        return self._journal.note(kind, process=self.name, **facts)


def unix(timestamp: int) -> float | None:
    """Return kdb+'s nanoseconds since 2000 as Unix time; None for 0Np."""
    return None if timestamp == -(2**63) else Q_EPOCH + timestamp / 1e9


def _hello(name: str) -> Value:
    about: dict[str, Value] = {
        "name": symbol(name),
        "type": symbol("gateway"),
        "host": string("host1"),
        "pid": int_(4711),
        "nonce": string(NONCE),
    }
    return call("hello", dictionary(about))
