"""Local users and processes that mean harm: the daemon stays, and so does everybody else."""

import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sessiond.qipc import call, guid, int_, string
from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

OPAQUE = "qstudio-opaque"


def still_serves(daemon: RunningDaemon, issuer: RunningIssuer) -> bool:
    """Say whether a process that behaves is let in as ever."""
    with FakeProcess(daemon.address) as q:
        q.hello()
        return bool(q.connect(ALICE, issuer.tokens()["access_token"])["ok"])


def test_a_process_may_call_itself_anything(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    program = """
        import ctypes, socket, sys
        ctypes.CDLL(None).prctl(15, b"\\xff) 1 (\\n", 0, 0, 0)
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(bytes.fromhex(sys.argv[1]))
        peer.sendall(b"evil:\\x03\\0")
        print(peer.recv(1).hex())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), daemon.address.hex()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "03\n"
    assert still_serves(daemon, strict_issuer)


def test_running_out_of_files_costs_new_connections_and_nothing_else(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may look into a daemon that has shut itself off")
    daemon = start(configuration(strict_issuer))
    with FakeProcess(daemon.address) as q:
        q.hello()
        q.log_in(ALICE, strict_issuer.tokens()["access_token"])
        in_use = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
        limit_files(daemon.pid, in_use + 3)
        crowd = [FakeProcess(daemon.address, greets=False) for _ in range(20)]
        q.ping()
        assert len(q.sessions()) == 1
        for each in crowd:
            each.close()
        limit_files(daemon.pid, 1024)
        assert still_serves(daemon, strict_issuer)


def limit_files(pid: int, count: int) -> None:
    """Let a process have so many files open."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, 1024))


def test_hanging_up_without_a_byte_is_nothing(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    for _ in range(50):
        FakeProcess(daemon.address, greets=False).close()
    assert still_serves(daemon, strict_issuer)


def test_somebody_who_is_not_allowed_gets_no_byte(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    daemon = start(configuration(strict_issuer, listen="path = true"))
    daemon.folder.chmod(0o755)
    program = """
        import os, socket, sys
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        for address in sys.argv[1:]:
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(bytes.fromhex(address))
            try:
                peer.sendall(b"me:\\x03\\0")
                print(len(peer.recv(1)))
            except (ConnectionResetError, BrokenPipeError):
                print(0)
    """
    addresses = [daemon.address.hex(), daemon.padded.hex(), daemon.path.encode().hex()]
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *addresses],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["0", "0", "0"]
    assert still_serves(daemon, strict_issuer)


def test_a_renewal_that_hangs_holds_no_other_call_up(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    asking = 'verify = "userinfo"\ntimeout = 60.0'
    daemon = start(configuration(strict_issuer, extra=asking, login="deadline = 60.0"))
    tokens = [
        strict_issuer.tokens(client=OPAQUE, scope="openid profile")["access_token"]
        for _ in range(2)
    ]
    with FakeProcess(daemon.address) as q:
        q.hello()
        session = q.log_in(ALICE, f"bearer:{tokens[0]}")["session"]
        strict_issuer.control.fault("/userinfo", "hold")
        q.tell(call("renew", guid(session), string(f"bearer:{tokens[1]}")))
        strict_issuer.control.wait_for_calls("/userinfo", 2)
        assert q.connect(ALICE, f"bearer:{tokens[0]}", 6)["ok"]
        q.tell(call("disconnect", int_(6)))
        assert len(q.sessions()) == 1
        assert q.pushes == []
        strict_issuer.control.clear_faults()
        assert q.next_push()["event"] == "renewed"


def test_without_proof_nothing_is_renewed_and_nothing_opened(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    proving = f'verify = "userinfo"\nprove_by_refresh = true\nrefresh_client_id = "{OPAQUE}"'
    daemon = start(configuration(strict_issuer, extra=proving))
    ours = strict_issuer.tokens(client=OPAQUE, scope="openid profile offline_access")
    foreign = strict_issuer.tokens(client=OPAQUE, scope="openid profile")["access_token"]
    with FakeProcess(daemon.address) as q:
        q.hello()
        before = q.log_in(ALICE, pair(ours))
        refused = q.renew(before["session"], f"bearer:{foreign}")
        assert refused["reason"] == "wrongaudience"
        assert q.connect(ALICE, f"bearer:{foreign}", 7)["reason"] == "wrongaudience"
        assert [each["session"] for each in q.sessions()] == [before["session"]]


def test_an_issuer_taken_out_of_the_configuration_takes_its_sessions_along(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    strict_issuer.control.set_access_token_lifetime(20)
    daemon = start(configuration(strict_issuer, refresh="share = 0.2\njitter = 0.0"))
    with FakeProcess(daemon.address) as q:
        q.hello()
        session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
    daemon.stop()
    file = daemon.folder / "config.toml"
    file.write_text(file.read_text().replace('name = "corp"', 'name = "renamed"'))
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.reconcile({5: session}) == [5]
        assert strict_issuer.control.calls("/token") == 0


def test_memory_of_the_daemon_is_not_for_others(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    limits = Path(f"/proc/{daemon.pid}/limits").read_text()
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]
    assert Path(f"/proc/{daemon.pid}/mem").stat().st_uid == 0
