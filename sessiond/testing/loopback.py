"""An HTTP server on a free port of loopback, in threads, for as long as a `with` block."""

import itertools
import ssl
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from sessiond.testing.answer import Answer, Asked

MAX_BODY = 65536  # bytes
HANDSHAKE_WITHIN = 10.0  # seconds, of TLS
LONGEST = 3600.0  # seconds that a call may hang: no thread waits for ever

Respond = Callable[[Asked, Callable[[float], None]], Answer]
Tls = Callable[[], ssl.SSLContext]


class Loopback:
    """Serves while its block runs. `url` is where."""

    def __init__(self, respond: Respond, *, port: int = 0, tls: Tls | None = None) -> None:
        """Make a server.

        Args:
            respond: Called in many threads, with the request and with a way to wait for so many
                seconds, which the end of the block cuts short.
            port: 0 = any that is free.
            tls: Called for each connection; returns what it shows of itself, to whoever asks for
                `localhost`. None = plain http.
        """
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.respond = respond
        self._server.tls = tls
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        home = "http://127.0.0.1" if tls is None else "https://localhost"
        self.url = f"{home}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    respond: Respond
    tls: Tls | None = None

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.closing = threading.Event()

    def wait(self, seconds: float) -> None:
        if seconds > 0:
            self.closing.wait(min(seconds, LONGEST))

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(HANDSHAKE_WITHIN)
        with self.tls().wrap_socket(request, server_side=True) as stream:
            super().finish_request(stream, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where whoever asked has gone; that is what some tests are about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out whole: in two parts it would wait for an ACK, 40 ms
    timeout = 5.0  # seconds that a kept connection may be silent
    server: _Server

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def _respond(self) -> None:
        size = _size(self.headers.get("Content-Length", "0"))
        is_read = 0 <= size <= MAX_BODY
        path, _, parameters = self.path.partition("?")
        asked = Asked(
            method=self.command,
            path=path,
            parameters=parameters,
            headers={name.lower(): value for name, value in self.headers.items()},
            content=self.rfile.read(size) if is_read else b"",
        )
        answer = self.server.respond(asked, self.server.wait)
        if not is_read or answer.is_dropped:
            self.close_connection = True
        if not answer.is_dropped:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        body = answer.content
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers}
        if answer.is_endless:
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not answer.pace:
            self.wfile.write(body)
            return
        for byte in itertools.chain(body, itertools.repeat(0x20) if answer.is_endless else ()):
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.closing.wait(answer.pace):
                return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: the test has what was asked."""


def _size(text: str) -> int:
    """Return what a request says of its length, -1 where that is no number."""
    try:
        return int(text)
    except ValueError:
        return -1
