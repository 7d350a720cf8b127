"""A simulated gateway that takes kdb+ clients, with a daemon and an issuer behind it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sessiond.config.credentials import new_key
from sessiond.demo.actor import Actor
from sessiond.qipc import Accepted, ClientConnection, QError, Response, Value, string
from sessiond.testing import FakeIssuer
from tests.integration.conftest import Start
from tests.running_daemon import RunningDaemon

PATIENCE = 20.0  # seconds that a client waits before its test fails
CONFIGURATION = """\
[listen]
port = {{port}}
directory = "{{folder}}"
proof_key_file = "{{folder}}/proof.key"
control = "{{folder}}/c"
[store]
path = "{{folder}}/sessiond.db"
[[issuer]]
name = "corp"
issuer = "{issuer}"
insecure_http = true
refresh_client_id = "qstudio"
{verify}
"""
JWT = 'verify = "jwt"\naudience = ["api://kdb"]'
INTROSPECTION = """\
verify = "introspection"
client_id = "sessiond"
client_secret_file = "{folder}/secret"
user_claim = "preferred_username"
"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Who plays in a test; clients come to `port` of loopback."""

    issuer: FakeIssuer
    daemon: RunningDaemon
    process: Actor
    port: int
    is_opaque: bool  # what the issuer gives

    def password(self, user: str = "alice") -> str:
        """Sign a user in; return the pair that a client sends in place of a password."""
        tokens = self.issuer.sign_in(user, is_opaque=self.is_opaque)
        return f"{tokens.access.reveal()};{tokens.refresh.reveal()}"

    def token(self, user: str = "alice") -> str:
        """Sign a user in; return the access token alone."""
        return self.issuer.sign_in(user).access.reveal()


@contextmanager
def gateway(start: Start, folder: Path, verify: str = JWT) -> Iterator[Gateway]:
    """Yield a gateway that has found its daemon.

    Args:
        start: Starts the daemon.
        folder: Where it keeps everything.
        verify: How it verifies, JWT or INTROSPECTION.
    """
    key_file, secret_file = folder / "proof.key", folder / "secret"
    for file in (key_file, secret_file):
        file.touch(mode=0o600)
        file.write_text(f"{new_key().reveal()}\n", encoding="ascii")
    issuer = FakeIssuer()
    with issuer.serve() as url:
        daemon = start(CONFIGURATION.format(issuer=url, verify=verify))
        given = ("--name", "gw1", "--address", daemon.path, "--key-file", str(key_file))
        with Actor("gw1", "sessiond.demo.process", *given, "--port", "0") as process:
            port = process.expect("listening")["port"]
            process.expect("reconciled")
            yield Gateway(issuer, daemon, process, port, is_opaque=verify is INTROSPECTION)


class Client:
    """A kdb+ client as plain as one can be."""

    def __init__(self, port: int, greeting: bytes = b"") -> None:
        """Call, and send that."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.sendall(greeting)
        self._wire = ClientConnection(1 << 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @classmethod
    def logged_in(cls, port: int, user: str, password: str) -> Self:
        """Log in, or fail."""
        client = cls(port)
        client.socket.sendall(client._wire.greeting(user, password))
        assert isinstance(client._next(), Accepted), "refused"
        return client

    def ask(self, query: str | Value) -> Value | QError:
        """Ask and wait for the answer."""
        value = string(query) if isinstance(query, str) else query
        self.socket.sendall(self._wire.sync(value))
        return self.answer()

    def tell(self, value: Value) -> None:
        """Call and wait for nothing."""
        self.socket.sendall(self._wire.async_(value))

    def answer(self) -> Value | QError:
        """Wait for the answer to the oldest question."""
        event = self._next()
        assert isinstance(event, Response)
        return event.value

    def is_closed(self) -> bool:
        """Wait for the other end to close the connection, whatever it sends before."""
        with suppress(ConnectionError):
            while self.socket.recv(65536):
                pass
        return True

    def _next(self) -> object:
        while (event := self._wire.next_event()) is None:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the gateway closed the connection")
            self._wire.receive_data(data)
        return event
