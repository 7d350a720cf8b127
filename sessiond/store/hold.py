"""The lock beside the database: one process has it at a time, and says in it what it seals with."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sessiond.core.errors import AddressInUseError, ConfigError, StoreError

OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SIZE = 64  # bytes of what stands in it, more than two numbers


@dataclass(frozen=True, slots=True)
class Holder:
    """What the process that has the lock says of itself."""

    pid: int
    key_id: int  # that it seals with


class Hold:
    """The lock, held."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def note_key(self, key_id: int) -> None:
        """Say with which key is sealed from now on.

        Raises:
            StoreError: Nothing could be said: it stands there that nobody knows.
        """
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()} {key_id}\n".encode(), 0)
        except OSError as error:
            raise StoreError(
                f"the database's lock cannot be written: {error.strerror}, wanted it there: make "
                "room, or see the disk"
            ) from error


@contextmanager
def held(path: Path) -> Iterator[Hold]:
    """Hold the lock file beside a database; the kernel lets it go when this process ends.

    The database too is made here where there is none, so that its mode is ours from the start.

    Raises:
        AddressInUseError: Another process has it.
        ConfigError: It cannot be had, or others can read or replace the database.
    """
    check_private(path)
    # No links: one may be a neighbour's, and a database with two names would have two locks.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(_beside(path), flags, 0o600)
        os.close(os.open(path, flags, 0o600))
    except OSError as error:
        raise ConfigError(
            f"store.path: {path} cannot be opened: {error.strerror}, wanted it: let sessiond's "
            "user write there, or name another file"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AddressInUseError(
            f"store.path: another sessiond is using {path}, wanted it free: stop that one, or name "
            "another file"
        ) from None
    try:
        yield Hold(descriptor)
    finally:
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Return what stands in the lock file; None: nothing that could be read.

    Whether its writer has the lock still, only `held` tells.
    """
    # Its user may have put anything there: no link, no pipe that nobody writes, no endless file.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(_beside(path), flags)
        try:
            pid, key_id = map(int, os.read(descriptor, _SIZE).split())
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None
    return Holder(pid, key_id)


def check_private(path: Path) -> None:
    """Refuse a database that others can read or replace.

    Raises:
        ConfigError: They can.
    """
    for each in (path, path.with_name(path.name + "-wal")):
        if each.exists() and each.stat().st_mode & OTHERS:
            raise ConfigError(
                f"store.path: {each} is open to group or others, wanted its owner alone: chmod "
                "0600 it"
            )
    folder = path.parent
    if folder.exists() and folder.stat().st_mode & stat.S_IWOTH and not _is_sticky(folder):
        raise ConfigError(
            f"store.path: everybody may write in {folder}, wanted sessiond alone: chmod o-w it"
        )


def _is_sticky(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_ISVTX)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".lock")
