"""A kdb+ client, as hopen, qStudio and others are: TCP, a user, and what stands for a password."""

import select
import socket
from typing import Self

from sessiond.core.secret import Secret
from sessiond.qipc import Accepted, ClientConnection, QError, Response, Value, string

HOST = "127.0.0.1"
PATIENCE = 15.0  # seconds to wait for q
CHUNK = 65536  # bytes
MAX_ANSWER = 1 << 20  # bytes


class TurnedAwayError(Exception):
    """The q process closed the connection in place of an answer, as it does with 'access."""


class Client:
    """One handle that q has for somebody. Blocking."""

    def __init__(self, port: int, user: str, password: Secret) -> None:
        """Log in.

        Args:
            port: Where the q process listens.
            user: What becomes .z.u.
            password: What .z.pw is given with it.

        Raises:
            TurnedAwayError: It lets nobody in who brings that.
        """
        self._wire = ClientConnection(MAX_ANSWER)
        self._socket = socket.create_connection((HOST, port), PATIENCE)
        try:
            self._socket.sendall(self._wire.greeting(user, password))
            self._next(Accepted)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, query: str) -> Value | QError:
        """Send a query as it would be typed; return the answer.

        Raises:
            TurnedAwayError: The handle has been closed.
        """
        self._socket.sendall(self._wire.sync(string(query)))
        answer = self._next(Response)
        assert isinstance(answer, Response)  # noqa: S101 - mypy is to know it too
        return answer.value

    def is_closed(self) -> bool:
        """Wait until q closes the handle; False: it has not, in all the time there is."""
        try:
            return self._socket.recv(CHUNK) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def has_ended(self) -> bool:
        """Say whether q has closed the handle by now."""
        ready, _, _ = select.select([self._socket], [], [], 0.0)
        return bool(ready) and self.is_closed()

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _next(self, kind: type[Accepted] | type[Response]) -> Accepted | Response:
        while True:
            event = self._wire.next_event()
            if isinstance(event, kind):
                return event
            data = self._socket.recv(CHUNK)
            if not data:
                raise TurnedAwayError("the handle is closed")
            self._wire.receive_data(data)
