"""Everybody in the story, and the folder where their sockets, keys and database are."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from sessiond.config.credentials import new_key
from sessiond.demo.actor import Actor, StepFailedError
from sessiond.demo.issuer import API, CLIENT, FEEDS, NAME, RISK, SECRETS
from sessiond.demo.person import Person
from sessiond.demo.quotes import AUDIENCE, SCOPE

LIFE = 90  # seconds of an access token; `sessiond-login` gives none that is good for less than 60
SHARE = 0.07  # of it, after which a refresh is seen; by itself sessiond waits for 60 %
PORT = 5099  # of a Unix socket in a folder of its own, so it is free
GATEWAYS = ("gateway1", "gateway2")
BEHIND, FEED = "rdb1", "feed1"  # an rdb that gateways ask, and a feed that reads a source
SHARERS = ("risk1", "risk2")
QUOTES = "quotes"  # the source's name
ALICE = "alice"
SESSIONCTL = "from sessiond.ctl import main; main()"

CONFIGURATION = f"""\
[listen]
port = {PORT}
directory = "{{folder}}"
proof_key_file = "{{folder}}/proof.key"
control = "{{folder}}/control.sock"

[store]
path = "{{folder}}/sessiond.db"

[refresh]
share = {SHARE}
jitter = 0.005

[[issuer]]
name = "{NAME}"
issuer = "{{issuer}}"
insecure_http = true
verify = "jwt"
audience = ["{API}"]
required_scope = "session.login"
refresh_client_id = "{CLIENT}"

[issuer.roles]
"kdb.read" = "reader"

[tickets]
audiences = ["{BEHIND}"]

[[source]]
name = "{QUOTES}"
issuer = "{NAME}"
client_id = "{FEEDS}"
client_secret_file = "{{folder}}/{FEEDS}"
scope = "{SCOPE}"
resource = "{AUDIENCE}"
processes = ["{FEED}"]

[stores]
users = [{{uid}}]

[[access.process]]
name = "{BEHIND}"
peers = [{{uid}}]

[[access.process]]
name = "{FEED}"
peers = [{{uid}}]
"""


class Stage:
    """Started by `set_up`; whatever happens then, leaving the context stops them all."""

    issuer: Actor
    daemon: Actor
    gateways: tuple[Actor, ...] = ()
    rdb: Actor
    feed: Actor
    source: Actor
    sharers: tuple[Actor, ...] = ()
    alice: Person
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
        """Start the issuer, the daemon and the q processes, and make a home for alice.

        Raises:
            StepFailedError: One of the first two is not ready in time.
        """
        self.issuer = self._start("issuer", "sessiond.demo.issuer", "--life", str(LIFE))
        self.url = self.issuer.expect("ready")["issuer"]
        key_file = self._keep("proof.key", new_key().reveal())
        secrets = {client: self._keep(client, secret) for client, secret in SECRETS.items()}
        configuration = CONFIGURATION.format(folder=self.folder, issuer=self.url, uid=os.getuid())
        self._configuration.write_text(configuration, encoding="utf-8")
        self.start_daemon()
        address = ("--address", f"{self.folder}/kx.{PORT}", "--key-file", str(key_file))
        self.gateways = tuple(self._process(name, *address, "--port", "0") for name in GATEWAYS)
        self.rdb = self._process(BEHIND, *address, "--port", "0")
        self.feed = self._process(FEED, *address)
        self.source = self._start("source", "sessiond.demo.source", "--issuer", self.url)
        where = ("--control", f"{self.folder}/control.sock", "--issuer", self.url)
        proof = ("--client", RISK, "--secret-file", str(secrets[RISK]))
        self.sharers = tuple(
            self._start(name, "sessiond.demo.sharer", *where, *proof) for name in SHARERS
        )
        home = self.folder / ALICE
        home.mkdir(mode=0o700)
        self.alice = Person(ALICE, home)

    def write_profile(self) -> None:
        """Have `sessionctl` write what alice's machine must know, from the daemon's file.

        Raises:
            StepFailedError: It does not.
        """
        self.alice.profile.parent.mkdir(parents=True)
        asked = ["--config", str(self._configuration), "client-profile"]
        run = subprocess.run(
            [sys.executable, "-c", SESSIONCTL, *asked, "-o", str(self.alice.profile)],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != os.EX_OK:
            raise StepFailedError(f"sessionctl client-profile: {run.stderr.strip()}")

    def start_daemon(self) -> None:
        """Start the daemon, or start it again, and wait until it is ready."""
        file = str(self._configuration)
        self.daemon = self._start("sessiond", "sessiond", "run", "--config", file)
        self.daemon.expect("ready")

    def log(self) -> Iterator[str]:
        """Yield what the daemons have logged, and what others said in no report: tracebacks.

        A daemon is stopped first: it answers before it logs, so the last lines may yet be due.
        """
        for actor in self._actors:
            if actor.name == "sessiond":
                with suppress(StepFailedError):
                    actor.stop()
            for line in actor.lines:
                if actor.name == "sessiond":
                    yield line
                elif not line.startswith("{"):
                    yield f"{actor.name}: {line}"

    @property
    def _configuration(self) -> Path:
        return self.folder / "sessiond.toml"

    def _keep(self, name: str, secret: str) -> Path:
        """Write a secret into a file of its own."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(f"{secret}\n", encoding="ascii")
        return file

    def _process(self, name: str, *arguments: str) -> Actor:
        return self._start(name, "sessiond.demo.process", "--name", name, *arguments)

    def _start(self, name: str, module: str, *arguments: str) -> Actor:
        actor = self._stack.enter_context(Actor(name, module, *arguments))
        self._actors.append(actor)
        return actor
