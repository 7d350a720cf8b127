"""A data source that speaks HTTPS and JSON, and wants a bearer token."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.web.authority import Authority

QUOTES = [
    {"sym": "VOD", "bid": 70.5, "ask": 70.6},
    {"sym": "BP", "bid": 401.0, "ask": 401.2},
]


class QuoteSource:
    """One port of the machine's loopback; `takes` says which tokens it takes."""

    def __init__(self, authority: Authority) -> None:
        self.takes: Callable[[str], bool] = lambda _: False
        self.asked: list[tuple[str, str]] = []  # path and Authorization of each request
        self.is_chunked = False
        self.authority = authority  # who vouches for its certificate
        self._server = ThreadingHTTPServer(("localhost", 0), self._handler())
        self._server.socket = authority.serving.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def base(self) -> str:
        return f"https://localhost:{self._server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        source = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                authorization = self.headers.get("Authorization", "")
                source.asked.append((self.path, authorization))
                taken = source.takes(authorization.removeprefix("Bearer "))
                body = json.dumps(QUOTES if taken else {"error": "invalid_token"}).encode()
                self.send_response(200 if taken else 401)
                self.send_header("Content-Type", "application/json")
                if source.is_chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                    body = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
                else:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


@contextmanager
def quote_source(authority: Authority) -> Iterator[QuoteSource]:
    """Yield a source that runs, with a certificate of this authority."""
    source = QuoteSource(authority)
    source._thread.start()
    try:
        yield source
    finally:
        source._server.shutdown()
        source._server.server_close()
        source._thread.join()
