"""What is in the log after batches, restarts, repeats and rotations."""

import errno
import json
import os
from pathlib import Path

import pytest
from audit_events import event, events, files, gap, kinds, whole, written
from sessiond_audit import AuditLog, subscriber
from sessiond_audit.file import AuditError
from sessiond_audit.names import rotated

from sessiond.api import Event, from_json


def log_to(path: Path, **keys: object) -> AuditLog:
    made = subscriber(path=str(path), **keys)
    made.start()
    return made


def write(path: Path, batch: list[Event], **keys: object) -> None:
    """Write one batch as a process of its own would."""
    log = log_to(path, **keys)
    log.receive_batch(batch)
    log.stop()


def test_a_line_carries_the_event_as_it_was_received(path: Path) -> None:
    write(path, [event(5)])
    line = path.read_bytes().splitlines()[-1]
    carried = line[line.index(b'"event":') + len(b'"event":') : -1]
    assert from_json(carried) == event(5)


def test_the_log_begins_with_what_was_before_it(path: Path) -> None:
    write(path, events(5, 6))
    first = json.loads(path.read_bytes().splitlines()[0])
    assert first == {
        "previous": "0" * 64,
        "begin": {"at": "2026-11-21T09:30:05Z", "after": 0, "version": 1},
    }


def test_the_chain_goes_on_over_batches_and_restarts(path: Path) -> None:
    log = log_to(path)
    log.receive_batch(events(1, 3))
    log.receive_batch(events(4, 4))
    log.stop()
    write(path, events(5, 9))
    found = whole(path)
    assert (found.events, found.first, found.last, found.holes) == (9, 1, 9, [])
    assert kinds(path) == ["begin", *["event"] * 9]


def test_what_comes_again_is_not_written_again(path: Path) -> None:
    log = log_to(path)
    log.receive_batch(events(1, 5))
    log.receive_batch(events(3, 6))
    log.stop()
    write(path, events(1, 7))
    assert written(path) == [1, 2, 3, 4, 5, 6, 7]


def test_what_comes_again_after_a_rotation_is_not_written_again(path: Path) -> None:
    write(path, events(1, 5))
    write(path, [*events(4, 5), event(6, seconds=100_000)])
    assert len(rotated(path)) == 1
    write(path, events(4, 5))
    assert written(path) == [1, 2, 3, 4, 5, 6]


def test_an_event_that_was_set_aside_comes_late_and_is_kept(path: Path) -> None:
    write(path, [event(1), event(2), event(4), event(5)])
    assert [(hole.after, hole.before) for hole in whole(path).holes] == [(2, 4)]
    write(path, [event(3)])
    write(path, [event(6)])
    found = whole(path)
    assert written(path) == [1, 2, 4, 5, 3, 6]
    assert (found.events, found.late, found.holes) == (6, 1, [])


def test_a_daemon_with_a_new_store_loses_nothing(path: Path) -> None:
    write(path, events(1, 3))
    write(path, [event(1, seconds=500), event(2, seconds=501)])
    found = whole(path)
    assert written(path) == [1, 2, 3, 1, 2]
    assert (found.events, found.repeated) == (5, 2)


def test_a_batch_that_comes_again_over_several_rotations_is_not_written_again(path: Path) -> None:
    write(path, events(1, 40), max_size=2000)
    assert len(files(path)) > 3
    write(path, events(5, 41), max_size=2000)
    assert written(path) == list(range(1, 42))


def test_a_gap_event_is_written_and_comes_again_only_once(path: Path) -> None:
    batch = [event(3), gap(3, 10), event(10)]
    write(path, batch)
    write(path, batch)
    assert written(path) == [3, 9, 10]
    assert [hole.is_told for hole in whole(path).holes] == [True]


@pytest.mark.parametrize("torn", [1, 40, 100])
def test_a_torn_last_line_is_cut_off_and_noted(path: Path, torn: int) -> None:
    write(path, events(1, 3))
    with path.open("ab") as file:
        file.write(b"x" * torn)
    write(path, events(3, 4))
    assert kinds(path) == ["begin", "event", "event", "event", "repaired", "event"]
    note = json.loads(path.read_bytes().splitlines()[4])["repaired"]
    assert (note["cut"], note["after"]) == (torn, 3)
    assert whole(path).repaired == 1


def test_wherever_a_batch_was_torn_it_is_whole_after_the_next(path: Path) -> None:
    write(path, events(1, 2))
    kept = path.stat().st_size
    write(path, events(3, 4))
    content = path.read_bytes()
    for size in range(kept, len(content)):
        path.write_bytes(content[:size])
        write(path, events(3, 4))
        assert written(path) == [1, 2, 3, 4]
        assert whole(path).events == 4


@pytest.mark.parametrize("size", [0, 1, 60])
def test_a_file_that_never_got_its_first_line_goes_on_from_the_rotated_one(
    path: Path, size: int
) -> None:
    write(path, events(1, 3))
    write(path, [event(4, seconds=100_000)])
    path.write_bytes(path.read_bytes()[:size])
    write(path, [event(4, seconds=100_000)])
    assert written(path) == [1, 2, 3, 4]
    assert whole(path).repaired == (1 if size else 0)


def test_stopped_between_the_two_steps_of_a_rotation_the_chain_goes_on(path: Path) -> None:
    write(path, events(1, 3))
    path.rename(path.with_name("audit.jsonl-20261121T093003Z-3"))
    write(path, events(3, 4))
    assert written(path) == [1, 2, 3, 4]
    assert whole(path).files == 2


def test_it_rotates_by_size_and_no_file_is_larger(path: Path) -> None:
    write(path, events(1, 50), max_size=2000)
    assert len(files(path)) > 5
    assert all(file.stat().st_size <= 2000 for file in files(path))
    assert written(path) == list(range(1, 51))
    assert whole(path).holes == []


def test_an_event_larger_than_a_file_may_be_still_is_written(path: Path) -> None:
    write(path, events(1, 3), max_size=10)
    assert written(path) == [1, 2, 3]
    assert [kinds(file) for file in files(path)] == [["begin", "event"]] * 3


def test_it_rotates_by_the_age_of_its_first_event_and_names_the_last(path: Path) -> None:
    write(path, [event(1, seconds=0), event(2, seconds=59), event(3, seconds=60)], max_age=60)
    assert [file.name for file in rotated(path)] == ["audit.jsonl-20261121T093059Z-2"]
    assert kinds(path) == ["begin", "event"]
    write(path, [event(4, seconds=119)], max_age=60)
    write(path, [event(5, seconds=120)], max_age=60)
    assert len(rotated(path)) == 2


def test_names_stay_in_order_where_the_clock_was_set_back(path: Path) -> None:
    write(path, [event(1, seconds=1000), event(2, seconds=10), event(3, seconds=5)], max_size=10)
    assert [file.name for file in rotated(path)] == [
        "audit.jsonl-20261121T094640Z-1",
        "audit.jsonl-20261121T094640Z-2",
    ]
    assert whole(path).events == 3


def test_only_so_many_rotated_files_are_kept(path: Path) -> None:
    write(path, events(1, 6), max_size=10, keep=2)
    assert [kinds(file) for file in rotated(path)] == [["begin", "event"]] * 2
    found = whole(path)
    assert (found.first, found.last, found.is_from_the_start) == (4, 6, False)


def test_a_file_that_was_moved_away_is_not_written_on(path: Path) -> None:
    log = log_to(path)
    log.receive_batch(events(1, 2))
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    with pytest.raises(AuditError, match="moved or replaced"):
        log.receive_batch(events(3, 3))
    log.receive_batch(events(3, 3))
    log.stop()
    elsewhere.rename(path.with_name("audit.jsonl-20261121T093002Z-2"))
    assert written(path) == [1, 2, 3]
    assert whole(path).holes == []


def test_a_file_that_is_no_log_is_left_alone(path: Path) -> None:
    path.write_text("something of somebody\n")
    path.chmod(0o640)
    with pytest.raises(AuditError, match=r"does not end, or begin, as an audit log"):
        log_to(path)
    assert path.read_text() == "something of somebody\n"


def test_an_age_is_counted_from_the_file_and_not_from_the_start(path: Path) -> None:
    write(path, [event(1, seconds=0)], max_age=60)
    write(path, [event(2, seconds=61)], max_age=60)
    assert len(rotated(path)) == 1


def test_nothing_received_makes_an_empty_file(path: Path) -> None:
    write(path, [])
    assert path.read_bytes() == b""
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_name_that_is_taken_is_not_rotated_over(path: Path) -> None:
    taken = path.with_name("audit.jsonl-20261121T093001Z-1")
    log = log_to(path, max_size=10)
    log.receive_batch(events(1, 1))
    taken.mkdir()
    with pytest.raises(AuditError, match=f"{taken} is there already"):
        log.receive_batch(events(2, 2))
    taken.rmdir()
    log.receive_batch(events(2, 2))
    log.stop()
    assert written(path) == [1, 2]


def test_a_rotation_that_fails_is_made_up_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_to(path, max_size=10)
    log.receive_batch(events(1, 1))
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", _refuse)
        with pytest.raises(AuditError, match="cannot be rotated: Input/output error"):
            log.receive_batch(events(2, 2))
    log.receive_batch(events(2, 2))
    log.stop()
    assert written(path) == [1, 2]


def test_a_rotated_file_that_is_no_log_is_not_gone_on_from(path: Path) -> None:
    path.with_name("audit.jsonl-20261121T093001Z-1").write_text("")
    with pytest.raises(AuditError, match="does not end, or begin, as an audit log"):
        log_to(path)


def test_a_batch_that_names_an_event_twice_writes_it_once(path: Path) -> None:
    write(path, [event(1), event(2), event(1)])
    assert written(path) == [1, 2]


def _refuse(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
