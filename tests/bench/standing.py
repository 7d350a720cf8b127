"""What sessions cost in memory while they come, login by login."""

from collections.abc import Iterator

from tests.bench.bench import Bench, dealt, must_be_accepted
from tests.bench.figures import Row, of_load
from tests.bench.machine import resident_mib
from tests.bench.minting import REFRESH_BYTES

SESSIONS = 10_000
PROCESSES = 50
USERS = 2500  # an access token can come with a few refresh tokens, no more


def measure(bench: Bench) -> Iterator[Row]:
    """Measure a daemon before and after logins, each with a grant and a refresh token of its own.

    The refresh tokens are made up, and never due here, as when every login is another sign-in; the
    access tokens are fewer.
    """
    sessions, users = bench.few(SESSIONS), bench.few(USERS)
    logins = [
        (user, f"{token};made-up-refresh-token-{window}-{number}-".ljust(REFRESH_BYTES, "x"))
        for window in range(sessions // users)
        for number, (user, token) in enumerate(bench.minted("stands", users))
    ]
    with bench.fast_daemon() as daemon:
        idle = resident_mib(daemon.pid)
        load = must_be_accepted(bench.load(daemon, dealt(logins, PROCESSES), closes=False))
    note = f"each with a refresh token of its own; users: {users:,}"
    yield Row(
        f"{sessions:,} logins with refresh tokens, {PROCESSES} connections",
        of_load(load),
        note,
        is_of_one=False,
    )
    each = 1024 * (load.server_mib - idle) / sessions
    yield Row(
        f"- resident then, all {sessions:,} sessions open",
        {"MiB": load.server_mib, "KiB each": each},
        f"{each:.1f} KiB a session; {idle:.0f} MiB before",
        "standing",
    )
