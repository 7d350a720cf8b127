"""What a start costs with very many sessions in the table."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.bench.bench import Bench
from tests.bench.figures import Row, medians
from tests.bench.standing import starts
from tests.many_sessions import fill

SESSIONS = 100_000


def measure(bench: Bench) -> Iterator[Row]:
    """Measure starts with a database made for it: a user, a grant and a refresh token each."""
    now = datetime.now(UTC)
    later, end = now + timedelta(days=10), now + timedelta(days=20)
    with bench.daemon(login="grace = 600.0") as daemon:
        daemon.stop()
        for each in daemon.folder.glob("sessiond.db*"):
            each.unlink()
        fill(daemon.database, SESSIONS, refresh_at=later, expires_at=end)
        full = starts(daemon)
    yield Row(f"start-up, {SESSIONS:,} sessions, until ready", medians(full), "after kill -9")
