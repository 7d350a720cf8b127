"""A file that plugins believe: read anew when it changes, and only while nobody else writes it."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from sessiond.core.errors import SessiondError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

T = TypeVar("T")
_Version = tuple[int, int, int, int, int]


class TrustedFileError(SessiondError):
    """The file is not to be believed now: refuse to start, or to answer, until it is mended."""


class TrustedFile(Generic[T]):
    """What a small local file says, parsed once for each version of it.

    It must belong to root or sessiond's own user, and neither its group nor others may write it.
    Whoever replaces it does so by renaming another over it: then no half of it is ever read.
    """

    def __init__(
        self,
        path: str,
        parse: Callable[[str], T],
        *,
        max_size: int = 16 * 1024 * 1024,
        is_secret: bool = False,
    ) -> None:
        """Read nothing yet.

        Args:
            path: Absolute.
            parse: Makes what `current` returns of the file's text. It raises ValueError, whose
                text says what is wrong and in which line, and nothing of what should be secret.
            max_size: Bytes; a longer file is refused.
            is_secret: Also refuse it where others than its owner and group may read it.
        """
        self._path = Path(path)
        self._parse = parse
        self._max_size = max_size
        self._is_secret = is_secret
        # Replaced in one go: threads that read two versions at a time never mix them up.
        self._kept: tuple[T, _Version] | None = None

    def current(self) -> T:
        """Return what the file says as it is now; costs a look at its status where it is as it was.

        Raises:
            TrustedFileError: It cannot be read, others may write it, or it cannot be parsed. What
                was read before is not used instead.
        """
        try:
            kept, version = self._kept, _version(self._path.stat())
            if kept is None or version != kept[1]:
                kept = self._kept = self._read()
        except OSError as error:
            raise TrustedFileError(f"cannot read {self._path}: {error.strerror}") from error
        return kept[0]

    def _read(self) -> tuple[T, _Version]:
        # Judged by its descriptor, so that nobody exchanges it in between; not blocking, or a
        # pipe would hold up the daemon.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
            status = os.fstat(descriptor)
            self._check(status)
            content = file.read(self._max_size + 1)
        if len(content) > self._max_size:
            raise TrustedFileError(f"{self._path} is longer than {self._max_size} bytes")
        try:
            return self._parse(content.decode()), _version(status)
        except UnicodeDecodeError:
            raise TrustedFileError(f"{self._path} is not UTF-8 text") from None
        except ValueError as error:
            raise TrustedFileError(f"{self._path}: {error}") from error

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise TrustedFileError(f"{self._path} is not a regular file")
        if status.st_uid not in (0, os.geteuid()):
            raise TrustedFileError(
                f"{self._path} belongs to another user than root and sessiond's own"
            )
        mode = stat.S_IMODE(status.st_mode)
        if mode & _OTHERS_WRITE:
            raise TrustedFileError(
                f"{self._path} has mode {mode:04o}, which lets others write it: chmod go-w"
            )
        if self._is_secret and mode & stat.S_IRWXO:
            raise TrustedFileError(
                f"{self._path} has mode {mode:04o}, which lets others read it: chmod o-rwx"
            )


def _version(status: os.stat_result) -> _Version:
    """Return what differs once a file was replaced, written, or given another owner or mode."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
