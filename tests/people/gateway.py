"""The daemon with a gateway before it, where a person's kdb+ clients come in by TCP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sessiond.demo.actor import Actor
from tests import canary
from tests.running_daemon import RunningDaemon

KEY = "proof-of-the-tests-0123456789abcdef"
PROVING = 'proof_key_file = "{folder}/proof.key"'  # for `[listen]` of the daemon's configuration


@dataclass(frozen=True, slots=True)
class Gateway:
    """A simulated q process: real kdb+ IPC, and what the hook in a gateway does."""

    actor: Actor
    port: int  # on loopback
    daemon: RunningDaemon

    def wait_for_leases(self, count: int, then: Callable[[], None] = lambda: None) -> None:
        """Wait until the daemon has refreshed so often more; `then` is told after each."""
        for _ in range(count):
            self.actor.expect("refreshed")
            then()

    def sessions(self) -> list[UUID]:
        """Return the sessions that the daemon has here."""
        self.actor.tell(do="sessions")
        return [UUID(each) for each in self.actor.expect("sessions")["sessions"]]


def prepared(folder: Path) -> Path:
    """Write the proof's key, which the daemon and its gateways share; return its file."""
    file = folder / "proof.key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    return file


@contextmanager
def gateway(daemon: RunningDaemon) -> Iterator[Gateway]:
    """Run one beside a daemon; nothing that it tells may hold a token."""
    arguments = (
        *("--name", "gateway1", "--address", daemon.path),
        *("--key-file", str(daemon.folder / "proof.key"), "--port", "0"),
    )
    with Actor("gateway1", "sessiond.demo.process", *arguments) as actor:
        port = actor.expect("listening")["port"]
        actor.expect("connected")
        yield Gateway(actor, port, daemon)
    print("".join(actor.lines))  # pytest shows it where a test fails
    assert canary.found_in("".join(actor.lines).encode()) == set()
