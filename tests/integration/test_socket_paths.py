"""The files of the sockets: removed under a daemon that runs, or somebody else in their place."""

from pathlib import Path

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.operating import Operator
from tests.integration.test_sessionctl_doctor import doctor
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import configuration

AGAIN = "socket path was gone, bound again"


def test_what_a_cleaner_removes_is_bound_again_and_nobody_is_cut_off(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    control = daemon.folder / "c"
    with FakeProcess(daemon.path.encode()) as before:
        before.hello()
        for number in (1, 2):
            Path(daemon.path).unlink()
            control.unlink()
            daemon.logged(number, event=AGAIN, path=daemon.path)
            daemon.logged(number, event=AGAIN, path=str(control))
        before.ping()  # it is still served
    with FakeProcess(daemon.path.encode()) as after:
        after.hello()
        after.log_in(ALICE, strict_issuer.tokens()["access_token"])
    with Operator(daemon) as operator:
        assert operator.get("/healthz") == {"status": "ok"}
    assert (Path(daemon.path).stat().st_mode & 0o777, control.stat().st_mode & 0o777) == (
        0o666,
        0o660,
    )
    assert daemon.stop() == 0
    assert not Path(daemon.path).exists()
    assert not control.exists()


@pytest.mark.parametrize("name", ["kdb", "control"])
def test_somebody_elses_file_is_told_of_and_stays_when_the_daemon_goes(
    strict_issuer: RunningIssuer, start: Start, name: str
) -> None:
    daemon = start(configuration(strict_issuer))
    path = Path(daemon.path) if name == "kdb" else daemon.folder / "c"
    path.unlink()
    path.symlink_to(daemon.folder / "elsewhere")
    (taken,) = daemon.logged(1, event="socket path taken", path=str(path))
    assert taken["uid"] == path.lstat().st_uid
    if name == "kdb":
        found = doctor(daemon, code=1)["kdb+ socket"]
        assert "the path is gone" in found["found"]
        assert "sessiond-path.socket" in found["advice"]
    assert daemon.stop() == 0
    assert path.is_symlink()
