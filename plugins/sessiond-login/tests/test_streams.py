"""Standard output and error: whole, quiet at a closed pipe, and nobody else's."""

import os
import subprocess
import sys

import pytest

PRINT = """
import subprocess, sys, os
from sessiond_login.streams import keep_from_others, print_whole
keep_from_others()
"""


def run(script: str, *, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRINT + script],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
    )


def test_what_is_started_has_neither_stream() -> None:
    done = run(
        "subprocess.Popen(['sh', '-c', 'echo noise; echo noise >&2'])\n"
        "os.write(1, b'noise'); print_whole('asked for'); sys.stderr.write('said')"
    )
    assert (done.stdout, done.stderr) == ("asked for\n", "said")


def test_a_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run("print_whole('x')", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    done = run("print_whole('x')", stdout=full)
    os.close(full)
    assert done.returncode == 74
    assert done.stderr == (
        "sessiond-login: standard output cannot be written: No space left on device\n"
    )


def test_a_name_that_the_terminal_cannot_write_is_written_all_the_same() -> None:
    script = "print_whole('/home/zo\\xeb/\\u03a9')"
    done = subprocess.run(
        [sys.executable, "-c", PRINT + script],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("/home/zo\\xeb/\\u03a9\n", "")


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-"])
def test_without_standard_error_what_was_asked_for_comes_and_nothing_of_ours_takes_its_number(
    closed: str,
) -> None:
    script = "print_whole('asked for'); print(open(os.devnull).fileno() > 2)"
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, PRINT + script],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "asked for\nTrue\n")


def test_without_standard_output_it_is_said() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, PRINT + "print_whole('x')"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 74
    assert "it is closed" in done.stderr
