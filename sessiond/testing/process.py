"""A q process on a running daemon, for tests of a plugin in the whole."""

import os
import socket
from contextlib import ExitStack
from typing import Self, TypeVar
from uuid import UUID

from sessiond import qipc
from sessiond.api import Secret
from sessiond.qipc import Value
from sessiond.testing.fake_issuer import Issued

MAX_MESSAGE = 1 << 20  # bytes
PATIENCE = 20.0  # seconds to wait for an answer
NONCE = "0123456789abcdef"  # of a test: it proves nothing

E = TypeVar("E")


class FakeProcess:
    """Logs users in as the q hook does, and hears what becomes of them. Blocking."""

    def __init__(self, path: str, *, name: str = "rdb1") -> None:
        """Connect, and say hello.

        Args:
            path: The daemon's socket: `[listen] directory` and `/kx.PORT`.
            name: What the process is called.
        """
        self._client = qipc.ClientConnection(max_message=MAX_MESSAGE)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._pushes: list[qipc.Push] = []
        with ExitStack() as on_failure:
            on_failure.enter_context(self._socket)
            self._socket.connect(path)
            self._socket.sendall(self._client.greeting(name, ""))
            self._wait_for(qipc.Accepted)
            self._call("hello", _about(name))
            on_failure.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def log_in(self, user: str, token: Secret | Issued, *, handle: int = 5) -> UUID:
        """Log a user in on a handle; return the session once it is open.

        What `FakeIssuer.sign_in` gave brings its refresh token too.

        Raises:
            PermissionError: He was refused; the text is the reason.
        """
        asked: dict[str, Value] = {
            "user": qipc.symbol(user),
            "password": qipc.string(_password(token)),
            "handle": qipc.int_(handle),
            "address": qipc.int_(0x7F000001),
        }
        answer = qipc.mapping(self._call("connect", qipc.dictionary(asked)))
        if not qipc.flag(answer["ok"]):
            raise PermissionError(qipc.text(answer["reason"]))
        session = qipc.guid_of(answer["session"])
        self._tell("opened", qipc.guid(session), qipc.int_(handle))
        self._call("sessions")  # answered in order: it is open by then
        return session

    def log_out(self, *, handle: int = 5) -> None:
        """Say that the user on a handle has left."""
        self._tell("disconnect", qipc.int_(handle))
        self._call("sessions")

    def next_push(self) -> str:
        """Wait for the daemon's next push; return its event, such as `revoked`."""
        while not self._pushes:
            self._pushes.append(self._wait_for(qipc.Push))
        _, (about,) = qipc.unpack_call(self._pushes.pop(0).value)
        return qipc.text(qipc.mapping(about)["event"])

    def _call(self, name: str, *arguments: Value) -> Value:
        self._socket.sendall(self._client.sync(qipc.call(name, *arguments)))
        value = self._wait_for(qipc.Response).value
        if isinstance(value, qipc.QError):
            raise RuntimeError(value.text)
        return value

    def _tell(self, name: str, *arguments: Value) -> None:
        self._socket.sendall(self._client.async_(qipc.call(name, *arguments)))

    def _wait_for(self, kind: type[E]) -> E:
        while not isinstance(event := self._client.next_event(), kind):
            if isinstance(event, qipc.Push):
                self._pushes.append(event)
            elif event is None:
                data = self._socket.recv(65536)
                if not data:
                    raise ConnectionError("the daemon closed the connection")
                self._client.receive_data(data)
        return event


def _password(token: Secret | Issued) -> str:
    if isinstance(token, Issued):
        return f"{token.access.reveal()};{token.refresh.reveal()}"
    return f"bearer:{token.reveal()}"


def _about(name: str) -> Value:
    about: dict[str, Value] = {
        "name": qipc.symbol(name),
        "type": qipc.symbol("rdb"),
        "host": qipc.string("localhost"),
        "pid": qipc.int_(os.getpid()),
        "nonce": qipc.string(NONCE),
    }
    return qipc.dictionary(about)
