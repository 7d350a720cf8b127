"""The file under the log: opened with care, whole lines go in or nothing does."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sessiond.api import TryLater
from sessiond_audit.lines import MAX_LINE

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MODE = 0o640
_BLOCK = 1 << 16  # bytes that are looked through first for the last line


class AuditError(TryLater):
    """Nothing of this batch counts as written, and no event is to blame: let it come again."""


class AuditFile:
    """An open, locked file that only grows. Close it after an AuditError; opening repairs."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = os.fstat(descriptor).st_size  # bytes
        self.is_dirty = self.size > 0  # what an earlier process wrote may not be on disk yet
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, make it when it is not there, and keep every other writer out.

        Raises:
            AuditError: It cannot be opened, or somebody else could write it.
        """
        with _explained(path, "cannot be opened"), ExitStack() as on_failure:
            _check_directory(path.parent)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, _MODE)
            on_failure.callback(os.close, descriptor)
            _check_file(path, descriptor)
            _lock(path, descriptor)
            file = cls(path, descriptor)
            if not file.size:
                os.fchmod(descriptor, _MODE)  # whatever the umask is
                sync_directory(path.parent)
            if not file.is_in_place():
                raise AuditError(f"{path} was rotated by another process at this moment")
            on_failure.pop_all()
        return file

    def is_in_place(self) -> bool:
        """Say whether the path still leads to this file: nobody has moved or replaced it."""
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def append(self, data: bytes, *, sync: bool) -> None:
        """Write all of it, or nothing.

        Args:
            data: Whole lines.
            sync: Return when it is on disk.

        Raises:
            AuditError: The disk is full or broken; the file is as it was before.
        """
        with _explained(self.path, "cannot be written"):
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
                if sync:
                    os.fsync(self._descriptor)
            except OSError:
                with suppress(OSError):  # what stays is cut off when it is opened again
                    os.ftruncate(self._descriptor, self.size)
                raise
        self.size += len(data)
        self.is_dirty = not sync

    def sync(self) -> None:
        """Return when all that was appended is on disk."""
        if self.is_dirty:
            with _explained(self.path, "cannot be synced to disk"):
                os.fsync(self._descriptor)
            self.is_dirty = False

    def first_line(self) -> bytes:
        """Return the first line, or its first MAX_LINE bytes; b"" of an empty file."""
        line, newline, _ = os.pread(self._descriptor, MAX_LINE, 0).partition(b"\n")
        return line + newline

    def last_line(self) -> tuple[bytes, int]:
        """Return the last whole line, b"" if there is none, and the size of what is torn after."""
        length = _BLOCK
        while True:
            tail = self.recent(length)
            end = tail.rfind(b"\n") + 1
            start = tail.rfind(b"\n", 0, max(0, end - 1)) + 1
            if start or len(tail) == self.size:
                return tail[start:end], len(tail) - end
            length *= 2

    def recent(self, length: int) -> bytes:
        """Return the last bytes of the file, all of it where it is shorter."""
        length = min(length, self.size)
        return os.pread(self._descriptor, length, self.size - length)

    def cut(self, torn: int) -> datetime:
        """Cut so many bytes off the end; return when they were written."""
        with _explained(self.path, "cannot be repaired"):
            at = datetime.fromtimestamp(os.fstat(self._descriptor).st_mtime, UTC)
            os.ftruncate(self._descriptor, self.size - torn)
            self.size -= torn
            return at

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._descriptor)


def sync_directory(directory: Path) -> None:
    """Return when the names in a directory are on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AuditError(f"{path} {what}: {error.strerror or error}") from error


def _check_directory(directory: Path) -> None:
    """Refuse a place where others could put a file of theirs in the log's stead."""
    status = directory.stat()
    is_shared = status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX
    if is_shared or status.st_uid not in (0, os.geteuid()):
        raise AuditError(f"{directory} is another user's, or others can write it: chmod go-w")


def _check_file(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise AuditError(f"{path} is no file, or has a second name: move it away")
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_WRITE:
        raise AuditError(f"{path} is another user's, or others can write it: chmod go-w")


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AuditError(
            f"{path} is being written by another process: one log, one path"
        ) from error
