"""What every measurement works with: an issuer, the generator, and daemons of its own."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import Generator, Load, Login, Plan
from tests.issuer.running import SERVICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts that all measurements share."""

    issuer: RunningIssuer
    generator: Generator
    folder: Path  # on the disk to be measured; short, for a Unix socket's address

    @contextmanager
    def daemon(self, *, extra: str = "", **sections: str) -> Iterator[RunningDaemon]:
        """Run a daemon on a new database; arguments as for `configuration`."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            text = configuration(self.issuer, extra=extra, **sections)
            with RunningDaemon(Path(name), text) as daemon:
                yield daemon

    @contextmanager
    def introspecting_daemon(self, *, extra: str = "") -> Iterator[RunningDaemon]:
        """Run a daemon that asks the issuer for each token."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            secret = Path(name) / "secret"
            secret.touch(mode=0o600)
            secret.write_text(SERVICE[1])
            asking = f'verify = "introspection"\nclient_secret_file = "{secret}"\n{extra}'
            text = configuration(self.issuer, extra=asking)
            text = text.replace('"qstudio"', '"qstudio-opaque"')
            with RunningDaemon(Path(name), text) as daemon:
                yield daemon

    def load(
        self,
        daemon: RunningDaemon,
        logins: Sequence[Sequence[Login]],
        *,
        opens: bool = True,
        closes: bool = True,
        meanwhile: Login | None = None,
    ) -> Load:
        """Have the generator make a load; arguments as for Plan."""
        return self.generator.run(
            Plan(
                daemon.address,
                daemon.pid,
                self.issuer.pid,
                logins,
                opens=opens,
                closes=closes,
                meanwhile=meanwhile,
            )
        )


def dealt(logins: list[Login], connections: int) -> list[list[Login]]:
    """Deal logins out to connections."""
    return [logins[number::connections] for number in range(connections)]


def must_be_accepted(load: Load) -> Load:
    """Return the load; a measurement of refusals would mislead.

    Raises:
        RuntimeError: A login was refused.
    """
    refused = {reason: n for reason, n in load.outcomes.items() if reason}
    if refused:
        raise RuntimeError(f"logins were refused: {refused}")
    return load
