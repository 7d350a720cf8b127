"""Where tokens are kept, and what happens where they cannot be."""

import errno
import os
import stat
from pathlib import Path

import pytest
from keep_fakes import kept, places_below, same
from keyring.errors import KeyringLocked
from keyring_fakes import FakeBackend
from sessiond_login.errors import CannotKeep, ProfileRefused
from sessiond_login.keeping.keep import Keeping, wanted
from sessiond_login.keeping.record import MAX_SIZE
from sessiond_login.keeping.system_keyring import SystemKeyring
from sessiond_login.own_files import write_own
from sessiond_login.profiles.reading import Where

LONG = kept("a" * 9_000, refresh="r" * 2_000)


class Machine:
    """One person's machine, on which programs start and end."""

    def __init__(self, folder: Path) -> None:
        self.places = places_below(folder)
        self.keyring = FakeBackend()
        self.told: list[str] = []
        self.file = self.places.state / "tokens-corp.json"

    def start(self, where: Where | None = None) -> Keeping:
        keyring = SystemKeyring(backend=lambda: self.keyring)
        return Keeping(self.places, self.told.append, where=where, keyring=keyring)

    def lock(self) -> None:
        self.keyring.fault = KeyringLocked()

    def unlock(self) -> None:
        self.keyring.fault = None


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_tokens_are_in_the_keyring_in_pieces_and_in_no_file(machine: Machine) -> None:
    machine.start().save("corp", LONG)
    assert same(machine.start().load("corp"), LONG)
    assert len(machine.keyring.entries) == 13
    assert not machine.places.state.exists()
    assert machine.told == []


def test_what_is_forgotten_is_gone(machine: Machine) -> None:
    keep = machine.start()
    keep.forget("corp")
    keep.save("corp", LONG)
    keep.forget("corp")
    assert keep.load("corp") is None
    assert machine.keyring.entries == {}


def test_without_a_keyring_they_are_in_a_file_of_the_persons_own_which_is_said_once(
    machine: Machine,
) -> None:
    machine.lock()
    for _ in range(2):
        keep = machine.start()
        keep.save("corp", kept())
        assert same(keep.load("corp"), kept())
        keep.save("other", kept())
    assert len(machine.told) == 1
    assert "is locked, and was not unlocked: tokens are kept in" in machine.told[0]
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (machine.file, machine.file.parent)]
    assert modes == [0o600, 0o700]


def test_a_keyring_that_can_be_used_again_takes_the_record_over(machine: Machine) -> None:
    machine.start().save("corp", kept("first"))
    machine.lock()
    machine.start().save("corp", kept("second"))
    machine.unlock()
    keep = machine.start()
    assert same(keep.load("corp"), kept("second"))
    keep.save("corp", kept("third"))
    assert not machine.file.exists()
    assert same(machine.start().load("corp"), kept("third"))


def test_a_crash_while_it_takes_it_over_finds_no_older_record(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.start().save("corp", kept("first"))
    machine.lock()
    machine.start().save("corp", kept("second"))
    machine.unlock()
    monkeypatch.setattr(Path, "unlink", _crash)
    with pytest.raises(KeyboardInterrupt):
        machine.start().save("corp", kept("third"))
    assert same(machine.start().load("corp"), kept("third"))


def _crash(path: Path, missing_ok: bool = False) -> None:
    if path.name.startswith("tokens"):
        raise KeyboardInterrupt


def test_what_was_forgotten_while_the_keyring_was_away_does_not_come_back(
    machine: Machine,
) -> None:
    machine.start().save("corp", kept())
    machine.lock()
    machine.start().forget("corp")
    machine.unlock()
    keep = machine.start()
    assert keep.load("corp") is None
    keep.forget("corp")
    assert machine.keyring.entries == {}
    assert not machine.file.exists()


def test_the_person_may_want_a_file(machine: Machine) -> None:
    keep = machine.start("file")
    keep.save("corp", kept())
    assert same(keep.load("corp"), kept())
    assert machine.keyring.calls == 0
    assert machine.told == []
    keep.forget("corp")
    assert keep.load("corp") is None
    assert machine.start().load("corp") is None


def test_the_person_may_want_a_keyring_and_nothing_else(machine: Machine) -> None:
    machine.start("file").save("corp", kept("first"))
    keep = machine.start("keyring")
    assert same(keep.load("corp"), kept("first"))
    keep.save("corp", kept("second"))
    assert not machine.file.exists()
    machine.lock()
    with pytest.raises(CannotKeep, match=r"is locked.*nowhere else"):
        machine.start("keyring").save("corp", kept())
    assert not machine.file.exists()


def test_the_person_may_want_nothing_kept(machine: Machine) -> None:
    machine.start().save("corp", kept())
    keep = machine.start("none")
    keep.save("corp", kept())
    assert keep.load("corp") is None
    keep.forget("corp")
    assert machine.keyring.entries == {}


def test_it_is_said_where_the_tokens_are(machine: Machine) -> None:
    assert machine.start().place("corp", is_kept=True) == "the system's keyring"
    assert machine.start("keyring").place("corp", is_kept=False) == "the system's keyring"
    assert "or a file where there is none" in machine.start().place("corp", is_kept=False)
    assert machine.start("none").place("corp", is_kept=False) == "nowhere: each call signs in"
    assert machine.start("file").place("corp", is_kept=False) == str(machine.file)
    machine.start("file").save("corp", kept())
    assert machine.start().place("corp", is_kept=False) == str(machine.file)


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_file_that_others_could_read_is_not_used_and_gives_way(
    machine: Machine, mode: int
) -> None:
    machine.start().save("corp", kept("older"))
    machine.lock()
    machine.start().save("corp", kept())
    machine.told.clear()
    machine.file.chmod(mode)
    machine.unlock()
    keep = machine.start("file")
    assert keep.load("corp") is None
    assert "others can read it" in machine.told[0]
    assert machine.start().load("corp") is None
    keep.save("corp", kept())
    assert stat.S_IMODE(machine.file.stat().st_mode) == 0o600


def test_a_file_that_is_no_record_is_none(machine: Machine) -> None:
    keep = machine.start("file")
    keep.save("corp", kept())
    machine.file.write_bytes(b"\xff")
    assert keep.load("corp") is None


@pytest.mark.parametrize("at_next", ["save", "forget"])
def test_what_a_writer_that_was_killed_had_begun_goes_with_the_next(
    machine: Machine, at_next: str
) -> None:
    keep = machine.start("file")
    keep.save("corp", LONG)
    draft = machine.places.state / ".tokens-corp.json.0123456789abcdef"
    of_another = machine.places.state / ".tokens-corp.json.x.json.0123456789abcdef"
    for each in (draft, of_another):
        each.write_text("an access token")
    keep.save("corp", LONG) if at_next == "save" else keep.forget("corp")
    assert (draft.exists(), of_another.exists()) == (False, True)


def test_a_link_in_the_place_of_the_file_is_not_followed(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("{}")
    machine.places.state.mkdir()
    machine.file.symlink_to(tmp_path / "theirs")
    keep = machine.start("file")
    assert keep.load("corp") is None
    assert "cannot read" in machine.told[0]
    keep.save("corp", kept())
    assert (tmp_path / "theirs").read_text() == "{}"
    assert not machine.file.is_symlink()


def test_a_home_that_is_read_only_is_told_with_what_to_do(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.lock()
    _read_only(monkeypatch)
    with pytest.raises(CannotKeep, match=r"Read-only file system; make room.*XDG_STATE_HOME"):
        machine.start().save("corp", kept())
    with pytest.raises(CannotKeep, match="unlock it, then sign out again"):
        machine.start().forget("corp")


def test_where_there_is_no_keyring_and_no_place_there_is_nothing_to_forget(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _read_only(monkeypatch)
    monkeypatch.setattr(FakeBackend, "priority", 0.5)
    machine.start().forget("corp")
    machine.start("file").forget("corp")


def test_a_file_where_the_folder_should_be_holds_nothing(machine: Machine) -> None:
    machine.keyring.fault = KeyringLocked()
    machine.places.state.write_text("")
    with pytest.raises(CannotKeep, match="File exists"):
        machine.start().save("corp", kept())
    machine.start("file").forget("corp")


def _read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refused)


def test_a_folder_of_another_user_is_not_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.places.state.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CannotKeep, match="belongs to another user; have it removed"):
        machine.start("file").save("corp", kept())


def test_a_file_that_stays_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.start("file").save("corp", kept())

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(CannotKeep, match=r"cannot remove .*tokens-corp"):
        machine.start().forget("corp")


def test_tokens_of_no_reasonable_length_are_not_kept(machine: Machine) -> None:
    with pytest.raises(CannotKeep, match="fewer claims"):
        machine.start().save("corp", kept("x" * MAX_SIZE))


def test_where_it_cannot_be_marked_as_said_it_is_said_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.lock()

    def full_for_marks(path: Path, content: bytes) -> None:
        if path.name.startswith("said"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_own(path, content)

    monkeypatch.setattr("sessiond_login.keeping.kept_file.write_own", full_for_marks)
    for _ in range(2):
        machine.start().save("corp", kept())
    assert len(machine.told) == 2


def test_the_environment_counts_before_the_file() -> None:
    assert wanted({}, None) is None
    assert wanted({"SESSIOND_LOGIN_KEEP": ""}, "file") == "file"
    assert wanted({"SESSIOND_LOGIN_KEEP": "none"}, "file") == "none"
    with pytest.raises(ProfileRefused, match="SESSIOND_LOGIN_KEEP is 'disk', must be keyring"):
        wanted({"SESSIOND_LOGIN_KEEP": "disk"}, None)
