"""The person before the screen: a real terminal, a real signal, a $BROWSER of our own."""

import os
import signal
import subprocess
import sys
import threading
import webbrowser
from pathlib import Path

import pytest
from ptys import OnTerminal
from sessiond_login.terminal import PersonAtTerminal, printable

ASK = """
from sessiond_login.terminal import PersonAtTerminal
from sessiond_login.errors import NotSignedIn
try:
    user, password = PersonAtTerminal().ask_password({user!r})
except NotSignedIn as error:
    raise SystemExit(f"refused: {{error}}")
print(user, len(password.reveal()))
"""


def ask(user: str = "") -> list[str]:
    return [sys.executable, "-c", ASK.format(user=user)]


def test_name_and_password_are_asked_on_the_terminal_and_the_password_is_not_shown() -> None:
    with OnTerminal(ask()) as program:
        program.wait_for("User: ")
        program.type("alice\n")
        program.wait_for("Password of alice: ")
        assert not program.echoes
        program.type("pw-secret\n")
        assert program.ended() == 0
        assert "alice 9" in program.said
        assert "pw-secret" not in program.said


def test_a_name_that_is_known_is_not_asked_for() -> None:
    with OnTerminal(ask("bob")) as program:
        program.wait_for("Password of bob: ")
        assert "User" not in program.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_echoes_again_after_a_signal_at_the_password(number: signal.Signals) -> None:
    with OnTerminal(ask("bob")) as program:
        program.wait_for("Password of bob: ")
        echoes = program.echoes
        assert not echoes
        program.signal(number)
        os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
        assert program.echoes
        assert program.ended() == 128 + number


def test_who_leaves_the_question_is_not_signed_in() -> None:
    with OnTerminal(ask()) as program:
        program.wait_for("User: ")
        program.type("\x04")
        assert program.ended() == 1
        assert "refused: no name and password" in program.said


def test_without_a_terminal_nobody_is_asked() -> None:
    done = subprocess.run(
        ask("bob"), capture_output=True, text=True, start_new_session=True, stdin=subprocess.DEVNULL
    )
    assert "refused: there is no terminal" in done.stderr


def browser(folder: Path, script: str) -> str:
    program = folder / "a-browser"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


OPEN = (
    "from sessiond_login.terminal import PersonAtTerminal; "
    "print(PersonAtTerminal().open('http://127.0.0.1:5/x?a=b&c=d'))"
)


def open_in(script: str, folder: Path) -> str:
    environment = os.environ | {"BROWSER": f"{browser(folder, script)} %s"}
    done = subprocess.run(
        [sys.executable, "-c", OPEN], env=environment, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


def test_the_persons_own_browser_gets_the_whole_address(tmp_path: Path) -> None:
    assert open_in(f'echo "$1" > {tmp_path}/seen', tmp_path) == "True"
    assert (tmp_path / "seen").read_text() == "http://127.0.0.1:5/x?a=b&c=d\n"


def test_who_reads_is_told_of_the_browser_and_of_the_way_without(tmp_path: Path) -> None:
    """A program that opens pages for others says yes where it finds nothing to open them with."""
    environment = os.environ | {"BROWSER": f"{browser(tmp_path, 'exit 0')} %s"}
    with OnTerminal([sys.executable, "-c", OPEN], environment=environment) as program:
        program.wait_for("True")
        assert "where 127.0.0.1 opens. No page there? Ctrl-C, then" in program.said
        assert "`sessiond-login --device`" in program.said
        assert "a=b" not in program.said


def test_who_does_not_read_is_told_nothing_of_the_browser(tmp_path: Path) -> None:
    """A client with a window shows what is said last where signing in has failed."""
    environment = os.environ | {"BROWSER": f"{browser(tmp_path, 'exit 0')} %s"}
    done = subprocess.run(
        [sys.executable, "-c", OPEN], env=environment, capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_browser_that_cannot_be_opened_is_none(tmp_path: Path) -> None:
    environment = os.environ | {"BROWSER": "/nowhere/browser %s", "PATH": str(tmp_path)}
    environment = {name: value for name, value in environment.items() if "DISPLAY" not in name}
    done = subprocess.run(
        [sys.executable, "-c", OPEN], env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == "False"


def test_a_browser_that_ends_with_its_window_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = threading.Event()
    monkeypatch.setattr("sessiond_login.terminal._OPENING", 0.0)
    monkeypatch.setattr("webbrowser.open", lambda url: window.wait() and False)
    assert PersonAtTerminal().open("http://127.0.0.1/")
    window.set()


def test_what_an_issuer_wrote_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    PersonAtTerminal().tell("Visit \x1b]0;x\x07https://a.test\rEVIL\nand ünderstand")
    assert capsys.readouterr().err == (
        "Visit \\x1b]0;x\\x07https://a.test\\rEVIL\nand ünderstand\n"
    )
    assert printable("a\u202eb") == "a\\u202eb"


def test_without_standard_error_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    PersonAtTerminal().tell("words")


def test_a_browser_that_is_no_command_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # as before the first page
    monkeypatch.setenv("BROWSER", "firefox '%s")
    assert not PersonAtTerminal().open("https://login.example/")
