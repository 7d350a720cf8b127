"""What grows with the sessions in the table: start, stop, memory, and the cost of a login."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from unittest.mock import patch

from sessiond.testing import FakeProcess
from tests import running_daemon
from tests.bench.bench import FLOOR, Bench, taking_turns
from tests.bench.figures import Figures, Row, medians
from tests.bench.load import Load
from tests.bench.machine import cpu_seconds, resident_mib
from tests.bench.minting import REFRESH_BYTES
from tests.bench.speech import Login
from tests.many_sessions import fill
from tests.running_daemon import RunningDaemon

SIZES = (0, 1000, 10_000, 100_000)
STARTS = 3
ROUNDS = 5
LOGINS = 400  # a round
PATIENCE = 300.0  # seconds for a start
SECTIONS = {"login": "grace = 600.0\nunbound = 600.0"}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure databases that were made for it: a user, a grant and a refresh token a session."""
    sizes = [bench.few(each, 0) for each in SIZES]
    known = bench.minted("seen", 1)[0]
    with ExitStack() as stack, patch.object(running_daemon, "READY_WITHIN", PATIENCE):
        daemons = {}
        lives: dict[int, Figures] = {}
        for size in sizes:
            folder = bench.folder / f"grown{size}"
            folder.mkdir()
            _fill(folder / "sessiond.db", size)
            daemons[size] = stack.enter_context(bench.fast_daemon(folder, **SECTIONS))
            rounds = bench.rounds(STARTS)
            lives[size] = medians([_life(daemons[size], known) for _ in range(rounds)])
        rounds = bench.rounds(ROUNDS)
        logins = bench.few(LOGINS)
        unseen = iter(bench.minted("unseen", rounds * logins * len(sizes)))
        contestants: dict[str, Callable[[int], Load]] = {FLOOR: lambda _: bench.floor_round()}
        for size in sizes:
            contestants[str(size)] = _colds(bench, daemons[size], unseen, logins)
        found = taking_turns(rounds, contestants)
    for size in sizes:
        life = lives[size]
        each = 1024 * (life["MiB"] - lives[0]["MiB"]) / size if size else 0.0
        note = f"{each:.1f} KiB a session" if size else ""
        yield Row(
            f"{size:,} sessions: cold login, 1 connection",
            {**found[str(size)], "KiB each": each, "MiB": life["MiB"]},
            note,
            f"sessions.{size}",
        )
        yield Row(
            "- exec to the first login's answer",
            {"max ms": life["start ms"], "start CPU": life["start CPU"]},
            f"{life['start CPU']:.2f} s of CPU time",
            f"start.{size}",
        )
        yield Row("- SIGTERM to exit", {"max ms": life["stop ms"]}, key=f"stop.{size}")


def _fill(database: Path, size: int) -> None:
    later = datetime.now(UTC) + timedelta(days=10)
    if size:
        fill(
            database,
            size,
            refresh_at=later,
            expires_at=later + timedelta(days=10),
            refresh_bytes=REFRESH_BYTES,
        )


def _colds(
    bench: Bench, daemon: RunningDaemon, unseen: Iterator[Login], logins: int
) -> Callable[[int], Load]:
    return lambda _: bench.load(daemon, [list(islice(unseen, logins))], opens=False)


def _life(daemon: RunningDaemon, login: Login) -> dict[str, float]:
    """Stop the daemon and start it; return what its end and its begin took, in milliseconds."""
    began = time.monotonic()
    daemon.stop()
    stopped = time.monotonic()
    daemon._begin()
    process = _first(daemon)
    with process:
        process.hello()
        process.log_in(*login)
        answered = time.monotonic()
        cpu = cpu_seconds(daemon.pid)
        daemon._wait_until_ready()
        mib = resident_mib(daemon.pid)
        process.log_out()
    return {
        "start ms": 1000 * (answered - stopped),
        "start CPU": cpu,
        "stop ms": 1000 * (stopped - began),
        "MiB": mib,
    }


def _first(daemon: RunningDaemon) -> FakeProcess:
    """Connect as soon as it can be."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            return FakeProcess(daemon.address)
        except OSError:
            time.sleep(0.001)
    raise TimeoutError("nobody listens")
