"""A token endpoint that answers each path in its own hostile way."""

import gzip
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

BOMB = gzip.compress(b"\0" * 50_000_000)
YEARS = "315360000"  # seconds: ten of them


def _json(text: str, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(text)}", "", text]).encode()


def _token(**members: str) -> bytes:
    found = {"access_token": '"opaque"', "token_type": '"Bearer"', "expires_in": "300", **members}
    return _json("{" + ", ".join(f'"{name}": {value}' for name, value in found.items()) + "}")


# By path: what is answered, and the reason that who asks is told; None: it is a token all the same.
ANSWERS: dict[str, tuple[bytes, str | None]] = {
    "bomb": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
        + BOMB,
        "unavailable",
    ),
    "redirect": (
        _json("", "307 Temporary Redirect", "Location: http://127.0.0.1:1/"),
        "unavailable",
    ),
    "years": (_json("{}", "429 Too Many", f"Retry-After: {YEARS}"), "throttled"),
    "ours": (_json('{"error": "invalid_client"}', "401 No"), "refused"),
    "guard": (_json('{"error": "access_denied"}', "403 No"), "unavailable"),
    "mac": (_token(token_type='"MAC"'), "unavailable"),
    "megabyte": (_token(access_token='"' + "x" * 1_000_000 + '"'), "unavailable"),
    "large": (_token(access_token='"' + "x" * 400_000 + '"'), "unavailable"),
    "lines": (_token(access_token='"a\\noauthexpiresin=9"'), "unavailable"),
    "number": (_token(access_token="7"), "unavailable"),
    "negative": (_token(expires_in="-1e300"), None),
    "below": (_token(expires_in="-5"), "unavailable"),
    "endless-life": (_token(expires_in="1e300"), None),
    "text": (_token(expires_in='"soon"'), None),
    "nan": (_token(expires_in="NaN"), "unavailable"),
    "other-kind": (
        _token(issued_token_type='"urn:ietf:params:oauth:token-type:saml2"'),
        "unavailable",
    ),
    "twice": (_token() + _token(), None),
    "headers": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "unavailable"),
    "half": (_token()[:-9], "unavailable"),
    "silent": (b"", "unavailable"),
    "endless": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "unavailable"),
}
PIECE = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


class HostileEndpoint:
    """Serves at a port of its own."""

    def __init__(self, listener: socket.socket) -> None:
        self.port = listener.getsockname()[1]
        self.calls: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()  # bytes
        self._listener = listener
        self._open: list[socket.socket] = []

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connected, _ = self._listener.accept()
                self._open.append(connected)
                threading.Thread(target=self._answer, args=(connected,), daemon=True).start()

    def close(self) -> None:
        for each in self._open:
            each.close()

    def _answer(self, connected: socket.socket) -> None:
        with suppress(OSError):
            path = connected.recv(65_536).split(b" ", 2)[1].decode().strip("/")
            self.calls[path] += 1
            connected.sendall(ANSWERS[path][0])
            while path == "endless":
                connected.sendall(PIECE)
                self.sent[path] += len(PIECE)


@contextmanager
def hostile_endpoint() -> Iterator[HostileEndpoint]:
    """Serve until the block ends."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=128)) as listener:
        served = HostileEndpoint(listener)
        thread = threading.Thread(target=served.serve, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            served.close()
            thread.join()
