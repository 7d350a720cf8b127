"""The control socket's file: bound here, or taken over from systemd."""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from sessiond.config import ListenConfig
from sessiond.core.errors import AddressInUseError, ConfigError
from sessiond.system import socket_file
from sessiond.system.accounts import group_number

BACKLOG = 128  # connections that wait to be accepted
MODE = 0o660  # the owner and the group may connect
DEFAULT = ListenConfig().control

log = structlog.get_logger()


@contextmanager
def control_socket(
    path: str, *, group: str | int, passed: Iterable[socket.socket]
) -> Iterator[socket.socket | None]:
    """Have the listening socket, and at the end close it and remove what was bound here.

    None where its place is the default and the directory of that is not there: systemd makes it
    (RuntimeDirectory=), and a daemon started by hand works without. That is warned about.

    Args:
        path: Where; a file that nobody listens on any more is taken over.
        group: Whose it is to be; empty = the daemon's own.
        passed: What systemd opened: one with this address is used as it is.

    Raises:
        AddressInUseError: Somebody else has the address.
        ConfigError: It cannot be made there, or cannot be given to the group.
    """
    for each in passed:
        if each.getsockname() == path:
            with each:
                yield each
            return
    if path == DEFAULT and not Path(path).parent.is_dir():
        log.warning("no control socket: its directory is not there", path=path)
        yield None
        return
    with _listening(path, group) as listener:
        ours = Path(path).lstat().st_ino
        yield listener
        with suppress(FileNotFoundError):
            if Path(path).lstat().st_ino == ours:  # else somebody has it by now
                Path(path).unlink()


def _listening(path: str, group: str | int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(listener, path)
        if group != "":
            _give(path, group)
        listener.listen(BACKLOG)  # until now nobody could connect
    except OSError as error:
        listener.close()
        raise ConfigError(f"listen.control: {path}: {error.strerror}") from error
    except AddressInUseError as error:
        listener.close()
        raise AddressInUseError(f"listen.control: {error}") from error
    except ConfigError:
        listener.close()
        raise
    return listener


def _bind(listener: socket.socket, path: str) -> None:
    try:
        socket_file.bind(listener, path, MODE)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        _take_over(path)
        socket_file.bind(listener, path, MODE)


def _take_over(path: str) -> None:
    """Remove a socket that its owner left behind, and nothing else.

    Raises:
        AddressInUseError: Somebody is listening, it is no socket, or not ours to remove.
    """
    with socket_file.left_there(path) as there:
        if there is None:
            return
        with socket_file.holder(there, name=path) as held:
            if held is not None:
                raise AddressInUseError(f"{path} is in use")
        socket_file.remove(path)


def _give(path: str, group: str | int) -> None:
    number = group_number("listen.control_group", group)
    try:
        socket_file.give(path, number)
    except OSError as error:
        raise ConfigError(f"listen.control_group: {path}: {error.strerror}") from error
