"""CData's drivers when the one that authenticates is killed, or the daemon: nothing is lost."""

import os
import signal
import threading

import pytest

from tests.integration.cdata_driver import Classes, Driver, Store
from tests.integration.cdata_issuer import CountingIssuer
from tests.integration.conftest import Start
from tests.integration.test_cdata_tokenstore import with_stores
from tests.running_daemon import RunningDaemon

pytestmark = [pytest.mark.chaos, pytest.mark.needs("maven")]

USES = 40  # of a token
REQUESTS = 50  # of each of 16 threads: 20 tokens


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Classes:
    return Classes.compiled(tmp_path_factory.mktemp("cdata"))


def two_drivers(
    classes: Classes, daemon: RunningDaemon, issuer: CountingIssuer, max_wait: int
) -> list[Driver]:
    return [
        Driver(classes, daemon, issuer.port, requests=REQUESTS, max_wait=max_wait) for _ in range(2)
    ]


@pytest.mark.parametrize("moment", ["authenticating", "writing"])
def test_a_program_that_is_killed_while_it_authenticates_or_writes_costs_one_token_at_most(
    start: Start, classes: Classes, moment: str
) -> None:
    daemon = start(with_stores())
    with CountingIssuer(USES) as issuer:
        killed: list[int] = []

        def kill(pid: int) -> None:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

        if moment == "authenticating":
            issuer.at(5, before=kill)
        else:
            issuer.at(5, after=kill)
        drivers = two_drivers(classes, daemon, issuer, max_wait=5_000)
        with drivers[0], drivers[1]:
            for each in drivers:
                if each.process.wait() == 0:
                    assert each.served().failures == 0
            assert sorted(each.process.returncode for each in drivers) == [-9, 0]
        assert killed
        assert issuer.accepted >= 8 * REQUESTS
        assert issuer.needed <= len(issuer.issued) <= issuer.needed + 1
        with Store(classes, daemon) as store:
            assert store.do("read oauth") == issuer.issued[-1]


def test_a_daemon_that_is_killed_again_and_again_costs_one_token_each_time_at_most(
    start: Start, classes: Classes
) -> None:
    daemon = start(with_stores())
    with CountingIssuer(USES) as issuer:
        restarts: list[threading.Thread] = []

        def kill(_: int) -> None:
            for each in restarts:
                each.join()
            daemon.kill()
            restart = threading.Thread(target=daemon.start)
            restart.start()
            restarts.append(restart)

        issuer.at(3, before=kill)  # amid an authentication
        issuer.at(7, after=kill)  # amid a write
        issuer.at(11, after=kill)
        drivers = two_drivers(classes, daemon, issuer, max_wait=10_000)
        with drivers[0], drivers[1]:
            served = [each.served() for each in drivers]
        for each in restarts:
            each.join()
        assert len(restarts) == 3
        assert issuer.accepted == 16 * REQUESTS
        assert issuer.needed <= len(issuer.issued) <= issuer.needed + len(restarts)
        with Store(classes, daemon) as store:
            assert store.do("read oauth") in issuer.issued[-2:]
        print(f"authenticated {len(issuer.issued)} times, needed {issuer.needed}; {served}")
