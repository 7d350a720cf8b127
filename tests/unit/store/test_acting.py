"""Root is led nowhere by a user who owns the database's folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from sessiond.config import StoreConfig
from sessiond.config.credentials import new_key
from sessiond.core.errors import ConfigError
from sessiond.core.secret import Secret
from sessiond.store import opened
from sessiond.store.acting import Owner, acting_as, owner_of
from sessiond.store.rotation import rotation_of
from sessiond.store.sealing import KeyRing

THEIRS = Owner(4711, 4712)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder of root's that others can reach."""
    path = Path(tempfile.mkdtemp(prefix="sda-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def theirs(folder: Path) -> Path:
    """Return a folder of a daemon's user's, with a database and its key."""
    path = folder / "state"
    path.mkdir(mode=0o700)
    give(path)
    with acting_as(THEIRS):
        key = path / "db.key"
        key.write_text(f"{new_key().reveal()}\n")
        key.chmod(0o600)
    anyio.run(make, path / "db")
    for each in path.iterdir():
        give(each)
    return path


async def make(database: Path) -> None:
    ring = KeyRing.from_text(Secret(database.with_name("db.key").read_text()))
    async with opened(database, ring):
        pass


def give(path: Path) -> None:
    os.chown(path, THEIRS.uid, THEIRS.gid, follow_symlinks=False)


@as_root
def test_a_folder_on_the_way_and_what_a_link_leads_to_say_whose_a_path_is(folder: Path) -> None:
    ours, theirs = folder / "ours", folder / "theirs"
    ours.mkdir(mode=0o755)
    theirs.mkdir(mode=0o755)
    (ours / "file").touch()
    assert owner_of(ours / "file") is None
    give(ours / "file")
    assert owner_of(ours / "file") is None  # what is in it is his, but not where it is
    assert owner_of(ours / "none" / "file") is None
    give(theirs)
    (theirs / "below").mkdir()
    (theirs / "below" / "file").touch()
    assert owner_of(theirs / "below" / "file") == THEIRS
    (ours / "link").symlink_to(theirs / "below" / "file")
    assert owner_of(ours / "link") == THEIRS
    (theirs / "link").symlink_to(ours / "file")
    assert owner_of(theirs / "link") == THEIRS
    give(ours / "link")
    assert owner_of(ours / "link") == THEIRS


@as_root
def test_where_others_may_write_in_root_s_folder_the_file_says_it(folder: Path) -> None:
    shared = folder / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "file").touch()
    assert owner_of(shared / "file") is None
    give(shared / "file")
    assert owner_of(shared / "file") == THEIRS


@as_root
def test_root_is_somebody_for_as_long_as_wanted(folder: Path) -> None:
    groups = os.getgroups()
    with suppress(KeyError), acting_as(THEIRS):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (4711, 4712, [4712])
        with pytest.raises(PermissionError):
            (folder / "new").touch()
        raise KeyError
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, groups)
    with acting_as(None):
        assert os.geteuid() == 0


def test_who_is_not_root_stays_who_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "seteuid", lambda _: pytest.fail("tried"))
    with acting_as(THEIRS):
        pass


@as_root
def test_a_key_is_changed_in_a_folder_of_the_daemons_user(theirs: Path) -> None:
    rotation_of(StoreConfig(path=str(theirs / "db")), {}, lambda _: None).run()
    assert KeyRing.from_text(Secret((theirs / "db.key").read_text())).current == 2
    assert {each.stat().st_uid for each in theirs.iterdir()} == {4711}
    assert (theirs / "db.key").stat().st_mode & 0o777 == 0o600


@as_root
def test_a_link_put_in_the_place_of_the_key_has_root_write_nowhere(
    folder: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, key = folder / "sudoers", theirs / "db.key"
    victim.write_text("root's")
    victim.chmod(0o600)
    made = new_key()

    def exchange() -> Secret:
        """Be the user, who acts between two steps."""
        key.unlink()
        key.symlink_to(victim)
        return made

    monkeypatch.setattr("sessiond.store.rotation.new_key", exchange)
    with pytest.raises(ConfigError, match="Permission denied"):
        rotation_of(StoreConfig(path=str(theirs / "db")), {}, lambda _: None).run()
    assert victim.read_text() == "root's"


@as_root
def test_a_link_in_the_place_of_the_database_has_root_make_nothing_beside_root_s_file(
    folder: Path, theirs: Path
) -> None:
    ours = folder / "ours"
    ours.mkdir(mode=0o700)
    for name in ("db", "db.key"):
        shutil.copy(theirs / name, ours / name)
    before = (ours / "db.key").read_text()
    (theirs / "db").unlink()
    (theirs / "db").symlink_to(ours / "db")
    with pytest.raises(ConfigError, match="Permission denied"):
        rotation_of(StoreConfig(path=str(theirs / "db")), {}, lambda _: None).run()
    assert sorted(each.name for each in ours.iterdir()) == ["db", "db.key"]
    assert (ours / "db.key").read_text() == before
