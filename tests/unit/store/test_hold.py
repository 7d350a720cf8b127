"""The lock beside the database: who has it, and what it seals with."""

import os
from pathlib import Path

import pytest

from sessiond.core.errors import AddressInUseError, StoreError
from sessiond.store.hold import Holder, held, holder


def test_one_process_has_it_at_a_time_and_says_with_which_key_it_seals(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with held(path) as hold:
        assert holder(path) is None  # it has not said anything yet
        hold.note_key(17)
        hold.note_key(2)
        assert holder(path) == Holder(os.getpid(), 2)
        with pytest.raises(AddressInUseError), held(path):
            pass
    with held(path):
        assert holder(path) == Holder(os.getpid(), 2)  # as long as the next one says nothing else


@pytest.mark.parametrize("content", ["", "1", "1 2 3", "one 2", "-"])
def test_what_an_older_version_or_nobody_has_written_says_nothing(
    tmp_path: Path, content: str
) -> None:
    assert holder(tmp_path / "db") is None
    (tmp_path / "db.lock").write_text(content)
    assert holder(tmp_path / "db") is None


def test_what_cannot_be_said_is_an_error_and_leaves_no_older_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with held(tmp_path / "db") as hold:
        hold.note_key(1)
        monkeypatch.setattr(os, "pwrite", fail)
        with pytest.raises(StoreError, match="No space left on device"):
            hold.note_key(2)
        assert holder(tmp_path / "db") is None


def test_a_pipe_a_link_or_an_endless_file_in_the_lock_s_place_holds_nobody_up(
    tmp_path: Path,
) -> None:
    path, lock = tmp_path / "db", tmp_path / "db.lock"
    os.mkfifo(lock)
    assert holder(path) is None
    lock.unlink()
    (tmp_path / "other").write_text("1 2")
    lock.symlink_to(tmp_path / "other")
    assert holder(path) is None
    lock.unlink()
    with lock.open("w") as file:
        file.write("1 2 ")
        file.truncate(2**40)
    assert holder(path) is None
