"""The command line: what it prints, and the code it ends with."""

import base64
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from sessiond import __version__
from sessiond.cli import exit_code, main
from sessiond.core.errors import AddressInUseError, ConfigError, NotNowError, StoreError
from sessiond.daemon import checking

GOOD = """
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
"""


def invoke(*args: str) -> Result:
    return CliRunner().invoke(main, args, prog_name="sessiond")


def program(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sessiond", *args], capture_output=True, text=True, timeout=30
    )


@pytest.fixture
def daemon(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Callable[[Path], None]], None]]:
    """Yield what puts a stand-in for the daemon's `run` in place."""

    def put(run: Callable[[Path], None]) -> None:
        module = ModuleType("sessiond.daemon")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "sessiond.daemon", module)

    yield put
    gc.enable()  # `run` leaves that to the daemon


def raising(error: BaseException) -> Callable[[Path], None]:
    def run(_: Path) -> None:
        raise error

    return run


def test_check_config_says_that_a_good_file_is_ok(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(GOOD)

    found = invoke("check-config", "--config", str(path))
    assert (found.exit_code, found.output) == (0, f"{path}: ok\n")


def test_check_config_looks_at_the_machine_only_where_it_is_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[listen]\nallow_users = ["no-such-user"]\n{GOOD}')

    assert invoke("check-config", "--config", str(path)).exit_code == 0
    found = program("check-config", "--deep", "--config", str(path))
    assert found.returncode == 75
    assert found.stderr.startswith("sessiond: listen.allow_users: no user 'no-such-user' is found")
    path.write_text(f'[store]\npath = "{tmp_path}/sessiond.db"\n{GOOD}')
    found = program("check-config", "--deep", "--config", str(path))
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"{path}: ok, and so is what it needs")


def test_check_config_says_of_what_it_could_not_learn_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(_: Path, __: object, doubt: Callable[[str], None]) -> str:
        doubt("subscriber[chat] could not be tried: it ended with exit code 3")
        return "sessiond"

    monkeypatch.setattr(checking, "check", check)
    (tmp_path / "config.toml").write_text(GOOD)
    found = invoke("check-config", "--deep", "--config", str(tmp_path / "config.toml"))
    assert found.exit_code == 0
    assert (
        "but subscriber[chat] could not be tried: it ended with exit code 3; "
        "a start goes on without it, and tries it again\n"
    ) in found.output


def test_check_config_names_every_wrong_key_and_ends_with_78(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[listen]\nprot = 1\n[refresh]\nshare = 1.2\n{GOOD}")

    found = program("check-config", "--config", str(path))
    assert found.returncode == os.EX_CONFIG == 78
    assert found.stdout == ""
    assert found.stderr.splitlines() == [
        "sessiond: listen.prot is unknown; did you mean listen.port?",
        "sessiond: refresh.share is 1.2, must be between 0 and 1",
    ]


def test_a_file_that_is_not_there_ends_with_78(tmp_path: Path) -> None:
    found = program("check-config", "--config", str(tmp_path / "none"))

    assert found.returncode == 78
    assert "cannot read" in found.stderr


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("bogus",),
        ("run",),
        ("run", "--config"),
        ("run", "--bogus"),
        ("keygen", "extra"),
        ("check-config",),
    ],
)
def test_wrong_usage_ends_with_64(args: tuple[str, ...]) -> None:
    found = invoke(*args)

    assert found.exit_code == os.EX_USAGE == 64
    assert "Usage: sessiond" in found.stderr or "Error: Option" in found.stderr
    assert found.stdout == ""


def test_wrong_usage_ends_the_real_program_with_64() -> None:
    assert program("run").returncode == 64


def test_keygen_prints_a_key_of_32_bytes_on_one_line() -> None:
    one, other = program("keygen"), invoke("keygen")

    assert (one.returncode, other.exit_code, one.stdout.count("\n")) == (0, 0, 1)
    assert len(base64.b64decode(one.stdout.strip(), validate=True)) == 32
    assert one.stdout != other.stdout


def test_version_and_help_end_with_0() -> None:
    assert program("--version").stdout == f"sessiond {__version__}\n"
    found = invoke("--help")
    assert found.exit_code == 0
    assert all(name in found.output for name in ("run", "check-config", "keygen", "demo"))


def test_run_hands_the_daemon_the_path(
    daemon: Callable[[Callable[[Path], None]], None], tmp_path: Path
) -> None:
    given: list[Path] = []
    daemon(given.append)

    assert invoke("run", "--config", str(tmp_path / "c")).exit_code == 0
    assert given == [tmp_path / "c"]


def test_the_other_commands_do_not_wait_for_what_the_daemon_needs() -> None:
    heavy = ("sessiond.daemon", "sessiond.store", "sessiond.table", "structlog", "httpx", "rich")
    found = subprocess.run(
        [sys.executable, "-c", "import sessiond.cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(heavy) & set(found.stdout.split()) == set()


def test_the_collector_rests_while_the_daemon_is_imported(
    daemon: Callable[[Callable[[Path], None]], None], tmp_path: Path
) -> None:
    rests: list[bool] = []
    daemon(lambda _: rests.append(not gc.isenabled()))
    invoke("run", "--config", str(tmp_path / "c"))
    assert rests == [True]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("listen.port is wrong"), 78),
        (NotNowError("listen.allow_users: no user 'kdb' is found here now"), 75),
        (AddressInUseError("somebody has the socket"), 73),
        (StoreError("disk full"), 70),
    ],
)
def test_an_error_of_the_daemon_becomes_its_code_and_one_line(
    daemon: Callable[[Callable[[Path], None]], None],
    error: ConfigError | AddressInUseError | StoreError,
    code: int,
) -> None:
    daemon(raising(error))

    found = invoke("run", "--config", "c")
    assert exit_code(error) == found.exit_code == code
    assert found.stderr == f"sessiond: {error}\n"


def test_what_an_error_quotes_steers_no_terminal(
    daemon: Callable[[Callable[[Path], None]], None],
) -> None:
    daemon(raising(ConfigError("plugin: \x1b]0;mine\x07\x9b2J")))
    assert invoke("run", "--config", "c").stderr == "sessiond: plugin: \\x1b]0;mine\\x07\\x9b2J\n"


def test_errors_that_a_task_group_gathered_become_the_first_ones_code(
    daemon: Callable[[Callable[[Path], None]], None],
) -> None:
    inner = ExceptionGroup("tasks", [AddressInUseError("in use")])
    daemon(raising(ExceptionGroup("tasks", [inner, ConfigError("wrong")])))

    found = invoke("run", "--config", "c")
    assert found.exit_code == 73
    assert found.stderr == "sessiond: in use\nsessiond: wrong\n"


def test_a_bug_keeps_its_traceback(
    daemon: Callable[[Callable[[Path], None]], None],
) -> None:
    bug = ExceptionGroup("tasks", [ConfigError("wrong"), ZeroDivisionError()])
    daemon(raising(bug))

    found = invoke("run", "--config", "c")
    assert found.exception is bug


def test_an_interrupt_ends_with_130(daemon: Callable[[Callable[[Path], None]], None]) -> None:
    daemon(raising(KeyboardInterrupt()))

    assert invoke("run", "--config", "c").exit_code == 130


def test_demo_ends_with_what_the_story_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    story = ModuleType("sessiond.demo.story")
    story.main = lambda by_browser: 3 + by_browser  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sessiond.demo.story", story)
    assert invoke("demo").exit_code == 3
    assert invoke("demo", "--browser").exit_code == 4

    story.main = lambda by_browser: None  # type: ignore[attr-defined]
    assert invoke("demo").exit_code == 0
