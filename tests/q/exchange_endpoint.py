"""A token endpoint that exchanges users' access tokens (RFC 8693), for an issuer that does not."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class ExchangeEndpoint:
    """One port of the machine's loopback; `issued` are the tokens that it gave, and for whom."""

    def __init__(self, user_of: Callable[[str], str | None]) -> None:
        self.issued: dict[str, str] = {}
        self._user_of = user_of
        self._server = ThreadingHTTPServer(("localhost", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        return f"http://localhost:{self._server.server_address[1]}/token"

    def exchanged(self, form: dict[str, str]) -> dict[str, object]:
        """Return what the endpoint answers; an `error` where it gives none."""
        user = self._user_of(form.get("subject_token", ""))
        if user is None:
            return {"error": "invalid_grant"}
        token = f"token-number-{len(self.issued)}-of-its-own"
        self.issued[token] = user
        return {
            "access_token": token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": 300,
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                answer = endpoint.exchanged(form)
                content = json.dumps(answer).encode()
                self.send_response(400 if "error" in answer else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


@contextmanager
def exchange_endpoint(user_of: Callable[[str], str | None]) -> Iterator[ExchangeEndpoint]:
    """Yield one that runs; `user_of` says whose access token that is, if it is one."""
    endpoint = ExchangeEndpoint(user_of)
    endpoint._thread.start()
    try:
        yield endpoint
    finally:
        endpoint._server.shutdown()
        endpoint._server.server_close()
        endpoint._thread.join()
