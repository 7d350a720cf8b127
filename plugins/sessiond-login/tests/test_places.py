"""Where the files are, on each system, whichever this is."""

from pathlib import Path

import pytest
from platformdirs import windows
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows
from sessiond_login.errors import ProfileRefused
from sessiond_login.places import Places, here, places


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ann")


def test_on_linux_they_are_in_the_persons_hidden_folders_and_in_etc() -> None:
    found = places(Unix("sessiond", appauthor=False), {}, uid=4711)
    assert found.profiles == Path("/home/ann/.config/sessiond/login.toml")
    assert found.system_profiles == Path("/etc/sessiond/login.toml")
    assert found.state == Path("/home/ann/.local/state/sessiond")
    assert found.locks[0] == found.state / "locks"


def test_on_linux_the_person_moves_them_with_the_usual_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    assert places(Unix("sessiond", appauthor=False), {}, uid=1).profiles == Path(
        "/elsewhere/sessiond/login.toml"
    )


def test_locks_are_in_the_sessions_own_folder_where_it_is_the_persons(tmp_path: Path) -> None:
    at = {"XDG_RUNTIME_DIR": str(tmp_path)}
    uid = tmp_path.stat().st_uid
    found = places(Unix("sessiond", appauthor=False), at, uid=uid)
    assert found.locks[0] == tmp_path / "sessiond-login"
    assert len(found.locks) == 3
    others = places(Unix("sessiond", appauthor=False), at, uid=uid + 1)
    assert len(others.locks) == 2


def test_those_of_this_machine_are_where_the_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert here().state == tmp_path / "sessiond"


def test_on_macos_they_are_in_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    found = places(MacOS("sessiond", appauthor=False), {"XDG_RUNTIME_DIR": "/tmp"}, uid=501)
    support = Path("/home/ann/Library/Application Support/sessiond")
    assert found.profiles == support / "login.toml"
    assert found.system_profiles == Path("/Library/Application Support/sessiond/login.toml")
    assert found.state == support
    assert found.locks[0] == support / "locks"


def test_on_windows_they_are_in_the_persons_local_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {"CSIDL_LOCAL_APPDATA": "/u/ann/Local", "CSIDL_COMMON_APPDATA": "/ProgramData"}
    monkeypatch.setattr(windows, "get_win_folder", folders.__getitem__)
    at = {"ProgramFiles": "/Program Files"}
    found: Places = places(Windows("sessiond", appauthor=False), at, uid=None)
    assert found.profiles == Path("/u/ann/Local/sessiond/login.toml")
    # Not in ProgramData: there everybody may make a folder of this name before the administrator.
    assert found.system_profiles == Path("/Program Files/sessiond/login.toml")
    assert found.state == Path("/u/ann/Local/sessiond")
    assert found.locks[0] == found.state / "locks"


def test_who_has_no_home_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise RuntimeError("Could not determine home directory")

    monkeypatch.setattr("sessiond_login.places.PlatformDirs", unknown)
    with pytest.raises(ProfileRefused, match=r"has no home folder: set HOME"):
        here()


def test_where_nothing_can_be_written_there_is_a_place_for_locks_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unusable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", unusable)
    found = places(Unix("sessiond", appauthor=False), {}, uid=4711)
    assert found.locks == (found.state / "locks",)
