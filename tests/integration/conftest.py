"""A running daemon for a test, or for all tests of a file, and q processes that talk to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sessiond.testing import FakeProcess
from tests import canary
from tests.running_daemon import RunningDaemon
from tests.warm_start import WarmStart

Start = Callable[[str], RunningDaemon]
Connected = Callable[[RunningDaemon], FakeProcess]


@pytest.fixture(scope="session", autouse=True)
def warm() -> Iterator[None]:
    """Fork plain daemons from one process of each worker, which has imported them."""
    RunningDaemon.warm = warm = WarmStart()
    yield
    RunningDaemon.warm = None
    warm.close()


@contextmanager
def _starting(folder: Path) -> Iterator[Start]:
    """Yield what starts a daemon in a folder; it ends with the block, and may never log a token."""
    with ExitStack() as stack:
        started: list[RunningDaemon] = []

        def run(configuration: str) -> RunningDaemon:
            daemon = stack.enter_context(RunningDaemon(folder, configuration))
            started.append(daemon)
            return daemon

        yield run
        for daemon in started:
            print("".join(daemon.lines))  # pytest shows it where a test fails
            log = "".join(daemon.lines)
            assert "Traceback" not in log
            assert canary.found_in(log.encode()) == set()
            for file in folder.glob("sessiond.db*"):
                assert canary.found_in(file.read_bytes()) == set(), file.name


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start a daemon on a configuration, for one test."""
    with _starting(folder) as run:
        yield run


@pytest.fixture(scope="module")
def start_shared() -> Iterator[Start]:
    """Start a daemon for all tests of a file that neither stop it nor count what it did."""
    with TemporaryDirectory(prefix="sd-") as name, _starting(Path(name)) as run:
        yield run


@pytest.fixture
def process() -> Iterator[Callable[[RunningDaemon], FakeProcess]]:
    """Connect this test as one q process, and say hello."""
    with ExitStack() as stack:

        def connect(daemon: RunningDaemon) -> FakeProcess:
            connected = stack.enter_context(FakeProcess(daemon.address))
            connected.hello()
            return connected

        yield connect
