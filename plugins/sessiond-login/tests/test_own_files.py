"""Files and folders that are one person's."""

import os
import stat
from pathlib import Path

import pytest
from sessiond_login import own_files
from sessiond_login.own_files import (
    NotOwnError,
    check_folder,
    make_own_folder,
    read_own,
    write_own,
)


def test_what_is_written_is_read_again_and_only_the_person_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o644)
    write_own(path, b"after")
    assert read_own(path, max_size=5, secret=True) == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_own(path, b"after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o640, 0o604])
def test_a_secret_that_others_read_or_write_is_not_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(mode)
    with pytest.raises(NotOwnError, match=f"mode {mode:04o}.*chmod go-rwx"):
        read_own(path, max_size=9, secret=True)


def test_what_others_only_read_is_read_where_it_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(0o644)
    assert read_own(path, max_size=9) == b"x"
    path.chmod(0o664)
    with pytest.raises(NotOwnError, match="others can write it: chmod go-w"):
        read_own(path, max_size=9)


def test_what_belongs_to_another_user_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(0o600)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(NotOwnError, match="belongs to another user"):
        read_own(path, max_size=9)
    assert read_own(path, max_size=9, anybodys=True) == b"x"
    with pytest.raises(NotOwnError, match="belongs to another user"):
        make_own_folder(tmp_path)


def test_a_link_a_pipe_a_folder_and_a_long_file_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("xx")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="symbolic links"):
        read_own(tmp_path / "link", max_size=9)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(NotOwnError, match="no regular file"):
            read_own(tmp_path / name, max_size=9)
    with pytest.raises(NotOwnError, match="longer than 1 bytes"):
        read_own(tmp_path / "file", max_size=1)


def test_a_folder_is_made_for_the_person_alone_and_one_that_is_there_is_closed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a" / "b"
    make_own_folder(path)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o700] * 2
    path.chmod(0o755)
    make_own_folder(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_no_mask_of_the_shell_opens_a_folder_that_is_new(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_own_folder(tmp_path / "local" / "state" / "own")
    finally:
        os.umask(before)
    for each in ("local", "local/state", "local/state/own"):
        assert stat.S_IMODE((tmp_path / each).stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone could write there")
def test_root_makes_no_folders_in_the_home_that_sudo_has_left_to_it(tmp_path: Path) -> None:
    home = tmp_path / "alice"
    home.mkdir()
    os.chown(home, 1000, 1000)
    with pytest.raises(NotOwnError, match="belongs to another user"):
        make_own_folder(home / "local" / "state")
    assert list(home.iterdir()) == []


def test_a_link_is_no_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(NotOwnError, match="is a link"):
        make_own_folder(tmp_path / "link")


def test_a_folder_that_others_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    with pytest.raises(NotOwnError, match="others can write it"):
        check_folder(tmp_path)


def test_where_a_system_has_no_modes_none_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_files, "_POSIX", False)
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o666)
    assert read_own(tmp_path / "file", max_size=9, secret=True) == b"x"
    make_own_folder(tmp_path)
    write_own(tmp_path / "file", b"y")
