"""A program's websocket (RFC 6455) over TLS, for tests without a browser."""

import socket
import ssl
from contextlib import suppress
from typing import Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Request,
    TextMessage,
)

from tests.q.interpreter import PATIENCE


class WebsocketClient:
    """One websocket, open for the block.

    Raises:
        ConnectionRefusedError: On entering, where the server answers otherwise.
    """

    def __init__(self, host: str, port: int, trust: ssl.SSLContext) -> None:
        self._protocol = WSConnection(ConnectionType.CLIENT)
        plain = socket.create_connection((host, port), timeout=PATIENCE)
        self._socket = trust.wrap_socket(plain, server_hostname=host)
        self._host = f"{host}:{port}"

    def __enter__(self) -> Self:
        self._socket.sendall(self._protocol.send(Request(host=self._host, target="/")))
        match self._next():
            case AcceptConnection():
                return self
            case other:
                self._socket.close()
                raise ConnectionRefusedError(type(other).__name__)

    def __exit__(self, *_: object) -> None:
        with self._socket, suppress(OSError):  # the server may have ended it
            self._socket.sendall(self._protocol.send(CloseConnection(code=1000)))

    def ask(self, message: str | bytes) -> str | bytes:
        """Return the answer to a message."""
        sent = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        self._socket.sendall(self._protocol.send(sent))
        answer = self._next()
        assert isinstance(answer, TextMessage | BytesMessage), answer
        return answer.data if isinstance(answer.data, str) else bytes(answer.data)

    def is_closed(self) -> bool:
        """Wait until the server ends it, or fail."""
        return self._socket.recv(65536) == b""

    def _next(self) -> Event:
        while (event := next(self._protocol.events(), None)) is None:
            self._protocol.receive_data(self._socket.recv(65536) or None)
        return event
