"""A simulated q process's handle to the daemon."""

import socket
from collections import deque

from sessiond.core.errors import CallError
from sessiond.qipc import (
    Accepted,
    ClientConnection,
    Push,
    QError,
    Response,
    Value,
    mapping,
    unpack_call,
)

MAX_MESSAGE = 1 << 20  # bytes
PATIENCE = 10.0  # seconds to wait for an answer; q itself would wait forever
CHUNK = 65536  # bytes


class LinkLost(Exception):  # noqa: N818 - a state, which the process lives with
    """The daemon has gone: refuse token logins, keep what is live, reach it again."""


class Link:
    """An open handle: sync calls wait for their answer, as in q, and keep the pushes meanwhile."""

    def __init__(self, address: str, *, name: str) -> None:
        """Do what q's hopen does.

        Args:
            address: DIRECTORY/kx.PORT, which on Linux is an abstract name.
            name: The user name of the handshake; the daemon shows it in its log.

        Raises:
            LinkLost: Nobody listens there.
        """
        self._wire = ClientConnection(max_message=MAX_MESSAGE)
        self._pushes: deque[Push] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.connect(f"\0{address}")
            self._socket.sendall(self._wire.greeting(name, "hook"))
            while not isinstance(self._wire.next_event(), Accepted):
                self._receive()
        except (OSError, LinkLost) as error:
            self.close()
            raise LinkLost from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ask(self, value: Value) -> Value:
        """Call and return the answer, as `h(...)` does.

        Raises:
            CallError: The daemon answered with a q error.
            LinkLost: It has gone.
        """
        self._send(self._wire.sync(value))
        while not isinstance(event := self._wire.next_event(), Response):
            if isinstance(event, Push):
                self._pushes.append(event)
            elif event is None:
                self._receive()
        if isinstance(event.value, QError):
            raise CallError(event.value.text)
        return event.value

    def tell(self, value: Value) -> None:
        """Call and wait for nothing, as `neg[h](...)` does."""
        self._send(self._wire.async_(value))

    def receive(self) -> None:
        """Take what has come. Raises LinkLost when that is the end."""
        self._receive()

    def next_push(self) -> dict[str, Value] | None:
        """Return the oldest push to `.sessiond.upd` that has come and was not taken yet."""
        while (event := self._wire.next_event()) is not None:
            if isinstance(event, Push):
                self._pushes.append(event)
        if not self._pushes:
            return None
        name, arguments = unpack_call(self._pushes.popleft().value)
        if name != ".sessiond.upd":
            raise CallError("a push to another function than the hook's")
        return mapping(arguments[0])

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise LinkLost from error

    def _receive(self) -> None:
        try:
            data = self._socket.recv(CHUNK)
        except OSError as error:
            raise LinkLost from error
        if not data:
            raise LinkLost
        self._wire.receive_data(data)
