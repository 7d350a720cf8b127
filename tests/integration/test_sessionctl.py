"""sessionctl as an operator runs it: what it prints, what it asks, and how it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.operating import PATIENCE, control_of
from tests.integration.terminal import PROGRAM
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

Connected = Callable[[RunningDaemon], FakeProcess]
ABSENT = "00000000-0000-0000-0000-000000000000"


def ctl(
    daemon: RunningDaemon, *args: str, answers: str = "", code: int = 0
) -> "subprocess.CompletedProcess[str]":
    """Run it, with no terminal anywhere; it must end with this code."""
    run = subprocess.run(
        [*PROGRAM, "--control", control_of(daemon), *args],
        input=answers,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == code, run.stderr
    assert "\x1b" not in run.stdout
    return run


def ctl_json(daemon: RunningDaemon, *args: str, answers: str = "") -> Any:
    return json.loads(ctl(daemon, *args, "--json", answers=answers).stdout)


def test_the_status_and_the_sessions_are_shown(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    session = str(q.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"])
    q.log_in(BOB, strict_issuer.tokens(BOB)["access_token"], 6)
    assert "2 open" in ctl(daemon, "status").stdout
    assert ctl_json(daemon, "status")["sessions"]["open"] == 2
    lines = ctl(daemon, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["USER", ALICE, BOB]
    assert session[:8] in lines[1]
    assert session in ctl(daemon, "list", "--wide").stdout
    assert "gw1:4711" in ctl(daemon, "processes").stdout
    assert [each["name"] for each in ctl_json(daemon, "names")["names"]] == [ALICE, BOB]
    assert ctl(daemon, "revocations").stdout == "no revocations are in force\n"
    assert len(ctl_json(daemon, "list", "--process", "gw1:4711")["sessions"]) == 2
    assert ctl_json(daemon, "list", "--issuer", "nobody") == {"sessions": []}
    (found,) = ctl_json(daemon, "list", "--user", ALICE)["sessions"]
    assert {**found, "because": {"roles": {}, "cut": []}} == ctl_json(daemon, "show", session)
    assert "gw1:4711 (gateway) on host1" in ctl(daemon, "show", session).stdout
    assert ctl(daemon, "show", ABSENT, code=66).stderr == "sessionctl: no such session is live\n"


def test_a_user_is_revoked_and_forgiven(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    token = strict_issuer.tokens()["access_token"]
    q.log_in(ALICE, token)
    asked = ("revoke", "--user", ALICE, "--reason", "left us")
    assert "--yes" in ctl(daemon, *asked, code=64).stderr  # nobody can be asked
    assert len(q.sessions()) == 1
    assert ctl(daemon, *asked, "--yes").stdout == "sessions ended: 1\n"
    assert q.next_push()["event"] == "revoked"
    assert q.connect(ALICE, token)["reason"] == "revoked"
    assert len(ctl_json(daemon, "revoke", "--forgive", "--user", ALICE.upper())["forgiven"]) == 1
    assert q.connect(ALICE, token)["ok"]
    assert "no revocation" in ctl(daemon, "revoke", "--forgive", "--user", ALICE, code=66).stderr
    (logged,) = [each for each in daemon.log() if each["event"] == "revoked"]
    assert (logged["uid"], logged["reason"]) == (os.geteuid(), "left us")


@pytest.mark.parametrize("what", ["session", "process", "issuer", "all"])
def test_each_way_of_revoking_ends_the_session(
    strict_issuer: RunningIssuer, start: Start, process: Connected, what: str
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    session = str(q.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"])
    named = {"session": [session], "process": ["gw1"], "issuer": ["corp"], "all": []}[what]
    found = ctl_json(daemon, "revoke", f"--{what}", *named, "--reason", "a drill", "--yes")
    assert found["revoked"] == 1
    assert (found["id"] is not None) == (what in ("issuer", "all"))
    assert q.next_push()["event"] == "revoked"


def test_a_name_is_forgotten(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    process(daemon).log_in(ALICE, strict_issuer.tokens()["access_token"])
    assert ctl_json(daemon, "forget", "--user", ALICE) == {"forgotten": ALICE}
    assert "nobody" in ctl(daemon, "forget", "--user", ALICE, code=66).stderr


def test_a_login_is_explained_and_its_password_comes_by_standard_input_only(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    token = strict_issuer.tokens()["access_token"]
    said = ctl(daemon, "explain", "--user", ALICE, answers=f"{token}\n").stdout
    assert f"would be let in as {ALICE} with no role" in said
    refused = ctl(daemon, "explain", "--user", BOB, "--json", answers=token, code=77)
    assert json.loads(refused.stdout)["reason"] == "usermismatch"
    assert token not in said
    assert "No such option" in ctl(daemon, "explain", "--password", "x", code=64).stderr


def test_events_are_watched_over_a_restart(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    token = strict_issuer.tokens()["access_token"]
    command = [*PROGRAM, "--control", control_of(daemon), "watch", "--after", "0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        with FakeProcess(daemon.address) as q:
            q.hello()
            q.log_in(ALICE, token, 5)
            first = json.loads(run.stdout.readline())
            daemon.stop()
        daemon.start()
        with FakeProcess(daemon.address) as q:
            q.hello()
            q.log_in(ALICE, token, 6)
            second = json.loads(run.stdout.readline())
        run.send_signal(2)
        assert run.wait(PATIENCE) == 130
    assert (first["sequence"], first["handle"]) == (1, 5)
    assert (second["sequence"], second["handle"]) == (2, 6)


def test_what_is_drawn_again_is_for_terminals(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    assert "terminal" in ctl(daemon, "list", "--watch", code=64).stderr


def test_the_socket_is_named_by_an_option_the_configuration_or_the_environment(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    config = str(daemon.folder / "config.toml")
    plain = {name: value for name, value in os.environ.items() if name != "SESSIOND_CONTROL"}
    named = {**plain, "SESSIOND_CONTROL": control_of(daemon)}
    wrong = {**plain, "SESSIOND_CONTROL": "/nowhere/c"}

    def code(args: list[str], environ: dict[str, str]) -> int:
        command = [*PROGRAM, *args, "status"]
        return subprocess.run(command, env=environ, capture_output=True, check=False).returncode

    assert code(["--config", config], wrong) == 0
    assert code(["--control", control_of(daemon)], wrong) == 0
    assert code([], named) == 0
    assert code([], wrong) == 69
    assert code(["--config", config, "--control", control_of(daemon)], named) == 64


def test_how_it_ends_says_why(strict_issuer: RunningIssuer, start: Start, tmp_path: Path) -> None:
    daemon = start(configuration(strict_issuer))
    for args in (
        ("bogus",),
        ("show", "nonsense"),
        ("revoke", "--reason", "x", "--yes"),
        ("revoke", "--user", "a", "--all", "--reason", "x", "--yes"),
        ("revoke", "--user", "a", "--yes"),
        ("revoke", "--forgive", "--process", "gateway1"),
    ):
        ctl(daemon, *args, code=64)
    for missing in (
        ("revoke", "--issuer", "nobody", "--reason", "x", "--yes"),
        ("revoke", "--user", "nobody", "--reason", "x", "--yes"),
        ("revoke", "--process", "nobody", "--reason", "x", "--yes"),
        ("revoke", "--session", "abcdef", "--reason", "x", "--yes"),
        ("show", "abcdef"),
    ):
        ctl(daemon, *missing, code=66)
    config = tmp_path / "wrong.toml"
    config.write_text("[listen]\nport = 0\n")
    wrong = subprocess.run(
        [*PROGRAM, "--config", str(config), "status"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 78
    assert wrong.stderr.startswith("sessionctl: listen.port is 0")
    daemon.stop()
    for away in (("status",), ("watch",), ("explain", "--user", "a")):
        assert ctl(daemon, *away, code=69).stderr.startswith("sessionctl: no daemon at ")


def test_who_is_not_permitted_is_told_so(strict_issuer: RunningIssuer, start: Start) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    daemon = start(configuration(strict_issuer, listen="control_group = 65534"))
    daemon.folder.chmod(0o755)
    as_nobody = (
        "import os, httpcore, rich.table\nfrom sessiond.ctl import main\n"
        "os.setgroups([]); os.setgid({0}); os.setuid(65534)\nmain(prog_name='sessionctl')"
    )

    def run(group: int, *args: str) -> tuple[int, str]:
        program = [sys.executable, "-c", as_nobody.format(group), "--control", control_of(daemon)]
        done = subprocess.run([*program, *args], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert run(65534, "status", "--json") == (0, "")
    code, told = run(65534, "revoke", "--all", "--reason", "x", "--yes")
    assert (code, told) == (
        77,
        "sessionctl: user 65534 is not among listen.control_admins, who may do that\n",
    )
    code, told = run(65533, "status", "--json")
    first, step = told.splitlines()
    assert (code, first) == (
        77,
        f"sessionctl: user 65534 may not connect to {control_of(daemon)}",
    )
    assert "run this with sudo, or as a member of group " in step
