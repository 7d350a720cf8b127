"""Where a browser comes back to: a port of this machine, for one sign-in (RFC 8252, 7.3)."""

import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

from sessiond.core.errors import SessiondError

HOST = "127.0.0.1"
PATH = "/"
SILENCE = 5.0  # seconds that a connection may keep others waiting
MAX_FIELDS = 30
_DONE = "Signed in. You can close this page, and go on where you came from.\n"
_NOT_THIS = "This is not the answer to the sign-in that is under way. Nothing has happened.\n"
_FAILED = "The sign-in did not work out. See where you began it.\n"

Taken = Callable[[Mapping[str, str]], bool | None]


class ComingBack:
    """A server for one answer. Whoever else comes is shown a page, and changes nothing."""

    def __init__(self, port: int = 0) -> None:
        """Listen; 0 is any port that is free.

        Raises:
            OSError: The port is taken.
        """
        self._server = _Server((HOST, port), _Handler)
        self.redirect_uri = f"http://{HOST}:{self._server.server_port}{PATH}"

    def __enter__(self) -> "ComingBack":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait(self, take: Taken, *, seconds: float) -> bool:
        """Give what comes to `take`, until it is the answer; return False when time is over.

        Args:
            take: Says what a visit's parameters come to: True, it worked out; False, it did not;
                None, they are no answer to this sign-in.
            seconds: To wait at most.

        Raises:
            SessiondError: `take` has raised it; the browser was shown that it did not work out.
        """
        self._server.take, self._server.is_over = take, False
        until = time.monotonic() + seconds  # noqa: TID251 - a person's time
        while not self._server.is_over:
            left = until - time.monotonic()  # noqa: TID251 - a person's time
            if left <= 0:
                return False
            self._server.timeout = left
            self._server.handle_request()
        if self._server.error is not None:
            raise self._server.error
        return True


class _Server(HTTPServer):
    allow_reuse_address = False  # nobody else is to listen there too
    take: Taken
    is_over = False
    error: SessiondError | None = None  # what `take` has raised


class _Handler(BaseHTTPRequestHandler):
    """One visit: a GET of the page that the issuer sends the browser to."""

    server: _Server
    timeout = SILENCE

    def do_GET(self) -> None:
        """Answer it."""
        parts = urlsplit(self.path)
        host = f"{HOST}:{self.server.server_port}"
        try:
            fields = parse_qsl(parts.query, max_num_fields=MAX_FIELDS, keep_blank_values=True)
        except ValueError:
            fields = [("", ""), ("", "")]
        params = dict(fields)
        if parts.path != PATH or self.headers.get("host") != host or len(params) < len(fields):
            self._show(404, _NOT_THIS)
            return
        try:
            taken = self.server.take(params)
        except SessiondError as error:
            self.server.error, taken = error, False
        self.server.is_over = taken is not None
        self._show(200, {True: _DONE, False: _FAILED, None: _NOT_THIS}[taken])

    def log_message(self, *_: object) -> None:
        """Log nothing: a code is in the line."""

    def _show(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.send_header("referrer-policy", "no-referrer")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True
