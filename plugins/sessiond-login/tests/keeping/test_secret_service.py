"""A real keyring: GNOME's, on a session bus of its own, by real programs that start and end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from keep_fakes import places_below

pytestmark = pytest.mark.needs("keyring")

# Unlocked with a password, as PAM does at the login; or started by nobody in particular.
UNLOCKED = "printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null"
SAVE = "keep.save('corp', kept('a' * 9_000, refresh='r' * 2_000))"
SHOW = "found = keep.load('corp'); print(len(found.access.reveal()) if found else None)"
FORGET = "keep.forget('corp')"
PROGRAM = """
import sys
from pathlib import Path
sys.path.append(sys.argv[2])
from keep_fakes import kept, places_below
from sessiond_login.keeping.keep import Keeping
keep = Keeping(places_below(Path(sys.argv[1])), print)
exec(sys.argv[3])
print(keep.place("corp", is_kept=True))
"""


def run(home: Path, before: str, *steps: str) -> list[str]:
    """Run a program for each step, one after the other, on a new session bus; return the lines."""
    argv = [sys.executable, "-c", PROGRAM, str(home / "machine"), str(Path(__file__).parents[1])]
    script = f'{before}\nfor step; do {" ".join(quoted(each) for each in argv)} "$step"; done'
    home.mkdir(mode=0o700, exist_ok=True)
    runtime = home / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DBUS_", "XDG_", "GNOME_", "PYTHON_KEYRING"))
        and name not in {"DISPLAY", "WAYLAND_DISPLAY"}
    }
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-ec", script, "sh", *steps],
        env={**environment, "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def test_tokens_are_kept_there_from_one_program_to_the_next_and_in_no_file(tmp_path: Path) -> None:
    lines = run(tmp_path, UNLOCKED, SAVE, SHOW, FORGET, SHOW)
    place = "the system's keyring"
    assert lines == [place, "9000", place, place, "None", place]
    assert not places_below(tmp_path / "machine").state.exists()


def test_they_are_there_at_the_next_login_of_the_person(tmp_path: Path) -> None:
    run(tmp_path, UNLOCKED, SAVE)
    assert run(tmp_path, UNLOCKED, SHOW)[0] == "9000"


def test_one_that_nobody_can_unlock_gives_way_to_a_file(tmp_path: Path) -> None:
    lines = run(tmp_path, ":", SAVE, SHOW)
    file = places_below(tmp_path / "machine").state / "tokens-corp.json"
    assert f"tokens are kept in {file}" in lines[0]
    assert lines[1:] == [str(file), "9000", str(file)]


def test_an_older_record_is_not_found_again_at_the_next_desktop(tmp_path: Path) -> None:
    run(tmp_path, UNLOCKED, SAVE)
    run(tmp_path, ":", SAVE.replace("9_000", "8_000"))
    lines = run(tmp_path, UNLOCKED, SHOW, SAVE.replace("9_000", "7_000"), SHOW)
    assert lines[0] == "8000"
    assert lines[2:] == ["the system's keyring", "7000", "the system's keyring"]
