"""Whether tampering shows, and where it cannot."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from audit_events import event, events, files, whole
from sessiond_audit import subscriber
from sessiond_audit.__main__ import main
from sessiond_audit.verify import BrokenChainError, verify


@pytest.fixture
def log(path: Path) -> Path:
    """Three files with six events."""
    made = subscriber(path=str(path), max_size=850)
    made.receive_batch(events(1, 6))
    made.stop()
    assert len(files(path)) == 3
    return path


def test_a_whole_log_is_whole(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = hashlib.sha256(log.read_bytes().splitlines(keepends=True)[-1]).hexdigest()
    assert main(["verify", str(log)]) == 0
    assert capsys.readouterr().out == (
        f"{log}: whole; files: 3, events: 6, 1 to 6\nlast line: {last}\n"
    )


def test_any_changed_byte_before_the_last_line_shows(log: Path) -> None:
    last = log.read_bytes().splitlines(keepends=True)[-1]
    for file in files(log):
        content = file.read_bytes()
        end = len(content) - (len(last) if file == log else 0)
        for at in range(end):
            file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(BrokenChainError):
                whole(log)
        file.write_bytes(content)
    assert whole(log).events == 6


def test_any_missing_line_but_the_last_shows(log: Path) -> None:
    for file in files(log):
        lines = file.read_bytes().splitlines(keepends=True)
        for at in range(len(lines) - (file == log)):
            file.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
            with pytest.raises(BrokenChainError):
                whole(log)
        file.write_bytes(b"".join(lines))


def test_any_two_swapped_lines_show(log: Path) -> None:
    for file in files(log):
        lines = file.read_bytes().splitlines(keepends=True)
        for at in range(len(lines) - 1):
            file.write_bytes(b"".join([*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]))
            with pytest.raises(BrokenChainError):
                whole(log)
        file.write_bytes(b"".join(lines))


def test_a_missing_file_in_the_middle_shows(log: Path) -> None:
    first, second, live = files(log)
    with pytest.raises(BrokenChainError, match=f"{live.name}, line 1: it does not fit"):
        verify([first, live])
    assert verify([second, live]).is_from_the_start is False


def test_the_first_line_that_does_not_fit_is_named(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = files(log)[1]
    second.write_bytes(second.read_bytes().replace(b"alice", b"mallo", 1))
    assert main(["verify", str(log)]) == 1
    assert f"{second}, line 3: it does not fit the line before it" in capsys.readouterr().err


def test_a_cut_tail_shows_only_where_its_hash_is_known(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anchor = whole(log).digest
    lines = log.read_bytes().splitlines(keepends=True)
    assert main(["verify", "--expect", anchor, str(log)]) == 0
    log.write_bytes(b"".join(lines[:-1]))
    assert main(["verify", str(log)]) == 0
    assert main(["verify", "--expect", anchor, str(log)]) == 1
    assert "no line has the expected hash" in capsys.readouterr().err


def test_an_anchor_holds_while_the_log_grows(log: Path) -> None:
    anchor = whole(log).digest
    made = subscriber(path=str(log), max_size=850)
    made.receive_batch(events(7, 12))
    made.stop()
    assert verify(files(log), anchor).events == 12


def test_a_torn_line_is_not_whole(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-1])
    with pytest.raises(BrokenChainError, match="torn"):
        whole(log)


def test_holes_are_shown_and_are_no_error(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = subscriber(path=str(path))
    made.receive_batch([event(1), event(5), event(6)])
    made.stop()
    assert main(["verify", str(path)]) == 0
    assert "no events after 1 and before 5: and sessiond has not said why" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ('"event":{"kind":"gap","sequence":1,"at":"2026-01-01T00:00:00Z"}', "not as late"),
        (
            '"event":{"kind":"gap","sequence":1,"at":"2026-01-01T00:00:00Z"},"reached":7',
            "no late one",
        ),
        ('"repaired":{"at":"2026-01-01T00:00:00Z","after":1,"cut":2}', "goes on after 1"),
        ('"begin":{"at":"2026-01-01T00:00:00Z","after":6}', "has no other"),
        ('"note":1', "no line of an audit log"),
        ('"reached":1', "no line of an audit log"),
    ],
)
def test_a_line_that_fits_and_makes_no_sense_shows(log: Path, order: str, message: str) -> None:
    digest = whole(log).digest
    with log.open("a") as file:
        file.write(f'{{"previous":"{digest}",{order}}}\n')
    with pytest.raises(BrokenChainError, match=message):
        whole(log)


def test_the_files_may_be_named_in_any_order(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *map(str, reversed(files(log)))]) == 0
    assert "files: 3, events: 6" in capsys.readouterr().out


def test_usage_and_absent_files_have_their_exit_codes(log: Path) -> None:
    absent = log.with_name("absent")
    for arguments, code in [
        (["verify", str(absent)], 66),
        (["verify"], 64),
        (["verify", "--expect", "abc", str(log)], 64),
        (["verify", "--expect", "0" * 64, str(log), str(absent)], 64),
    ]:
        run = subprocess.run(
            [sys.executable, "-m", "sessiond_audit", *arguments], capture_output=True, check=False
        )
        assert run.returncode == code, run.stderr


def test_what_is_odd_about_a_whole_log_is_told(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for batch in (events(1, 4), [event(6)], [event(5)], [event(1, seconds=900)]):
        made = subscriber(path=str(path), max_size=800, keep=1)
        made.receive_batch(batch)
        made.stop()
        with path.open("a") as file:
            file.write("{")
    made = subscriber(path=str(path))
    made.start()
    made.stop()
    assert main(["verify", str(path)]) == 0
    told = capsys.readouterr().out
    assert "older files are not here" in told
    assert "torn lines that were cut off at a start: 3" in told
    assert "numbers used again, as by a daemon with a new store: 1" in told


def test_a_late_event_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = subscriber(path=str(path))
    made.receive_batch([event(1), event(5), event(3)])
    made.stop()
    assert main(["verify", str(path)]) == 0
    told = capsys.readouterr().out
    assert "events that came late: 1" in told
    assert "no events after 1 and before 3: and sessiond has not said why" in told
    assert "no events after 3 and before 5: and sessiond has not said why" in told


def test_an_empty_log_is_whole(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.touch()
    assert main(["verify", str(path)]) == 0
    assert f"{path}: whole; files: 1, events: 0\n" in capsys.readouterr().out


def test_a_wrong_call_says_how_to_call(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["verify", "--expect", "abc", str(log)])
    assert left.value.code == 64
    assert "a hash is 64 hexadecimal digits" in capsys.readouterr().err
    assert main(["verify", "--expect", "0" * 64, str(log), str(log.with_name("other"))]) == 64
    assert main(["verify", str(log.with_name("other"))]) == 66
    assert f"{log.with_name('other')}: No such file or directory" in capsys.readouterr().err
