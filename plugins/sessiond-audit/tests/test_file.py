"""Who may have the file, and what happens when the disk does not want it."""

import errno
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from audit_events import event, events, kinds, whole, written
from sessiond_audit import subscriber
from sessiond_audit.file import AuditError


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow past so many bytes, as a full disk does: a short write, then an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_mode_does_not_depend_on_the_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        subscriber(path=str(path)).start()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o640


def test_a_symlink_is_refused(path: Path) -> None:
    (path.parent / "target").touch(mode=0o640)
    path.symlink_to(path.parent / "target")
    with pytest.raises(AuditError, match="cannot be opened"):
        subscriber(path=str(path)).start()


@pytest.mark.parametrize("mode", [0o660, 0o642])
def test_a_file_that_others_can_write_is_refused(path: Path, mode: int) -> None:
    path.touch()
    path.chmod(mode)
    with pytest.raises(AuditError, match="others can write it"):
        subscriber(path=str(path)).start()


def test_a_directory_that_others_can_write_is_refused(path: Path) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(AuditError, match="others can write it"):
        subscriber(path=str(path)).start()


def test_a_file_with_a_second_name_is_refused(path: Path) -> None:
    path.touch(mode=0o640)
    os.link(path, path.parent / "second")
    with pytest.raises(AuditError, match="second name"):
        subscriber(path=str(path)).start()


def test_what_is_no_file_is_refused(path: Path) -> None:
    os.mkfifo(path, 0o640)
    with pytest.raises(AuditError, match="is no file"):
        subscriber(path=str(path)).start()


def test_a_missing_directory_is_named(path: Path) -> None:
    with pytest.raises(AuditError, match="No such file or directory"):
        subscriber(path=str(path.parent / "absent" / "audit.jsonl")).start()


def test_two_writers_are_one_too_many(path: Path) -> None:
    first, second = subscriber(path=str(path)), subscriber(path=str(path))
    first.start()
    with pytest.raises(AuditError, match="written by another process"):
        second.start()
    first.receive_batch(events(1, 1))
    first.stop()
    second.start()
    second.stop()


def test_a_full_disk_leaves_no_half_line_and_the_batch_comes_again(path: Path) -> None:
    log = subscriber(path=str(path))
    log.start()
    log.receive_batch(events(1, 2))
    size = path.stat().st_size
    with full_disk(size + 100), pytest.raises(AuditError, match="cannot be written"):
        log.receive_batch(events(3, 4))
    assert path.stat().st_size == size
    log.receive_batch(events(3, 4))
    log.stop()
    assert written(path) == [1, 2, 3, 4]
    assert kinds(path) == ["begin", *["event"] * 4]


def test_a_half_line_that_cannot_even_be_taken_back_is_repaired_by_the_next_batch(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = subscriber(path=str(path))
    log.receive_batch(events(1, 2))
    size = path.stat().st_size
    with monkeypatch.context() as broken, full_disk(size + 100):
        broken.setattr(os, "ftruncate", _refuse)
        with pytest.raises(AuditError):
            log.receive_batch(events(3, 4))
    assert path.stat().st_size == size + 100
    log.receive_batch(events(3, 4))
    log.stop()
    assert written(path) == [1, 2, 3, 4]
    assert whole(path).repaired == 1


def test_a_batch_that_does_not_reach_the_disk_is_not_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = subscriber(path=str(path))
    log.receive_batch(events(1, 2))
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", _refuse)
        with pytest.raises(AuditError, match="cannot be written: Input/output error"):
            log.receive_batch(events(3, 3))
    log.receive_batch(events(3, 3))
    log.stop()
    assert written(path) == [1, 2, 3]


@pytest.mark.parametrize(("policy", "is_synced"), [("each", True), ("never", False)])
def test_the_policy_says_whether_a_batch_is_synced_before_it_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, is_synced: bool
) -> None:
    synced: list[int] = []
    log = subscriber(path=str(path), fsync=policy)
    log.start()
    monkeypatch.setattr(os, "fsync", synced.append)
    log.receive_batch(events(1, 2))
    assert bool(synced) is is_synced
    log.stop()


def test_what_an_earlier_process_left_unsynced_is_synced_at_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = subscriber(path=str(path), fsync="never")
    log.receive_batch(events(1, 2))
    log.stop()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    log = subscriber(path=str(path))
    log.start()
    assert len(synced) == 1
    log.stop()


def test_the_interval_syncs_without_another_event(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    log = subscriber(path=str(path), fsync="interval", interval=0.01)
    log.start()
    monkeypatch.setattr(os, "fsync", lambda _: synced.set())
    log.receive_batch([event(1)])
    assert synced.wait(20)
    log.stop()


def test_an_interval_that_could_not_sync_fails_the_next_batch(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def refuse(_: int) -> None:
        tried.set()
        _refuse()

    log = subscriber(path=str(path), fsync="interval", interval=0.01)
    log.start()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        log.receive_batch(events(1, 1))
        assert tried.wait(20)
        with pytest.raises(AuditError, match="cannot be synced"):
            log.receive_batch(events(2, 2))
    log.receive_batch(events(2, 2))
    log.stop()
    assert written(path) == [1, 2]


def _refuse(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
