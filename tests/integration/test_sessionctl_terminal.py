"""sessionctl on a terminal: what it asks, draws and hides there, and how Ctrl-C ends it."""

import os
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
            assert f"Ends 1 live sessions (user {ALICE})" in run.plain
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
        assert run.code() == 0
        assert "failed" in run.plain
        assert "31m" not in run.text


def test_the_list_is_drawn_again_until_ctrl_c(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    with on_terminal(daemon, "list", "--watch") as run:
        run.expect("USER")
        q.log_in(ALICE, strict_issuer.tokens()["access_token"])
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
        shell.type(f"sessionctl --control {control_of(daemon)} rev\t")
        shell.expect("revoke ")
        shell.type("--iss\t")
        shell.expect("--issuer ")
        shell.type("\t")
        shell.expect("--issuer corp ")
