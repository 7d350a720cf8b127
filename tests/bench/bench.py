"""What every measurement works with: issuers, the floor, the generator, and daemons of its own."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.bench.fast_issuer import FastIssuer
from tests.bench.figures import Figures, against, against_peer, medians, of_load
from tests.bench.floor import Floor
from tests.bench.load import Generator, Load, Plan
from tests.bench.minting import AUDIENCE, user_name
from tests.bench.speech import Login
from tests.issuer.running import SERVICE, RunningIssuer
from tests.running_daemon import DAEMON, Issuer, RunningDaemon, configuration

FLOOR = "floor"
FLOOR_LOGINS = 200  # a round beside a measurement that has none of its own
# Nobody is refused because 500 ask at once, and nothing ends while it is measured.
PATIENT = "deadline = 30.0\nunbound = 600.0"
FEW = 10  # the part of the work that a quick run does


class Server(Protocol):
    """Whom a load is made on."""

    @property
    def address(self) -> bytes: ...

    @property
    def pid(self) -> int: ...


@dataclass(frozen=True)
class Bench:
    """The parts that all measurements share."""

    issuer: RunningIssuer  # npm's oidc-provider
    fast: FastIssuer
    floor: Floor
    generator: Generator
    folder: Path  # on the disk to be measured; short, for a Unix socket's address
    is_quick: bool = False  # for trying: a tenth of the work, one round
    _minted: dict[str, list[Login]] = field(default_factory=dict)

    def few(self, count: int, least: int = 20) -> int:
        """Return how much of something to do."""
        return max(count // FEW, least) if self.is_quick else count

    def rounds(self, count: int) -> int:
        """Return how many rounds to take."""
        return 1 if self.is_quick else count

    def minted(self, prefix: str, count: int) -> list[Login]:
        """Return logins at the fast issuer, each of another user, made once in a run."""
        known = self._minted.setdefault(prefix, [])
        for number in range(len(known), count):
            user = user_name(prefix, number)
            known.append((user, self.fast.minting.token(user)))
        return known[:count]

    @contextmanager
    def daemon(self, *, extra: str = "", **sections: str) -> Iterator[RunningDaemon]:
        """Run a daemon on a new database; arguments as for `configuration`."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            text = configuration(self.issuer, extra=extra, **sections)
            with RunningDaemon(Path(name), text) as daemon:
                yield daemon

    @contextmanager
    def fast_daemon(
        self,
        folder: Path | None = None,
        *,
        extra: str = "",
        program: Sequence[str] = DAEMON,
        **sections: str,
    ) -> Iterator[RunningDaemon]:
        """Run a daemon of the fast issuer, on a new database unless one is in `folder`."""
        sections.setdefault("login", PATIENT)
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            if "verify" not in extra:
                extra += f'\nverify = "jwt"\naudience = ["{AUDIENCE}"]\ntyp = ["JWT"]'
            text = configuration(self.fast, extra=extra, **sections)
            with RunningDaemon(folder or Path(name), text, program=program) as daemon:
                yield daemon

    @contextmanager
    def introspecting_daemon(
        self, *, extra: str = "", issuer: Issuer | None = None
    ) -> Iterator[RunningDaemon]:
        """Run a daemon that asks the issuer, npm's unless another is named, for each token."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            secret = Path(name) / "secret"
            secret.touch(mode=0o600)
            secret.write_text(SERVICE[1])
            asking = f'verify = "introspection"\nclient_secret_file = "{secret}"\n{extra}'
            if issuer is None:
                text = configuration(self.issuer, extra=asking)
                text = text.replace('"qstudio"', '"qstudio-opaque"')
            else:
                text = configuration(issuer, extra=f"{asking}\ntimeout = 10.0", login=PATIENT)
            with RunningDaemon(Path(name), text) as daemon:
                yield daemon

    def load(
        self,
        server: Server,
        logins: Sequence[Sequence[Login]],
        *,
        kind: str = "sessiond",
        opens: bool = True,
        closes: bool = True,
        meanwhile: Login | None = None,
        pause: float = 0.0,
    ) -> Load:
        """Have the generator make a load; arguments as for Plan."""
        return self.generator.run(
            Plan(
                server.address,
                server.pid,
                (self.issuer.pid, self.fast.pid),
                logins,
                kind=kind,
                opens=opens,
                closes=closes,
                meanwhile=meanwhile,
                pause=pause,
            )
        )

    def floor_round(self, connections: int = 1, count: int = FLOOR_LOGINS) -> Load:
        """Have the same generator make a round of the floor."""
        logins = dealt(self.minted("floor", self.few(count, connections)), connections)
        return must_be_accepted(self.load(self.floor, logins, kind=FLOOR))


def dealt(logins: list[Login], connections: int) -> list[list[Login]]:
    """Deal logins out to connections."""
    return [logins[number::connections] for number in range(connections)]


def taking_turns(
    rounds: int,
    contestants: Mapping[str, Callable[[int], Load]],
    peers: Mapping[str, str] | None = None,
) -> dict[str, Figures]:
    """Have each make one round after the other; return each one's medians, and against the floor.

    A ratio is that to another of the same round, so that a busy machine is felt by both.

    Args:
        rounds: How many.
        contestants: By name, what makes a load, given the number of the round; with the floor.
        peers: By name, whom it is compared with besides, where that one takes part.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, load in contestants.items():
            found[name].append(of_load(must_be_accepted(load(number))))
        floor = found[FLOOR][-1]
        for name in contestants:
            found[name][-1] |= against(floor, found[name][-1])
        for name, peer in (peers or {}).items():
            if peer in found:
                found[name][-1] |= against_peer(found[peer][-1], found[name][-1])
    return {name: medians(figures) for name, figures in found.items()}


def must_be_accepted(load: Load) -> Load:
    """Return the load; a measurement of refusals would mislead.

    Raises:
        RuntimeError: A login was refused.
    """
    refused = {reason: n for reason, n in load.outcomes.items() if reason}
    if refused:
        raise RuntimeError(f"logins were refused: {refused}")
    return load
