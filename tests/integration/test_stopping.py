"""SIGTERM, SIGINT: what was accepted is written and heard, and what hangs holds up no end."""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from sessiond.testing import FakeProcess
from sessiond.testing.calls import connect_call
from sessiond.testing.plain import plain_dict
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator, watching
from tests.integration.stuck import STUCK
from tests.integration.test_login import pair
from tests.integration.test_reload import opaque, write
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import DAEMON, RunningDaemon, configuration

SOON = "share = 0.02\njitter = 0.0\ntimeout = {timeout}"


# As a shell starts its background jobs.
IN_THE_BACKGROUND = """
import signal, sys
from sessiond.cli import main
signal.signal(signal.SIGINT, signal.SIG_IGN)
main(["run", "--config", sys.argv[1]])
"""


def begin_to_stop(daemon: RunningDaemon) -> None:
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.logged(1, event="stopping")


def with_a_refresh_under_way(
    issuer: RunningIssuer, start: Start, process: Connected, *, timeout: float
) -> tuple[RunningDaemon, FakeProcess]:
    """Return a daemon that waits for the token endpoint, which holds its answer."""
    issuer.control.set_access_token_lifetime(60)
    daemon = start(configuration(issuer, refresh=SOON.format(timeout=timeout)))
    q = process(daemon)
    issuer.control.fault("/token", "hold", count=ALWAYS)
    q.log_in(ALICE, pair(issuer.tokens()))
    issuer.control.wait_for_calls("/token")
    return daemon, q


@pytest.mark.parametrize("program", [DAEMON, ("-c", IN_THE_BACKGROUND)], ids=["fore", "back"])
def test_sigint_stops_it_in_the_foreground_and_in_the_background(
    strict_issuer: RunningIssuer, folder: Path, program: tuple[str, ...]
) -> None:
    with RunningDaemon(folder, configuration(strict_issuer), program=program) as daemon:
        os.kill(daemon.pid, signal.SIGINT)
        assert daemon.wait() == 0
        assert daemon.logged(1, event="stopping", signal="SIGINT")


def test_every_login_that_was_accepted_is_on_disk(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer, login="unbound = 60.0"))
    q = process(daemon)
    token = strict_issuer.tokens()["access_token"]
    assert q.connect(ALICE, token, 1)["ok"]
    for handle in range(2, 100):
        q.ask(connect_call(ALICE, token, handle))
    assert daemon.stop() == 0
    accepted = 1
    with suppress(ConnectionError):  # the end, after `bye`
        while True:
            accepted += plain_dict(q.answer())["ok"]
    assert [each["event"] for each in q.pushes] == ["bye"]
    daemon.start()
    with Operator(daemon) as operator:
        assert operator.get("/v1/status")["sessions"]["unbound"] >= accepted >= 1


def test_a_login_that_waits_for_a_hung_issuer_is_cut_off(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    extra = 'verify = "userinfo"\ntimeout = 60.0'
    daemon = start(configuration(strict_issuer, extra=extra, login="deadline = 60.0"))
    q = process(daemon)
    strict_issuer.control.fault("/userinfo", "hang")
    q.ask(connect_call(ALICE, opaque(strict_issuer)))
    strict_issuer.control.wait_for_calls("/userinfo")
    assert daemon.stop() == 0
    assert q.is_cut()


def test_a_hung_refresh_is_given_up_and_nobody_comes_in_meanwhile(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon, q = with_a_refresh_under_way(strict_issuer, start, process, timeout=3.0)
    begin_to_stop(daemon)
    os.kill(daemon.pid, signal.SIGHUP)  # means nothing any more
    assert q.is_cut()
    with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as late:
        late.connect(daemon.address)
    assert daemon.stop() == 0
    events = [each["event"] for each in daemon.log()]
    assert "configuration applied" not in events
    assert "stopped" in events


def test_a_refresh_that_is_answered_in_the_grace_is_kept(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon, q = with_a_refresh_under_way(strict_issuer, start, process, timeout=20.0)
    session = q.sessions()[0]["session"]
    begin_to_stop(daemon)
    assert q.is_cut()
    strict_issuer.control.clear_faults()
    assert daemon.stop() == 0
    assert [each for each in daemon.log() if each["event"] == "refreshed"]
    daemon.start()
    q = process(daemon)
    assert q.reconcile({5: session}) == []


def test_event_streams_end_cleanly(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    with watching(daemon) as stream:
        assert daemon.stop() == 0
        assert stream.is_over()


def test_a_disk_that_hangs_does_not_hold_up_the_end(
    strict_issuer: RunningIssuer, folder: Path
) -> None:
    text = configuration(strict_issuer, refresh="timeout = 0.1")
    with RunningDaemon(folder, text, program=STUCK) as daemon, FakeProcess(daemon.address) as q:
        q.hello()
        (folder / "stuck").touch()
        q.ask(connect_call(ALICE, strict_issuer.tokens()["access_token"]))
        assert plain_dict(q.answer())["reason"] == "deadline"
        assert daemon.stop() == -signal.SIGALRM  # a failure, as systemd sees it
        assert "stopped" not in [each["event"] for each in daemon.log()]


def test_a_reload_that_hangs_does_not_hold_up_the_end(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    file = daemon.folder / "config.toml"
    file.unlink()
    os.mkfifo(file)
    os.kill(daemon.pid, signal.SIGHUP)
    with Operator(daemon) as operator:  # it serves, while somebody reads
        assert operator.get("/v1/status")["configuration"]["generation"] == 1
    assert daemon.stop() == 0


def test_a_new_configuration_and_the_end_at_once_end_well(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    write(daemon, configuration(strict_issuer, extra='[issuer.roles]\ntrader = "trading"'))
    os.kill(daemon.pid, signal.SIGHUP)
    assert daemon.stop() == 0
    assert q.next_push()["event"] == "bye"
