"""A webhook receiver of the tests' own: real TLS, answers good and bad, and what was received."""

import base64
import hashlib
import hmac
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from uuid import UUID

import trustme
from sessiond_webhook.settings import WebhookSettings
from sessiond_webhook.webhook import Webhook

from sessiond.api import Event, LoginRefused, ProcessAbout, SessionRevoked, settings_of

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PATIENCE = 20.0  # seconds that a test waits for the other side before it fails
ACCEPTED = b"HTTP/1.1 204 No Content\r\n\r\n"

Behave = Callable[[socket.socket], None]


def answering(status: int, *headers: str, body: bytes = b"no") -> Behave:
    """Return what answers with a status."""
    lines = [f"HTTP/1.1 {status} Words", f"content-length: {len(body)}", *headers, "", ""]
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + body)


def never(connection: socket.socket) -> None:
    """Say nothing until the other side has hung up."""
    while connection.recv(65536):
        pass


def huge(connection: socket.socket) -> None:
    """Accept, with an answer of 16 MiB."""
    answering(200, body=bytes(1 << 24))(connection)


def half_an_answer(connection: socket.socket) -> None:
    """Accept, and leave out most of the answer."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
    never(connection)


def endless_before_the_status(connection: socket.socket) -> None:
    """Begin to answer again and again, and never do."""
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")


def hang_up(connection: socket.socket) -> None:
    """Close without an answer."""
    connection.close()


def reset(connection: socket.socket) -> None:
    """Drop the connection as a crashed machine's successor does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def accept(connection: socket.socket) -> None:
    connection.sendall(ACCEPTED)


@dataclass(frozen=True, slots=True)
class Request:
    """What was received."""

    line: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Listens over TLS; answers with `behaviours` in turn, then accepts."""

    def __init__(self, authority: trustme.CA, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self._trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self._trust)
        self._listener = socket.create_server((address, port))
        self.port: int = self._listener.getsockname()[1]
        self.behaviours: list[Behave] = []
        self.connections = 0
        self.requests: list[Request] = []
        self.received: queue.Queue[Request] = queue.Queue()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(PATIENCE)
        with raw, suppress(OSError), self._trust.wrap_socket(raw, server_side=True) as connection:
            while request := _read(connection):
                self.requests.append(request)
                self.received.put(request)
                (self.behaviours.pop(0) if self.behaviours else accept)(connection)


def _read(connection: socket.socket) -> Request | None:
    stream = b""
    while b"\r\n\r\n" not in stream:
        data = connection.recv(65536)
        if not data:
            return None
        stream += data
    head, _, body = stream.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in rest)}
    assert len(headers) == len(rest)  # no header comes twice
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return Request(line, headers, body)


class FakeClock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.elapsed = 0.0

    def now(self) -> float:
        return 1_795_253_400.0 + self.elapsed

    def monotonic(self) -> float:
        return 100.0 + self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds

    def draw(self) -> float:
        return 0.0


def webhook(keys: Mapping[str, object], clock: FakeClock | None = None) -> Webhook:
    """Return a webhook with these settings, whose pauses take no time."""
    return Webhook(settings_of(WebhookSettings, keys), clock or FakeClock())


def secret_file(path: Path, *lines: str, mode: int = 0o600) -> str:
    """Write a file with secrets, and return its path."""
    path.write_text("".join(line + "\n" for line in lines))
    path.chmod(mode)
    return str(path)


def signatures(request: Request, secret: str) -> list[bool]:
    """Return of each signature of a request whether this secret made it.

    After the text of standardwebhooks.com, "Signature scheme", and nothing of the plugin's.
    """
    key = base64.b64decode(secret.split("_", 1)[1])
    signed = b".".join(
        [
            request.headers["webhook-id"].encode(),
            request.headers["webhook-timestamp"].encode(),
            request.body,
        ]
    )
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    found = [each.split(",") for each in request.headers["webhook-signature"].split(" ")]
    assert {scheme for scheme, _ in found} == {"v1"}
    return [hmac.compare_digest(text, expected) for _, text in found]


def revoked(sequence: int, *, reason: str = "operator", detail: str = "") -> Event:
    """Return an event of a session; each number has its own second."""
    return SessionRevoked(
        sequence=sequence,
        at=AT + timedelta(seconds=sequence),
        session=UUID(int=sequence),
        user="alice@example.com",
        issuer="corp",
        process=ProcessAbout(name="gw1", type="gateway", host="host1", pid=4711),
        handle=6,
        roles=("trader",),
        expires_at=AT + timedelta(hours=1),
        reason=reason,
        detail=detail,
    )


def refused(sequence: int, *, user: str = "bob@example.com") -> Event:
    """Return an event of no session."""
    return LoginRefused(
        sequence=sequence,
        at=AT + timedelta(seconds=sequence),
        user=user,
        issuer="corp",
        reason="expired",
        count=3,
    )
