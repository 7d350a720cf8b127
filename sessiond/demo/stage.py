"""Everybody in the story, and the folder where their sockets, keys and database are."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from sessiond.config.credentials import new_key
from sessiond.demo.actor import Actor
from sessiond.demo.issuer import API, CLIENT

LIFE = 10  # seconds of an access token: the least in which a refresh ahead of time is seen
PORT = 5099  # of a Unix socket in a folder of its own, so it is free
GATEWAYS = ("gateway1", "gateway2")

CONFIGURATION = f"""\
[listen]
port = {PORT}
directory = "{{folder}}"
proof_key_file = "{{folder}}/proof.key"
control = "{{folder}}/control.sock"

[store]
path = "{{folder}}/sessiond.db"

[[issuer]]
name = "development"
issuer = "{{issuer}}"
insecure_http = true
verify = "jwt"
audience = ["{API}"]
required_scope = "session.login"
refresh_client_id = "{CLIENT}"

[issuer.roles]
"kdb.read" = "reader"
"""


class Stage:
    """Started by `set_up`; whatever happens then, leaving the context stops them all."""

    issuer: Actor
    daemon: Actor
    gateways: tuple[Actor, ...] = ()
    url: str  # the issuer's

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._actors: list[Actor] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def set_up(self) -> None:
        """Start the issuer, the daemon, and the q processes.

        Raises:
            StepFailedError: One of the first two is not ready in time.
        """
        self.issuer = self._start("issuer", "sessiond.demo.issuer", "--life", str(LIFE))
        self.url = self.issuer.expect("ready")["issuer"]
        key_file = self.folder / "proof.key"
        key_file.touch(mode=0o600)
        key_file.write_text(f"{new_key().reveal()}\n", encoding="ascii")
        configuration = CONFIGURATION.format(folder=self.folder, issuer=self.url)
        (self.folder / "sessiond.toml").write_text(configuration, encoding="utf-8")
        self.start_daemon()
        address = ("--address", f"{self.folder}/kx.{PORT}", "--key-file", str(key_file))
        self.gateways = tuple(
            self._start(name, "sessiond.demo.process", "--name", name, *address)
            for name in GATEWAYS
        )

    def start_daemon(self) -> None:
        """Start the daemon, or start it again, and wait until it is ready."""
        configuration = self.folder / "sessiond.toml"
        self.daemon = self._start("sessiond", "sessiond", "run", "--config", str(configuration))
        self.daemon.expect("ready")

    def log(self) -> Iterator[str]:
        """Yield what the daemons have logged, and what others said in no report: tracebacks."""
        for actor in self._actors:
            for line in actor.lines:
                if actor.name == "sessiond":
                    yield line
                elif not line.startswith("{"):
                    yield f"{actor.name}: {line}"

    def _start(self, name: str, module: str, *arguments: str) -> Actor:
        actor = self._stack.enter_context(Actor(name, module, *arguments))
        self._actors.append(actor)
        return actor
