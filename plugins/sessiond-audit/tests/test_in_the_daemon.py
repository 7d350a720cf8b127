"""A real daemon with the audit log as a subscriber, killed and started again."""

import tempfile
from pathlib import Path

import pytest
from audit_events import whole, written

from sessiond.qipc import call, int_
from sessiond.testing import FakeProcess
from tests.integration.operating import Operator
from tests.issuer.running import ALICE, RunningIssuer
from tests.needs import absent
from tests.running_daemon import RunningDaemon, configuration


def log_in_and_out(daemon: RunningDaemon, issuer: RunningIssuer, count: int) -> None:
    """Make two events for each session; they are on disk at the daemon when this returns."""
    token = issuer.tokens()["access_token"]
    with FakeProcess(daemon.address) as q:
        q.hello()
        for handle in range(1, count + 1):
            q.log_in(ALICE, token, handle)
        for handle in range(1, count + 1):
            q.tell(call("disconnect", int_(handle)))
        assert q.sessions() == []


def wait_until_written(daemon: RunningDaemon) -> int:
    """Return the last sequence, once the log has acknowledged it."""
    with Operator(daemon) as operator:
        while True:
            status = operator.get("/v1/status")
            (standing,) = status["subscribers"]
            assert standing["last_error"] == ""
            if standing["place"] == status["last_sequence"]:
                last: int = status["last_sequence"]
                return last


def test_every_event_of_a_daemon_that_is_killed_is_in_the_log_once() -> None:
    if reason := absent("real"):
        pytest.skip(f"needs real: {reason}")
    with (
        tempfile.TemporaryDirectory(prefix="sd") as folder,
        RunningIssuer(rotation="strict") as issuer,
    ):
        path = Path(folder) / "audit.jsonl"
        keys = f'[[subscriber]]\nplugin = "audit"\npath = "{path}"\nmax_size = 4000\n'
        with RunningDaemon(Path(folder), configuration(issuer) + keys) as daemon:
            log_in_and_out(daemon, issuer, 20)
            daemon.kill()
            daemon.start()
            log_in_and_out(daemon, issuer, 5)
            last = wait_until_written(daemon)
        assert last >= 50
        assert written(path) == list(range(1, last + 1))
        assert whole(path).holes == []
