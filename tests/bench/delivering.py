"""From a session's opening to the subscriber that hears of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sessiond.testing import FakeProcess
from tests.bench.bench import Bench
from tests.bench.figures import Row, waits
from tests.issuer.running import ALICE
from tests.running_daemon import RunningDaemon, configuration
from tests.subscribed import Listening, installed

SESSIONS = 300


def measure(bench: Bench) -> Iterator[Row]:
    """Measure one event after the other, each told to a subscriber that waits for it."""
    token = bench.issuer.tokens()["access_token"]
    taken = []
    with _subscribed(bench) as (daemon, heard), FakeProcess(daemon.address) as process:
        process.hello()
        for number in range(1, SESSIONS + 1):
            session = process.connect(ALICE, token, number)["session"]
            began = time.monotonic()
            process.opened(session, number)
            heard.wait("sequence", number)
            taken.append(heard.all("at")[-1] - began)
    note = "with its commit; the subscriber, a process of its own, reads the same clock"
    yield Row("opened sent, until a subscriber has the event", waits(taken), note)


@contextmanager
def _subscribed(bench: Bench) -> Iterator[tuple[RunningDaemon, Listening]]:
    """Run a daemon with one subscriber, of the tests' own."""
    folder = bench.folder / "delivering"
    folder.mkdir()
    with (
        installed(),
        Listening(folder / "heard") as heard,
        RunningDaemon(folder, configuration(bench.issuer) + heard.table("teller")) as daemon,
    ):
        heard.wait("state", 1)
        yield daemon, heard
