"""What a fault of the program shows."""

import subprocess
import sys

import pytest

SECRET = "eyJhbGciOi-the-token"
PREPARE = "from sessiond_login.faults import show_no_values; show_no_values(); import logging\n"


def stderr_of(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + script], capture_output=True, text=True, timeout=30
    )
    return done.stderr


@pytest.mark.parametrize(
    "script",
    [
        f"raise KeyError({SECRET!r})",
        f"import json; json.loads('[' + {SECRET!r})",
        f"import threading\ndef f(): raise ValueError({SECRET!r})\n"
        "each = threading.Thread(target=f); each.start(); each.join()",
    ],
    ids=["here", "in a library", "in a thread"],
)
def test_an_unforeseen_error_shows_its_kind_and_place_and_no_value(script: str) -> None:
    said = stderr_of(script)
    assert said.count("\n") == 1
    assert "a fault of this program: " in said
    assert "Error at " in said
    assert "token" not in said


def test_libraries_log_nothing_to_the_terminal() -> None:
    assert stderr_of(f"logging.getLogger('msal').error('it failed: %s', {SECRET!r})") == ""


def test_a_thread_may_end_itself() -> None:
    script = "import sys, threading\neach = threading.Thread(target=sys.exit); each.start()"
    assert stderr_of(script) == ""


def test_what_ends_unseen_is_not_shown() -> None:
    assert stderr_of(f"class A:\n  def __del__(self): raise ValueError({SECRET!r})\nA()") == ""


def test_a_fault_in_a_library_is_placed_in_the_room_that_called_it() -> None:
    said = stderr_of("from sessiond_login.profiles import toml_text; toml_text.as_value(object())")
    assert "TypeError at encoder.py:" in said
    assert ", called from toml_text.py:" in said


def test_no_core_file_is_left() -> None:
    script = (
        "import resource, sys\n"
        "most = resource.getrlimit(resource.RLIMIT_CORE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (most, most))\n"
        "show_no_values(); print(resource.getrlimit(resource.RLIMIT_CORE)[0], file=sys.stderr)"
    )
    assert stderr_of(script) == "0\n"
