import os
import stat
from pathlib import Path

import pytest

from sessiond.trusted_file import TrustedFile, TrustedFileError


def written(path: Path, text: str, mode: int = 0o644) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def number(text: str) -> int:
    return int(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "file", "1")


def test_a_file_is_parsed_once_for_each_version(path: Path) -> None:
    parsed: list[str] = []

    def parse(text: str) -> int:
        parsed.append(text)
        return len(parsed)

    file = TrustedFile(str(path), parse)
    assert [file.current(), file.current()] == [1, 1]
    other = written(path.with_name("other"), "22")
    other.rename(path)
    assert [file.current(), file.current()] == [2, 2]
    assert parsed == ["1", "22"]


def test_a_file_of_the_same_size_and_date_in_its_place_is_another(path: Path) -> None:
    file = TrustedFile(str(path), number)
    assert file.current() == 1
    was = path.stat()
    other = written(path.with_name("other"), "2")
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.rename(path)
    assert file.current() == 2


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o620, 0o602])
def test_a_file_that_others_may_write_is_refused_even_where_it_was_read_before(
    path: Path, mode: int
) -> None:
    file = TrustedFile(str(path), number)
    assert file.current() == 1
    path.chmod(mode)
    with pytest.raises(TrustedFileError, match=f"mode {mode:04o}.*chmod go-w"):
        file.current()
    path.chmod(0o600)
    assert file.current() == 1


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o601])
def test_a_secret_that_others_may_read_is_refused_even_where_it_was_read_before(
    path: Path, mode: int
) -> None:
    path.chmod(0o640)
    file = TrustedFile(str(path), number, is_secret=True)
    assert file.current() == 1
    path.chmod(mode)
    with pytest.raises(TrustedFileError, match=f"mode {mode:04o}.*chmod o-rwx"):
        file.current()
    assert TrustedFile(str(path), number).current() == 1


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    owned = os.stat(path).st_uid  # noqa: PTH116 - what is patched is os
    monkeypatch.setattr(
        os,
        "fstat",
        lambda _: os.stat_result((stat.S_IFREG | 0o600, 1, 1, 1, owned + 777, 0, 1, 0, 0, 0)),
    )
    with pytest.raises(TrustedFileError, match="belongs to another user"):
        TrustedFile(str(path), number).current()


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(TrustedFileError, match="not a regular file"):
        TrustedFile(str(tmp_path / "pipe"), number).current()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrustedFileError, match=r"cannot read .*/none: No such file"):
        TrustedFile(str(tmp_path / "none"), number).current()


def test_a_file_that_is_too_long_is_refused(path: Path) -> None:
    assert TrustedFile(str(path), number, max_size=1).current() == 1
    path.write_text("12")
    with pytest.raises(TrustedFileError, match="longer than 1 bytes"):
        TrustedFile(str(path), number, max_size=1).current()


def test_what_is_not_text_is_refused_and_not_shown(path: Path) -> None:
    path.write_bytes(b"\xffsecret")
    with pytest.raises(TrustedFileError, match=r"not UTF-8 text$") as raised:
        TrustedFile(str(path), number).current()
    assert "secret" not in str(raised.value)


def test_what_cannot_be_parsed_is_refused_until_it_is_mended(path: Path) -> None:
    def parse(text: str) -> str:
        if text == "bad":
            raise ValueError("line 1 is bad")
        return text

    file = TrustedFile(str(path), parse)
    assert file.current() == "1"
    path.write_text("bad")
    for _ in range(2):
        with pytest.raises(TrustedFileError, match="file: line 1 is bad"):
            file.current()
    path.write_text("good")
    assert file.current() == "good"


def test_what_another_thread_has_read_before_is_not_taken_for_the_newest(path: Path) -> None:
    """Two read at the same time, and the one that read the older version is done last."""
    reading: list[str] = []

    def parse(text: str) -> int:
        reading.append(text)
        if reading == ["1"]:
            written(path.with_name("other"), "2").rename(path)
            assert file.current() == 2
        return int(text)

    file = TrustedFile(str(path), parse)
    assert file.current() == 1
    assert [file.current(), file.current()] == [2, 2]
