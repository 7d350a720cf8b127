"""What sessions that stand cost: memory, and the time to start with them in the table."""

import time
from collections.abc import Iterator

from tests.bench.bench import Bench, dealt, must_be_accepted
from tests.bench.figures import Row, medians, of_load, waits
from tests.bench.machine import resident_mib
from tests.bench.tokens import grant_tokens
from tests.running_daemon import RunningDaemon

SESSIONS = 10_000
PROCESSES = 50
USERS = 1000
STARTS = 3


def measure(bench: Bench) -> Iterator[Row]:
    """Measure a daemon without sessions, with many, and started again with those.

    Each session has a grant and a refresh token of its own (made up, and never due here), as when
    every login is another sign-in; the access tokens are fewer.
    """
    tokens = grant_tokens(bench.issuer, USERS, prefix="stands")
    logins = [
        (each.user, f"{each.access};made-up-refresh-token-{window}-{number}")
        for window in range(SESSIONS // USERS)
        for number, each in enumerate(tokens)
    ]
    with bench.daemon(login="grace = 600.0") as daemon:
        idle = resident_mib(daemon.pid)
        empty = starts(daemon)
        load = must_be_accepted(bench.load(daemon, dealt(logins, PROCESSES), closes=False))
        full = starts(daemon)
    note = f"each with a refresh token of its own; users: {USERS:,}"
    yield Row("start-up, no session, until ready", medians(empty), "after kill -9")
    yield Row("- resident then, new database", {"MiB": idle})
    yield Row(f"{SESSIONS:,} logins, {PROCESSES} connections", of_load(load), note)
    yield Row(f"- resident with {SESSIONS:,} sessions open", {"MiB": load.server_mib})
    yield Row(f"start-up, {SESSIONS:,} sessions, until ready", medians(full), "after kill -9")


def starts(daemon: RunningDaemon) -> list[dict[str, float]]:
    """Kill and start the daemon some times; return how long each start took, and its memory."""
    found = []
    for _ in range(STARTS):
        daemon.kill()
        begun = time.monotonic()
        daemon.start()
        taken = waits([time.monotonic() - begun])["p50 ms"]
        found.append({"p50 ms": taken, "MiB": resident_mib(daemon.pid)})
    return found
