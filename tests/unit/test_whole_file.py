"""A file is there whole, with its mode and owner, or is not there."""

import os
import stat
from pathlib import Path

import pytest

from sessiond.core.errors import ConfigError
from sessiond.whole_file import below, make_folder, write_whole


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_it_has_its_mode_whatever_the_umask_says(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "a", b"text", mode=0o640)
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == b"text"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert names(tmp_path) == ["a"]


def test_its_owner_is_set_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int, list[str]]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: seen.append((uid, gid, names(tmp_path))))
    write_whole(tmp_path / "a", b"", mode=0o600, owner=(7, 8))
    ((uid, gid, there),) = seen
    assert (uid, gid) == (7, 8)
    assert "a" not in there


def test_what_is_there_gives_way_or_not_as_is_wanted(tmp_path: Path) -> None:
    place = tmp_path / "a"
    write_whole(place, b"one", mode=0o600)
    write_whole(place, b"two", mode=0o600)
    with pytest.raises(FileExistsError):
        write_whole(place, b"three", mode=0o600, replaces=False)
    assert place.read_bytes() == b"two"
    assert names(tmp_path) == ["a"]
    write_whole(tmp_path / "b", b"new", mode=0o600, replaces=False)
    assert (tmp_path / "b").read_bytes() == b"new"
    assert names(tmp_path) == ["a", "b"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "a", b"text", mode=0o600)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_a_new_folder_can_be_looked_into_whatever_the_umask_says(
    tmp_path: Path, umask: int
) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        make_folder(tmp_path / "there" / "a" / "b")
        make_folder(tmp_path / "there" / "a" / "b")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / "there" / each).stat().st_mode) for each in ("", "a", "a/b")]
    assert modes == [0o700, 0o755, 0o755]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_folder(tmp_path / "file")


def test_no_link_of_an_image_leads_out_of_it(tmp_path: Path) -> None:
    image, ours = tmp_path / "image", tmp_path / "ours"
    (image / "lib").mkdir(parents=True)
    ours.mkdir()
    (image / "inside").symlink_to("lib")
    (image / "etc").symlink_to(ours)
    (image / "up").symlink_to("../ours")
    assert below(image, "/inside/a") == image / "inside/a"
    assert below(image, Path("/none/of/it")) == image / "none/of/it"
    for place in ("/etc/a", "etc/systemd/system/a", "/up/a"):
        with pytest.raises(ConfigError, match="a link leads out of"):
            below(image, place)
    assert below(Path("/"), ours / "a") == ours / "a"
