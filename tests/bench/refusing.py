"""A token endpoint that refuses every refresh, and knows when it did."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs

BODY = b'{"error":"invalid_grant"}'


class RefusingEndpoint:
    """Serves on a loopback port, in threads, until left."""

    def __init__(self) -> None:
        self.refused_at: dict[str, float] = {}  # by refresh token, monotonic, as the answer is sent
        refused_at = self.refused_at

        class Refusing(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # keeps connections, as issuers do
            wbufsize = -1  # one write for head and body: no wait for an acknowledgement

            def do_POST(self) -> None:
                """Answer as RFC 6749, 5.2 has it."""
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                self.send_response(400)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(BODY)))
                self.end_headers()
                self.wfile.write(BODY)
                refused_at[parse_qs(form)["refresh_token"][0]] = time.monotonic()
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
