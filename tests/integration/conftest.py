"""A running daemon for a test, or for all tests of a file, and q processes that talk to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from sessiond.testing import FakeProcess
from tests import canary
from tests.keycloak import guide
from tests.keycloak.admin import Admin, Realm
from tests.keycloak.server import RunningKeycloak
from tests.people.chromium import Chromium
from tests.people.machine import Machine
from tests.people.person import Person
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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The browser of one worker."""
    with Chromium() as browser:
        yield browser


@pytest.fixture
def person(chromium: Chromium, folder: Path) -> Iterator[Person]:
    """Somebody who is signed in nowhere."""
    with Person(chromium, folder) as somebody:
        yield somebody


@pytest.fixture
def machine(person: Person, folder: Path) -> Iterator[Machine]:
    """The person's machine; whoever looks at it sees no token."""
    owned = Machine(folder / "home", browser=person.browser)
    yield owned
    opened = folder / "browser.env"
    owned.seen += [opened.read_bytes()] if opened.exists() else []
    assert canary.found_in(b"\n".join(owned.seen)) == set()


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Admin]:
    """Keycloak and its administrator, for one worker: tests/keycloak/one_worker.py."""
    with RunningKeycloak() as server:
        admin = Admin(server)
        yield admin
        admin.close()


@contextmanager
def _set_up_by_the_guide(admin: Admin) -> Iterator[Realm]:
    """Yield a realm in which the guide's steps are done, and alice has its role."""
    seen = len(admin.server.log)
    realm = Realm(admin, f"trading-{uuid4()}")
    guide.set_up(realm)
    realm.add_user("alice", guide.ROLE)
    yield realm
    print(admin.server.log[seen:])  # pytest shows it where a test fails


@pytest.fixture
def realm(keycloak: Admin) -> Iterator[Realm]:
    """A realm by the guide, for one test that changes it."""
    with _set_up_by_the_guide(keycloak) as made:
        yield made


@pytest.fixture(scope="module")
def shared_realm(keycloak: Admin) -> Iterator[Realm]:
    """A realm by the guide, for all tests of a file that only add to it."""
    with _set_up_by_the_guide(keycloak) as made:
        yield made
