"""sessionctl on a terminal: what it asks, draws and hides there, and how Ctrl-C ends it."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.operating import control_of
from tests.integration.terminal import OnTerminal, on_terminal
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

Connected = Callable[[RunningDaemon], FakeProcess]
MANY = 1000  # live sessions from which on a bar is drawn


def test_revoking_says_what_it_would_do_and_asks(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    for answer, code, left in (("n", 130, 1), ("y", 0, 0)):
        with on_terminal(daemon, "revoke", "--user", ALICE, "--reason", "left us") as run:
            run.expect("Go on?")
            assert f"Ends 1 live session (user {ALICE})" in run.plain
            assert "refused until that is forgiven" in run.plain
            run.type(f"{answer}\n")
            assert run.code() == code
            assert ("sessions ended: 1" in run.plain) == (code == 0)
        assert len(q.sessions()) == left


def test_ctrl_c_at_the_question_revokes_nothing(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    with on_terminal(daemon, "revoke", "--all", "--reason", "a drill") as run:
        run.expect("Go on?")
        assert run.interrupt() == 130
        assert "Traceback" not in run.plain
    assert len(q.sessions()) == 1


def test_a_password_is_asked_for_and_not_shown(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    with on_terminal(daemon, "explain", "--user", "bob") as run:
        run.expect("Password:")
        run.type("my plain password\n")
        run.expect("would be refused: nottoken")
        assert "my plain" not in run.text
        assert "\x1b[1;31mfailed" in run.text  # a terminal has colours
    with on_terminal(daemon, "explain", "--user", "bob", NO_COLOR="1") as run:
        run.expect("Password:")
        run.type("my plain password\n")
        assert run.code() == 77
        assert "failed" in run.plain
        assert "31m" not in run.text


def test_a_token_longer_than_a_terminal_s_line_is_explained_whole(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    header, payload, signature = strict_issuer.tokens()["access_token"].split(".")
    token = f"{header}.{payload}{'A' * 6000}.{signature}"
    with on_terminal(daemon, "explain", "--user", ALICE, "--json") as run:
        run.expect("Password:")
        run.type(token + "\n")
        assert run.code() == 77
        found = json.loads(run.plain.splitlines()[-1])
    assert found["checks"][0] == {
        "check": "token",
        "outcome": "passed",
        "reason": "",
        "detail": "a JWT",
    }


def test_ctrl_c_at_the_password_leaves_the_terminal_as_it_was(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    asking = (
        f"sessionctl --control {control_of(daemon)} explain --user bob; stty -a; echo is' 'over\n"
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with OnTerminal("bash", "--norc", "--noprofile", "--noediting", "-i", PATH=path) as shell:
        shell.type("stty -a; echo is' 'before\n")
        shell.expect("is before")
        before = shell.plain
        shell.type(asking)
        shell.expect("Password:")
        shell.type("\x03")
        shell.expect("is over")
        modes = [
            set(re.findall(r"-?(?:icanon|echo|isig)\b", each)) for each in (before, shell.plain)
        ]
        assert modes[0] == modes[1] == {"icanon", "echo", "isig"}


def test_a_list_fits_a_terminal_of_80_columns_and_its_ids_lead_to_the_session(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    session = process(daemon).log_in(ALICE, strict_issuer.tokens()["access_token"])["session"]
    with on_terminal(daemon, "list", columns=80) as run:
        assert run.code() == 0
    header, line = run.plain.splitlines()
    assert header.split() == ["USER", "PROCESS", "STATE", "LEFT", "SESSION"]
    assert len(line) <= 80
    short = line.split()[-1]
    assert str(session).startswith(short)
    with on_terminal(daemon, "show", short) as run:
        assert run.code() == 0
    assert str(session) in run.plain


def test_the_list_is_drawn_again_until_ctrl_c(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    with on_terminal(daemon, "list", "--watch") as run:
        run.expect("no sessions")
        q.log_in(ALICE, strict_issuer.tokens()["access_token"])
        run.expect("USER")
        run.expect("open")
        assert run.interrupt() == 130
        assert "\x1b[?25h" in run.text  # the cursor is back
        assert "Traceback" not in run.plain


def test_watching_ends_with_ctrl_c(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    with on_terminal(daemon, "watch", "--after", "0") as run:
        with FakeProcess(daemon.address) as q:
            q.hello()
            q.log_in(ALICE, strict_issuer.tokens()["access_token"])
            run.expect("session.opened")
        assert run.interrupt() == 130
        assert "Traceback" not in run.plain


def test_a_narrow_terminal_is_not_written_over_its_edge(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    process(daemon).log_in(ALICE, strict_issuer.tokens()["access_token"])
    config = str(daemon.folder / "config.toml")
    for command in (["status"], ["list"], ["subscribers"]):
        with on_terminal(daemon, *command, columns=40) as run:
            assert run.code() == 0
            assert max(map(len, run.plain.splitlines())) <= 40, run.plain
    with on_terminal(daemon, "doctor", columns=40) as run:
        assert run.code() == 1, config  # the unit's configuration is not there
        assert max(map(len, run.plain.splitlines())) <= 40, run.plain


@pytest.mark.heavy
def test_a_bar_shows_how_far_a_long_revocation_is(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    token = strict_issuer.tokens()["access_token"]
    for handle in range(1, MANY + 2):
        q.log_in(ALICE, token, handle)
    with on_terminal(daemon, "revoke", "--all", "--reason", "a drill", "--yes") as run:
        assert run.code() == 0
    assert f"/{MANY + 1}" in run.plain
    assert f"sessions ended: {MANY + 1}" in run.plain


def test_tab_in_a_bash_completes_commands_options_and_what_the_daemon_knows(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with OnTerminal("bash", "--norc", "--noprofile", "-i", PATH=path, PS1="$ ") as shell:
        shell.type("source <(sessionctl completion bash); echo is' 'there\n")
        shell.expect("is there")
        shell.type(f"sessionctl --control {control_of(daemon)} revok\t")
        shell.expect("revoke ")
        shell.type("--iss\t")
        shell.expect("--issuer ")
        shell.type("\t")
        shell.expect("--issuer corp ")
