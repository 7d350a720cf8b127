"""A q process as the daemon sees one: kdb+ IPC over a Unix socket, pushes kept as they come."""

import socket
from typing import Any, Self
from uuid import UUID

from sessiond.qipc import (
    Atom,
    ClientConnection,
    Dictionary,
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
    mapping,
    string,
    symbol,
    text,
    texts,
)
from sessiond.qipc.connection import Accepted

NONCE = "0123456789abcdef"
PATIENCE = 20.0  # seconds that a test waits for an answer before it fails


class QReplyError(Exception):
    """The daemon answered with a q error."""


class QProcess:
    """One connection, blocking. `pushes` are those received while waiting for something else."""

    def __init__(self, address: bytes | str | socket.socket, *, user: str = "gw1") -> None:
        if isinstance(address, socket.socket):
            self.socket = address
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(address)
        self.socket.settimeout(PATIENCE)
        self._wire = ClientConnection(max_message=1 << 24)
        self.pushes: list[dict[str, Any]] = []
        self.socket.sendall(self._wire.greeting(user, "ignored"))
        assert isinstance(self._next(), Accepted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def hello(self, name: str = "gw1", nonce: str = NONCE) -> dict[str, Value]:
        """Say hello and return the answer's entries."""
        about: dict[str, Value] = {
            "name": symbol(name),
            "type": symbol("gateway"),
            "host": string("host1"),
            "pid": int_(4711),
            "nonce": string(nonce),
        }
        return mapping(self.sync(call("hello", dictionary(about))))

    def connect(self, user: str, password: str, handle: int = 5) -> dict[str, Any]:
        """Log a user in; return the answer in Python's terms."""
        return plain_dict(self.sync(connect_call(user, password, handle)))

    def opened(self, session: UUID, handle: int) -> None:
        self.push(call("opened", guid(session), int_(handle)))

    def disconnect(self, handle: int, session: UUID | None = None) -> None:
        """Say that a user left; where the session is named, it is that one."""
        named = () if session is None else (guid(session),)
        self.push(call("disconnect", int_(handle), *named))

    def renew(self, session: UUID, password: str) -> dict[str, Any]:
        return plain_dict(self.sync(call("renew", guid(session), string(password))))

    def reconcile(self, held: dict[int, UUID]) -> list[int]:
        """Say what is held; return the handles to close."""
        handles = Vector(QType.INT, tuple(held))
        sessions = Vector(QType.GUID, tuple(held.values()))
        doomed: list[int] = plain(self.sync(call("reconcile", handles, sessions)))
        return doomed

    def sessions(self) -> list[dict[str, Any]]:
        """Return the live sessions of this process, a dictionary each."""
        found = self.sync(call("sessions"))
        assert isinstance(found, Table)
        rows = zip(*map(plain, found.values), strict=True)
        return [dict(zip(found.columns, row, strict=True)) for row in rows]

    def log_in(self, user: str, password: str, handle: int = 5) -> dict[str, Any]:
        """Connect and open; the login must be accepted."""
        answer = self.connect(user, password, handle)
        assert answer["ok"], answer["reason"]
        self.opened(answer["session"], handle)
        self.ping()
        return answer

    def ping(self) -> None:
        """Return when everything sent before was taken in its turn."""
        self.sync(string(""))

    def sync(self, value: Value) -> Value:
        """Ask and return the answer."""
        self.ask(value)
        return self.answer()

    def ask(self, value: Value) -> None:
        """Send a sync call and do not wait."""
        self.socket.sendall(self._wire.sync(value))

    def expect(self, count: int) -> None:
        """Be ready for the answers to so many calls that are sent past this object."""
        self._wire._awaited += count

    def push(self, value: Value) -> None:
        """Send async."""
        self.socket.sendall(self._wire.async_(value))

    def answer(self) -> Value:
        """Wait for the answer to the oldest call that has none."""
        while True:
            event = self._next()
            if isinstance(event, Response):
                if isinstance(event.value, QError):
                    raise QReplyError(event.value.text)
                return event.value
            self._keep(event)

    def next_push(self) -> dict[str, Any]:
        """Wait for the next push and return it."""
        while not self.pushes:
            self._keep(self._next())
        return self.pushes.pop(0)

    def is_cut(self) -> bool:
        """Wait for the daemon to end the connection."""
        try:
            while True:
                self._keep(self._next())
        except ConnectionError:
            return True

    def _keep(self, event: object) -> None:
        assert isinstance(event, Push), event
        assert isinstance(event.value, List)
        assert text(event.value.items[0]) == ".sessiond.upd"
        self.pushes.append(plain_dict(event.value.items[1]))

    def _next(self) -> object:
        while (event := self._wire.next_event()) is None:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the daemon closed the connection")
            self._wire.receive_data(data)
        return event


def connect_call(user: str, password: str, handle: int = 5) -> Value:
    """Return a connect, as the hook sends it."""
    login: dict[str, Value] = {
        "user": symbol(user),
        "password": string(password),
        "handle": int_(handle),
        "address": int_(0),
    }
    return call("connect", dictionary(login))


def plain_dict(value: Value) -> dict[str, Any]:
    """Return a dictionary with symbol keys in Python's terms."""
    return {name: plain(entry) for name, entry in mapping(value).items()}


def plain(value: Value) -> Any:
    """Return a value in Python's terms: text, numbers, lists."""
    match value:
        case Atom():
            return value.value
        case Vector(items=bytes() as content):
            return content.decode()
        case Vector():
            return list(value.items)
        case List():
            return [plain(item) for item in value.items]
        case Dictionary():
            keys = texts(value.keys)
            return dict(zip(keys, plain(value.values), strict=True))
        case _:
            return value
