"""The units, and the daemon as they run it. (What a booted systemd does is test_deb.py's.)"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from sessiond.config import ListenConfig
from sessiond.config.credentials import new_key
from sessiond.core.secret import Secret
from sessiond.kdb.proof import proof_of
from sessiond.qipc import octets
from sessiond.system import hardening
from sessiond.testing import FakeProcess
from sessiond.testing.calls import NONCE
from tests.integration.activated import ActivatedDaemon
from tests.integration.operating import Operator, control_of
from tests.integration.stuck import STUCK
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import DaemonError, configuration

pytestmark = pytest.mark.needs("systemd")

UNITS = Path(__file__).parents[2] / "systemd"
MOST_EXPOSED = 15  # of 100, `systemd-analyze security`


class Activate(Protocol):
    def __call__(self, configuration: str, **how: Any) -> ActivatedDaemon: ...


@pytest.fixture
def activate(folder: Path) -> Iterator[Activate]:
    """Start a daemon as systemd does; it ends with the test."""
    with ExitStack() as stack:

        def run(configuration: str, **how: Any) -> ActivatedDaemon:
            return stack.enter_context(ActivatedDaemon(folder, configuration, **how))

        yield run


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is on this machine."""
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.socket")]:
        text = unit.read_text().replace("/opt/sessiond/bin/sessiond", shutil.which("true") or "")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_systemd_finds_nothing_wrong_with_the_units(units: Path) -> None:
    names = sorted(each.name for each in units.iterdir())
    assert len(names) == 4
    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names],
        cwd=units,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_the_service_may_do_little(units: Path) -> None:
    run = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=yes", "--no-pager"),
            *(f"--threshold={MOST_EXPOSED}", str(units / "sessiond.service")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Overall exposure level" in run.stdout


def test_what_is_left_to_it_is_bounded_and_enough(units: Path) -> None:
    lines = (units / "sessiond.service").read_text().splitlines()
    limits = dict(line.split("=", 1) for line in lines if line[:1].isalpha() and "=" in line)
    assert limits["MemoryMax"] == "2G"
    assert limits["MemorySwapMax"] == "0"
    assert limits["OOMPolicy"] == "continue"
    assert int(limits["TasksMax"]) <= 512
    most = ListenConfig().max_connections
    assert int(limits["LimitNOFILE"]) >= most * hardening.BY_CONNECTION + hardening.BESIDE


def test_the_daemon_can_still_see_who_its_peers_are() -> None:
    lines = (UNITS / "sessiond.service").read_text().splitlines()
    assert not [line for line in lines if line.startswith(("PrivateUsers=", "PrivateNetwork="))]
    assert "ProtectProc=default" in lines


def test_from_the_first_connection_to_the_end_systemd_is_told(
    strict_issuer: RunningIssuer, activate: Activate
) -> None:
    keys = {"proof": new_key().reveal(), "store": new_key().reveal()}
    daemon = activate(configuration(strict_issuer), credentials=keys)
    assert daemon.notices.until("READY=1") == ["READY=1", "STATUS=serving"]
    with FakeProcess(daemon.path) as q, Operator(daemon) as operator:
        proved = proof_of(Secret(keys["proof"]), address=daemon.path, nonce=NONCE)
        assert q.hello()["proof"] == octets(proved)
        assert q.log_in(ALICE, strict_issuer.tokens()["access_token"])["ok"]
        assert operator.get("/v1/status")["connections"] == 1
        daemon.notices.until("WATCHDOG=1")
        assert operator.get("/v1/status")["connections"] == 1
        assert daemon.stop() == 0
    assert daemon.notices.until("STOPPING=1") == ["STOPPING=1", "STATUS=stopping"]
    assert Path(daemon.path).is_socket()
    assert Path(control_of(daemon)).is_socket()
    assert not daemon.database.with_name("sessiond.db.key").exists()
    events = [each["event"] for each in daemon.log()]
    assert events.count("process connected") == events.count("process left") == 1
    # The connection that it was started by says nothing; the watchdog's are not seen at all.
    assert sum(map(events.count, ("no handshake", "peer unknown"))) == 1
    assert not {"no hello", "connection refused"}.intersection(events)


def test_a_passed_address_that_is_not_configured_is_exit_78(
    strict_issuer: RunningIssuer, activate: Activate, folder: Path
) -> None:
    other = f"{folder}/kx.1"
    with pytest.raises(DaemonError, match=rf"exit {os.EX_CONFIG}:\n(?s:.)*systemd passed {other}"):
        activate(configuration(strict_issuer), also=[other])


def test_a_table_that_cannot_write_is_not_said_to_be_alive(
    strict_issuer: RunningIssuer, activate: Activate, folder: Path
) -> None:
    daemon = activate(configuration(strict_issuer), program=STUCK)
    daemon.notices.until("WATCHDOG=1")
    with FakeProcess(daemon.address) as q:
        q.hello()
        (folder / "stuck").touch()
        answer = q.connect(BOB, strict_issuer.tokens(BOB)["access_token"])
        assert not answer["ok"]
        daemon.logged(1, event="no round trip")
        daemon.notices.drain()
        assert daemon.notices.is_silent(2.0)
        (folder / "stuck").unlink()
        daemon.logged(1, event="round trips succeed again")
        daemon.notices.until("WATCHDOG=1")


def test_a_stopped_daemon_is_silent(strict_issuer: RunningIssuer, activate: Activate) -> None:
    daemon = activate(configuration(strict_issuer))
    daemon.notices.until("WATCHDOG=1")
    os.kill(daemon.pid, signal.SIGSTOP)
    while not daemon.is_stopped():
        pass  # the test's timeout ends this
    daemon.notices.drain()
    assert daemon.notices.is_silent(2.0)
    os.kill(daemon.pid, signal.SIGCONT)
    daemon.notices.until("WATCHDOG=1")
