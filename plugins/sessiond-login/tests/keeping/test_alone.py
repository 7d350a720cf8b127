"""One process at a time for each profile: with real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from keep_fakes import places_below
from sessiond_login.errors import CannotKeep, NotSignedIn
from sessiond_login.keeping.alone import alone
from sessiond_login.keeping.keep import Keeping

HOLD = """
import sys
from pathlib import Path
from sessiond_login.keeping.alone import alone
with alone([Path(sys.argv[1])], "corp"):
    print("held", flush=True)
    sys.stdin.read()
"""
# Whoever is not alone sees the other's file.
COUNT = """
import os, sys
from pathlib import Path
from sessiond_login.keeping.alone import alone
folder = Path(sys.argv[1])
for _ in range(50):
    with alone([folder / "run"], "corp"):
        number = int((folder / "count").read_text())
        (folder / "count").write_text(str(number + 1))
"""


@contextmanager
def holder(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_when_the_first_is_not_done_in_time(tmp_path: Path) -> None:
    with holder(tmp_path):
        with (
            pytest.raises(NotSignedIn, match=r"profile corp .* within 0\.05 s: finish the sign-in"),
            alone([tmp_path], "corp", patience=0.05),
        ):
            pytest.fail("two at once")
        with alone([tmp_path], "other", patience=0.05):
            pass


def test_a_holder_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with alone([tmp_path], "corp", patience=0.0):
            pass


def test_two_processes_that_fight_for_it_have_it_in_turns(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    argv = [sys.executable, "-c", COUNT, str(tmp_path)]
    both = [subprocess.Popen(argv) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "count").read_text() == "100"


def test_an_error_inside_lets_go_of_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), alone([tmp_path], "corp"):
        raise ZeroDivisionError
    with alone([tmp_path], "corp", patience=0.0):
        pass


def test_a_folder_that_cannot_be_had_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    unfit = [tmp_path / "file" / "locks", tmp_path / "link"]
    with alone([*unfit, tmp_path / "fit"], "corp"):
        assert (tmp_path / "fit").is_dir()
    with (
        pytest.raises(CannotKeep, match=r"File exists; .*is a link.*TMPDIR"),
        alone(unfit, "x"),
    ):
        pytest.fail("there is no lock")


def test_what_keeps_records_holds_the_lock_in_the_first_of_its_places(tmp_path: Path) -> None:
    keep = Keeping(places_below(tmp_path), print)
    with keep.alone("corp"):
        assert (tmp_path / "run" / "profile-corp.lock").exists()
        assert not (tmp_path / "state").exists()
