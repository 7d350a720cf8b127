"""A Unix socket's file where others may write too: its mode, its group, and what has its place.

A path names something else as soon as somebody else can put it there, and chmod(2), chown(2) and
connect(2) follow links. So nothing here goes by the path twice.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sessiond.core.errors import AddressInUseError


class SocketFile:
    """The file of a listening socket: whether what is at its path is that file still."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._ours: tuple[int, int] | None = None

    def note(self) -> None:
        """Take the socket that is there now for ours, if there is one."""
        found = self._found()
        if found is not None and stat.S_ISSOCK(found.st_mode):
            self._ours = found.st_dev, found.st_ino

    @property
    def is_noted(self) -> bool:
        """Whether one of ours was there."""
        return self._ours is not None

    def stranger(self) -> os.stat_result | None:
        """Return what is there instead of ours; None: ours is, or nothing."""
        found = self._found()
        is_ours = found is None or (found.st_dev, found.st_ino) == self._ours
        return None if is_ours else found

    @property
    def is_gone(self) -> bool:
        """Whether nothing is there."""
        return self._found() is None

    def remove(self) -> None:
        """Remove it, where it is ours still."""
        if self.is_noted and self.stranger() is None:
            Path(self.path).unlink(missing_ok=True)

    def _found(self) -> os.stat_result | None:
        try:
            return os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None


def bind(listener: socket.socket, path: str, mode: int) -> None:
    """Bind, so that the file has its mode from the first moment on.

    The umask is the process's, for the length of one system call. What other threads create in
    that moment (the store, its keys) states a mode that no umask is needed for.
    """
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(path)
    finally:
        os.umask(before)


def give(path: str, group: int) -> None:
    """Give the socket that we bound to a group.

    Raises:
        AddressInUseError: Something else is there by now.
        OSError: It cannot be given to that group.
    """
    with _pinned(path) as descriptor:
        found = os.fstat(descriptor)
        # A hard link would be another file of ours.
        if not stat.S_ISSOCK(found.st_mode) or (found.st_uid, found.st_nlink) != (os.geteuid(), 1):
            raise AddressInUseError(
                f"{path} was replaced by somebody else, wanted ours: see who may write in its "
                "folder"
            )
        os.chown(_name_of(descriptor), -1, group)


@contextmanager
def left_there(path: str) -> Iterator[str | None]:
    """Yield a name to connect(2) to the socket that is at a path now; None: nothing is there.

    Raises:
        AddressInUseError: It is no socket; a link to one is none either.
    """
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(_pinned(path))
        except FileNotFoundError:
            yield None
            return
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise AddressInUseError(f"{path} is no socket, wanted it free: move it away")
        yield _name_of(descriptor)


@contextmanager
def holder(there: str | bytes, *, name: str) -> Iterator[socket.socket | None]:
    """Yield a connection to whoever listens at an address; None: nobody does any more.

    Args:
        there: From `left_there`, or an abstract address.
        name: What an error calls it.

    Raises:
        AddressInUseError: It cannot be told.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.setblocking(False)  # whoever has it need not be accepting
        try:
            trial.connect(there)
            is_held = True
        except ConnectionRefusedError:
            is_held = False
        except OSError as error:
            raise AddressInUseError(
                f"{name}: {error.strerror}, wanted to know who holds it: see ss -xlp, and remove it"
            ) from error
        yield trial if is_held else None


def remove(path: str) -> None:
    """Remove what is at a path, if we may.

    Raises:
        AddressInUseError: It is somebody else's, in a directory with the sticky bit.
    """
    try:
        Path(path).unlink()
    except FileNotFoundError:
        return
    except PermissionError as error:
        owner = os.lstat(path).st_uid
        raise AddressInUseError(
            f"{path} was left there by user {owner}, wanted it free: remove it"
        ) from error


@contextmanager
def _pinned(path: str) -> Iterator[int]:
    """Yield a descriptor of what is at a path, itself and not what it links to: open(2), O_PATH."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _name_of(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"
