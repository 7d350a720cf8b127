"""A password typed at a terminal: however long, unseen, and the terminal is as it was after it."""

import os
import pty
import signal
import sys
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import click
import pytest

from sessiond.ctl import typed
from sessiond.ctl.typed import MOST, read_password

LONG = "eyJ" + "x" * 20_000  # more than four lines of a terminal hold


@dataclass
class Terminal:
    """A terminal, the program's side of it, and who types at it."""

    main: int
    side: TextIO

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.side.fileno())

    def read(self, *pieces: bytes) -> str:
        """Return what is read while these are typed, once it is asked for."""

        def type_all() -> None:
            os.read(self.main, 64)  # the prompt is not there, but what is echoed might be
            for piece in pieces:
                left = piece
                while left:
                    left = left[os.write(self.main, left[:512]) :]

        waiting = threading.Thread(target=type_all, daemon=True)
        waiting.start()
        try:
            return read_password()
        finally:
            waiting.join(5)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    main, side = pty.openpty()
    with os.fdopen(side, "r+b", buffering=0) as raw:
        stream = _Text(raw)
        monkeypatch.setattr(sys, "stdin", stream)
        flushed = termios.tcsetattr

        def begin(descriptor: int, when: int, modes: list[Any]) -> None:
            flushed(descriptor, when, modes)
            if not modes[typed._LOCAL] & termios.ICANON:
                os.write(descriptor, b"ready")  # now whoever types begins

        monkeypatch.setattr(termios, "tcsetattr", begin)
        yield Terminal(main, stream)  # type: ignore[arg-type]  # all that is asked of it
    os.close(main)


class _Text:
    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def fileno(self) -> int:
        number: int = self._raw.fileno()
        return number


def test_a_token_longer_than_a_terminal_s_line_comes_whole(terminal: Terminal) -> None:
    before = terminal.modes
    assert terminal.read(LONG.encode() + b"\n") == LONG
    assert terminal.modes == before


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        (b"secret\r", "secret"),
        (b"secret\x04", "secret"),
        (b"secxx\x7f\x08ret\n", "secret"),
        (b"\x7fsecret\n", "secret"),
        (b"wrong\x15secret\n", "secret"),
        ("Schlüssel\n".encode(), "Schlüssel"),
        (b" blanks stay \n", " blanks stay "),
        (b"\n", ""),
    ],
)
def test_keys_do_what_they_do_on_a_line(terminal: Terminal, keys: bytes, read: str) -> None:
    assert terminal.read(keys) == read


def test_it_is_not_shown_and_the_rest_of_a_paste_is_nobody_s(terminal: Terminal) -> None:
    assert terminal.read(b"secret\nrm -rf precious\n") == "secret"
    os.set_blocking(terminal.main, False)
    shown = b""
    while True:
        try:
            shown += os.read(terminal.main, 4096)
        except BlockingIOError:
            break
    assert b"secret" not in shown
    os.write(terminal.main, b"next\n")
    assert os.read(terminal.side.fileno(), 4096) == b"next\n"


@pytest.mark.parametrize(
    ("keys", "told"), [(b"x" * (MOST + 4096), "longer than"), (b"\xff\n", "not UTF-8")]
)
def test_what_is_no_password_is_refused_and_the_terminal_is_as_it_was(
    terminal: Terminal, keys: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed, "MOST", 2048)
    before = terminal.modes
    with pytest.raises(click.UsageError, match=told):
        terminal.read(keys[:4096])
    assert terminal.modes == before


def test_an_interrupt_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    before = terminal.modes
    reading = threading.Event()

    def interrupt() -> None:
        os.read(terminal.main, 64)
        reading.set()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        read_password()
    assert reading.is_set()
    assert terminal.modes == before


def test_keys_that_would_leave_it_unseen_do_nothing_meanwhile(terminal: Terminal) -> None:
    assert terminal.read(b"a\x1ab\x1cc\n") == "a\x1ab\x1cc"
