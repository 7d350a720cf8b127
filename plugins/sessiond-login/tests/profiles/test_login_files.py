"""Profiles of the person and of the administrator."""

import os
from pathlib import Path

import pytest
from keep_fakes import places_below
from sessiond_login.errors import ProfileRefused
from sessiond_login.profiles.login_files import load, load_any, load_own

TABLE = '[profile.{}]\nissuer = "https://{}.example"\nclient_id = "kdb"\n'


def put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_a_table_of_the_persons_replaces_the_administrators_of_that_name(tmp_path: Path) -> None:
    places = places_below(tmp_path)
    put(places.system_profiles, 'keep="none"\n' + TABLE.format("a", "x") + TABLE.format("b", "x"))
    put(places.profiles, TABLE.format("b", "mine") + TABLE.format("c", "mine"))
    found = load(places)
    assert [found.profiles[name].issuer for name in "abc"] == [
        "https://x.example",
        "https://mine.example",
        "https://mine.example",
    ]
    assert found.files == {
        "a": places.system_profiles,
        "b": places.profiles,
        "c": places.profiles,
    }
    assert found.keep == "none"


def test_the_persons_word_on_where_to_keep_counts(tmp_path: Path) -> None:
    places = places_below(tmp_path)
    put(places.system_profiles, 'keep = "none"')
    put(places.profiles, 'keep = "file"')
    assert load_any(places).keep == "file"


def test_without_a_profile_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(
        ProfileRefused, match=r"client-profile.*profiles add URL.*profiles add FILE"
    ):
        load(places_below(tmp_path))
    assert load_any(places_below(tmp_path)).profiles == {}


def test_a_file_that_others_write_is_not_read(tmp_path: Path) -> None:
    places = places_below(tmp_path)
    put(places.profiles, TABLE.format("a", "x"), mode=0o664)
    with pytest.raises(ProfileRefused, match=r"others can write it.*who gets your tokens"):
        load(places)


def test_nor_is_one_in_a_folder_that_others_write(tmp_path: Path) -> None:
    places = places_below(tmp_path)
    put(places.profiles, TABLE.format("a", "x"))
    places.profiles.parent.chmod(0o777)
    with pytest.raises(ProfileRefused, match="config has mode 0777"):
        load(places)


def test_nor_is_one_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = places_below(tmp_path)
    put(places.profiles, TABLE.format("a", "x"))
    uid = os.geteuid()
    if uid == 0:  # root's files are read by everybody, so theirs is another's
        os.chown(places.profiles, 4711, 4711)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(ProfileRefused, match="belongs to another user"):
        load(places)


def test_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    places = places_below(tmp_path)
    put(tmp_path / "dotfiles" / "login.toml", TABLE.format("a", "x"))
    places.profiles.parent.mkdir()
    places.profiles.symlink_to(tmp_path / "dotfiles" / "login.toml")
    assert set(load(places).profiles) == {"a"}
    (tmp_path / "dotfiles").chmod(0o777)
    with pytest.raises(ProfileRefused, match="dotfiles has mode 0777"):
        load(places)
    (tmp_path / "dotfiles").chmod(0o755)
    places.profiles.parent.chmod(0o777)  # others exchange the link
    with pytest.raises(ProfileRefused, match="config has mode 0777"):
        load(places)


def test_the_administrators_file_may_be_anybodys_but_nobody_else_may_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = places_below(tmp_path)
    put(places.system_profiles, TABLE.format("a", "x"))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)
    assert set(load(places).profiles) == {"a"}
    places.system_profiles.chmod(0o646)
    with pytest.raises(ProfileRefused, match="others can write it"):
        load(places)


def test_a_file_that_is_too_long_or_no_text_is_told(tmp_path: Path) -> None:
    places = places_below(tmp_path)
    put(places.profiles, "#" * 65_537)
    with pytest.raises(ProfileRefused, match="longer than 65,536 bytes"):
        load(places)
    places.profiles.write_bytes(b"# \xff")
    with pytest.raises(ProfileRefused, match="not UTF-8: byte 2"):
        load(places)
    places.profiles.unlink()
    places.profiles.symlink_to(places.profiles)
    with pytest.raises(ProfileRefused, match="make it readable to you, or remove it"):
        load(places)


def test_the_persons_own_file_is_given_with_its_text(tmp_path: Path) -> None:
    places = places_below(tmp_path)
    assert load_own(places.profiles) == ("", load_own(places.profiles)[1])
    put(places.profiles, "# mine\n" + TABLE.format("a", "x"))
    text, file = load_own(places.profiles)
    assert text.startswith("# mine")
    assert set(file.profiles) == {"a"}
