"""A storm: thousands of leases that end together, at an issuer that takes its time."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.bench import Bench, must_be_accepted
from tests.bench.figures import Row, percentile, waits
from tests.bench.minting import REFRESH_BYTES
from tests.many_sessions import fill, refresh_token

GRANTS = 5000
LEASE = timedelta(seconds=40)
# What the daemon's own rule draws: 60 % of the lease, and 10 % of it either way.
FIRST, SPREAD = LEASE * 0.5, LEASE * 0.2
AHEAD = 10.0  # seconds from now until the grants begin: time to fill, to start, and to be idle
AT_ONCE = 16  # refreshes at one issuer, the default
WAIT = 0.05  # seconds, of the issuer
PAUSE = 0.02  # seconds between the logins meanwhile
IDLE, MEANWHILE = 300, 600  # logins
SETTLED = 2.0  # seconds from the begin of the storm until logins are measured


def measure(bench: Bench) -> Iterator[Row]:
    """Measure one storm, and logins before it and in it, fifty a second."""
    grants = bench.few(GRANTS)
    with bench.fast_daemon(login="grace = 600.0\nunbound = 600.0") as daemon:
        daemon.stop()
        for each in daemon.folder.glob("sessiond.db*"):
            each.unlink()
        tokens = [bench.fast.minting.token(*_known(n)) for n in range(grants)]
        names = [refresh_token(n, REFRESH_BYTES) for n in range(grants)]
        bench.fast.prepare(dict(zip(names, tokens, strict=True)))
        bench.fast.wait(WAIT)
        (login,) = bench.minted("seen", 1)
        began, at = time.monotonic() + AHEAD, datetime.now(UTC) + timedelta(seconds=AHEAD)
        ends = at + LEASE
        fill(
            daemon.database,
            grants,
            refresh_at=at + FIRST,
            expires_at=ends,
            spread=SPREAD,
            refresh_bytes=REFRESH_BYTES,
        )
        daemon.start()
        must_be_accepted(bench.load(daemon, [[login]]))
        idle = must_be_accepted(bench.load(daemon, [[login] * bench.few(IDLE)], pause=PAUSE))
        if time.monotonic() > began + FIRST.total_seconds():
            raise RuntimeError("the storm began before it was waited for: a slow machine")
        time.sleep(
            began + FIRST.total_seconds() + SETTLED * (not bench.is_quick) - time.monotonic()
        )
        logins = [login] * bench.few(MEANWHILE)
        meanwhile = must_be_accepted(bench.load(daemon, [logins], pause=PAUSE))
        time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + 1)
        daemon.stop()
        calls = bench.fast.calls(began)
        in_time = _refreshed(daemon.database, ends)
    bench.fast.wait(0.0)
    least = WAIT * grants / AT_ONCE
    total = calls[-1][1] - calls[0][0]
    yield Row("repeat login, 50 a second, before the storm", waits(idle.waits), key="storm.idle")
    figures = waits(meanwhile.waits)
    beside = figures["p99 ms"] / percentile(idle.waits, 0.99) / 1000
    yield Row("- while it lasts", {**figures, "against idle": beside}, key="storm.login")
    yield Row(
        f"storm: {grants:,} grants of {LEASE.seconds} s, issuer {WAIT * 1000:.0f} ms",
        {"max ms": total * 1000, "late": grants - in_time, "against least": total / least},
        f"first call to last answer, of {len(calls):,}; {least:.1f} s at the least; "
        f"late: {grants - in_time:,}",
        "storm",
    )


def _known(number: int) -> tuple[str, str]:
    """Return the user and the subject of a filled session."""
    return f"user{number:06}@contoso.test", f"subject {number}"


def _refreshed(database: Path, ends: datetime) -> int:
    """Return how many sessions have a refresh on disk from before their leases' end."""
    with closing(sqlite3.connect(database)) as connection:
        bodies = connection.execute(
            "SELECT body FROM events WHERE at < ?", (int(ends.timestamp() * 1e6),)
        ).fetchall()
    found = [json.loads(body) for (body,) in bodies]
    return len({each["session"] for each in found if each["kind"] == "session.refreshed"})
