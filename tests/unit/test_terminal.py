"""What the programs are on a terminal, a pipe and a full disk."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sessiond.cli import main as sessiond
from sessiond.ctl.commands import main as sessionctl
from sessiond.terminal import EX_CLOSED_PIPE, whole_output

PROGRAMS = {"sessiond": sessiond, "sessionctl": sessionctl}
PRINTING = [("sessionctl", "--help"), ("sessionctl", "completion", "bash"), ("sessiond", "keygen")]
# As they are, and as systemd's or a container's environment may have it.
BUFFERING: tuple[dict[str, str], ...] = ({}, {"PYTHONUNBUFFERED": "1"})


def program(
    *args: str, buffering: dict[str, str], **given: Any
) -> subprocess.CompletedProcess[str]:
    path = Path(sys.executable).with_name(args[0])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [path, *args[1:]],
        env={**environment, **buffering},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **given,
    )


@pytest.mark.parametrize("buffering", BUFFERING)
@pytest.mark.parametrize("args", PRINTING)
def test_a_full_disk_is_said_in_a_line_and_ends_with_74(
    args: tuple[str, ...], buffering: dict[str, str]
) -> None:
    with Path("/dev/full").open("w") as full:
        found = program(*args, buffering=buffering, stdout=full)
    assert found.returncode == os.EX_IOERR == 74
    assert found.stderr == (
        f"{args[0]}: standard output cannot be written: No space left on device; "
        "what was printed is not whole\n"
    )


@pytest.mark.parametrize("buffering", BUFFERING)
@pytest.mark.parametrize("args", PRINTING)
def test_a_reader_who_has_read_enough_is_told_nothing(
    args: tuple[str, ...], buffering: dict[str, str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        found = program(*args, buffering=buffering, stdout=writing)
    finally:
        os.close(writing)
    assert (found.returncode, found.stderr) == (141, "")


class Full(io.StringIO):
    """A stream that takes nothing, at once or when it is to let go of what it has."""

    def __init__(self, error: OSError, *, is_buffering: bool) -> None:
        super().__init__()
        self._error = error
        self._is_buffering = is_buffering

    def write(self, text: str) -> int:
        if not self._is_buffering:
            raise self._error
        return super().write(text)

    def flush(self) -> None:
        if self._is_buffering:
            raise self._error


def print_and_exit() -> None:
    with whole_output("x"):
        print("something")
        sys.exit(0)


@pytest.mark.parametrize("is_buffering", [True, False])
@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (errno.EPIPE, EX_CLOSED_PIPE, ""),
        (errno.EIO, 74, "x: standard output cannot be written: Input/output error; "),
    ],
)
def test_the_code_says_what_became_of_the_output(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_buffering: bool,
    number: int,
    code: int,
    told: str,
) -> None:
    stream = Full(OSError(number, os.strerror(number)), is_buffering=is_buffering)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as ended:
        print_and_exit()
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(told)
    assert sys.stdout is stream


def test_an_exit_is_as_it_was_where_all_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SystemExit) as ended, whole_output("x"):
        sys.exit(7)
    assert ended.value.code == 7
    with whole_output("x"):
        print("something")


def test_what_goes_wrong_elsewhere_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(28, "another disk")

    monkeypatch.setitem(sessiond.commands, "keygen", click.Command("keygen", callback=fail))
    found = CliRunner().invoke(sessiond, ["keygen"])
    assert isinstance(found.exception, OSError)


def every(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    """Return the path of every command that is shown."""
    found = [path]
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            found += [] if inner.hidden else every(inner, *path, name)
    return found


@pytest.mark.parametrize(
    "path", [each for name, group in PROGRAMS.items() for each in every(group, name)], ids=" ".join
)
def test_every_command_has_a_short_help_of_whole_sentences(path: tuple[str, ...]) -> None:
    short = CliRunner().invoke(PROGRAMS[path[0]], [*path[1:], "-h"], prog_name=path[0])
    long = CliRunner().invoke(PROGRAMS[path[0]], [*path[1:], "--help"], prog_name=path[0])
    assert short.exit_code == 0
    assert short.output == long.output
    assert "..." not in short.output.partition("\n")[2]
    assert "…" not in short.output
    assert max(map(len, short.output.splitlines())) <= 80
    assert "\n\nOptions:\n" in short.output


def test_a_hidden_command_is_not_listed() -> None:
    assert "subscriber " not in CliRunner().invoke(sessiond, ["-h"]).output
