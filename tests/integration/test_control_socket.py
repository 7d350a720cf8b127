"""The control socket itself: who gets in, what it is made of, and whom it survives."""

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Start
from tests.integration.operating import Operator, control_of
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import DaemonError, RunningDaemon, configuration


def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")


@pytest.mark.parametrize(
    ("listen", "reads", "revokes"),
    [
        ("control_group = 65534", 200, 403),
        ("control_group = 65534\ncontrol_readers = [1]", 403, 403),
        ('control_group = 65534\ncontrol_readers = ["@65534"]', 200, 403),
        ("control_group = 65534\ncontrol_readers = [1]\ncontrol_admins = [65534]", 200, 200),
        ("", "PermissionError", "PermissionError"),
    ],
)
def test_another_user_may_what_the_configuration_says(
    strict_issuer: RunningIssuer,
    start: Start,
    listen: str,
    reads: int | str,
    revokes: int | str,
) -> None:
    as_root()
    daemon = start(configuration(strict_issuer, listen=listen))
    daemon.folder.chmod(0o755)
    found = as_nobody(
        control_of(daemon),
        ("GET", "/v1/sessions", None),
        ("GET", "/metrics", None),
        ("POST", "/v1/revocations", {"user": ALICE, "reason": "x"}),
        ("POST", "/v1/explain", {"user": ALICE, "password": "x"}),
    )
    assert found == [reads, reads, revokes, revokes]
    if isinstance(revokes, int):
        by = [each["uid"] for each in daemon.log() if each["event"] in ("revoked", "explained")]
        assert by == ([65534, 65534] if revokes == 200 else [])


def as_nobody(path: str, *asked: tuple[str, str, Any]) -> list[int | str]:
    """Ask as user and group 65534; return each status, or the error's name."""
    program = """
        import httpx, json, os, sys
        with httpx.Client(transport=httpx.HTTPTransport(uds=sys.argv[1])) as client:
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
            found = []
            for method, path, body in json.loads(sys.argv[2]):
                try:
                    response = client.request(method, "http://x" + path, json=body)
                    found.append(response.status_code)
                except httpx.ConnectError as error:
                    while error.__context__: error = error.__context__
                    found.append(type(error).__name__)
            print(json.dumps(found))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), path, json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[int | str] = json.loads(run.stdout)
    return found


def test_one_user_cannot_take_all_connections(strict_issuer: RunningIssuer, start: Start) -> None:
    as_root()
    daemon = start(configuration(strict_issuer, listen="control_group = 65534"))
    daemon.folder.chmod(0o755)
    program = """
        import os, socket, sys
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(140)]
        answered = 0
        for each in crowd:
            each.connect(sys.argv[1])
            try:
                each.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
                answered += bool(each.recv(4096))
            except (ConnectionResetError, BrokenPipeError):
                pass
        print(answered, flush=True)
        input()
    """
    with (
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), control_of(daemon)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as crowd,
        Operator(daemon) as operator,
    ):
        assert crowd.stdout is not None
        assert int(crowd.stdout.readline()) == 128
        assert operator.get("/healthz") == {"status": "ok"}
        crowd.communicate("\n")


def test_what_is_no_http_is_refused_and_harms_nobody(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    for garbage in (b"\0" * 100, b"GET", b"GET / HTTP/1.1\r\n\r\n", b"A" * 200_000, b""):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(control_of(daemon))
            try:
                peer.sendall(garbage)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    with Operator(daemon) as operator:
        assert operator.get("/healthz") == {"status": "ok"}


@pytest.mark.needs("curl")
def test_curl_works(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    run = subprocess.run(
        ["curl", "-sSf", "--unix-socket", control_of(daemon), "http://sessiond/v1/status"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout)["connections"] == 0


def test_a_stale_socket_is_taken_over_and_a_live_one_is_not(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    daemon.kill()
    assert Path(control_of(daemon)).exists()
    daemon.start()
    second = daemon.folder / "second"
    second.mkdir()
    both = configuration(strict_issuer).replace(
        'control = "{folder}/c"', f'control = "{control_of(daemon)}"'
    )
    with pytest.raises(DaemonError, match=rf"(?s)exit {os.EX_CANTCREAT}:.*listen.control"):
        RunningDaemon(second, both)
    with Operator(daemon) as operator:
        assert operator.get("/healthz") == {"status": "ok"}


def test_a_socket_that_systemd_passed_is_used(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    assert daemon.stop() == 0
    program = """
        import os, sys
        os.dup2(int(sys.argv[1]), 3)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
        os.execv(sys.executable, [sys.executable, "-m", "sessiond", "run", "--config", sys.argv[2]])
    """
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(control_of(daemon))
        passed.listen()
        config = str(daemon.folder / "config.toml")
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(passed.fileno()), config],
            pass_fds=[passed.fileno()],
            stdout=subprocess.DEVNULL,
        ) as run:
            with Operator(daemon) as operator:
                assert operator.get("/healthz") == {"status": "ok"}
            run.terminate()
            assert run.wait(30) == 0
    assert Path(control_of(daemon)).exists()


@pytest.mark.parametrize("key", ["control_admins", "allow_users", "subscribers"])
def test_a_name_that_nobody_knows_yet_is_exit_75_which_systemd_tries_again(
    strict_issuer: RunningIssuer, start: Start, key: str
) -> None:
    with pytest.raises(DaemonError, match=rf"exit {os.EX_TEMPFAIL}:\s.*listen.{key}: no user"):
        start(configuration(strict_issuer, listen=f'{key} = ["no-such-user"]'))
    unit = Path("systemd/sessiond.service").read_text()
    assert "Restart=on-failure\n" in unit
    (never,) = re.findall("^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert set(never.split()) == {str(os.EX_CONFIG), str(os.EX_CANTCREAT)}  # and no other
