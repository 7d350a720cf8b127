"""An HTTP server on a free port of loopback, in threads, for as long as a `with` block."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from sessiond.testing.answer import Answer, Asked

MAX_BODY = 65536  # bytes
LONGEST = 3600.0  # seconds that a call may hang: no thread waits for ever

Respond = Callable[[Asked, Callable[[float], None]], Answer]


class Loopback:
    """Serves while its block runs. `url` is where."""

    def __init__(self, respond: Respond, *, port: int = 0) -> None:
        """Make a server.

        Args:
            respond: Called in many threads, with the request and with a way to wait for so many
                seconds, which the end of the block cuts short.
            port: 0 = any that is free.
        """
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.respond = respond
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

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
    respond: Respond

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.closing = threading.Event()

    def wait(self, seconds: float) -> None:
        if seconds > 0:
            self.closing.wait(min(seconds, LONGEST))

    def handle_error(self, *_: object) -> None:
        """Say nothing: whoever asked has gone."""


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
        size = int(self.headers.get("Content-Length", "0"))
        content = self.rfile.read(size) if 0 <= size <= MAX_BODY else b""
        asked = Asked(
            method=self.command,
            path=self.path.partition("?")[0],
            headers={name.lower(): value for name, value in self.headers.items()},
            content=content,
        )
        answer = self.server.respond(asked, self.server.wait)
        body = answer.content
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: the test has what was asked."""
