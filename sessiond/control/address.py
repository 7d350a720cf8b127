"""The control socket's file: bound here, or taken over from systemd."""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import structlog

from sessiond.config import ListenConfig
from sessiond.core.errors import AddressInUseError, ConfigError
from sessiond.system import socket_file
from sessiond.system.accounts import group_number
from sessiond.system.socket_file import SocketFile

BACKLOG = 128  # connections that wait to be accepted
MODE = 0o660  # the owner and the group may connect
DEFAULT = ListenConfig().control

log = structlog.get_logger()


@contextmanager
def control_socket(
    path: str,
    *,
    group: str | int,
    passed: Iterable[socket.socket],
    file: SocketFile | None = None,
) -> Iterator[socket.socket | None]:
    """Have the listening socket, and at the end close it and remove what was bound here.

    None where its place is the default and the directory of that is not there: systemd makes it
    (RuntimeDirectory=), and a daemon started by hand works without. That is warned about.

    Args:
        path: Where; a file that nobody listens on any more is taken over.
        group: Whose it is to be; empty = the daemon's own.
        passed: What systemd opened: one with this address is used as it is.
        file: Notes which file is the socket's.

    Raises:
        AddressInUseError: Somebody else has the address.
        ConfigError: It cannot be made there, or cannot be given to the group.
    """
    file = file or SocketFile(path)
    for each in passed:
        if each.getsockname() == path:
            file.note()
            with each:
                yield each
            return
    if path == DEFAULT and not Path(path).parent.is_dir():
        log.warning("no control socket: its directory is not there", path=path)
        yield None
        return
    with _listening(path, group) as listener:
        file.note()
        yield listener
        file.remove()


def bound_again(path: str, group: str | int) -> socket.socket:
    """Return a new listening socket at the path, where nothing is now. Raises as `control_socket`.

    What is there by then is left alone.
    """
    return _listening(path, group, may_take_over=False)


def _listening(path: str, group: str | int, *, may_take_over: bool = True) -> socket.socket:
    file = SocketFile(path)
    with ExitStack() as unless_whole:
        listener = unless_whole.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        unless_whole.callback(_remove, file)  # else it would be somebody else's at the next look
        try:
            _bind(listener, path, may_take_over=may_take_over)
            file.note()
            if group != "":
                _give(path, group)
            listener.listen(BACKLOG)  # until now nobody could connect
        except OSError as error:
            raise ConfigError(
                f"listen.control: {path}: {error.strerror}, wanted a socket there: let sessiond's "
                "user write in its folder, or name another"
            ) from error
        except AddressInUseError as error:
            raise AddressInUseError(f"listen.control: {error}") from error
        unless_whole.pop_all()
    return listener


def _remove(file: SocketFile) -> None:
    with suppress(OSError):  # of a directory that is another's by now
        file.remove()


def _bind(listener: socket.socket, path: str, *, may_take_over: bool) -> None:
    try:
        socket_file.bind(listener, path, MODE)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not may_take_over:
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
                raise AddressInUseError(
                    f"{path} is in use, wanted it free: stop whoever listens there (ss -xlp)"
                )
        socket_file.remove(path)


def _give(path: str, group: str | int) -> None:
    number = group_number("listen.control_group", group)
    try:
        socket_file.give(path, number)
    except OSError as error:
        raise ConfigError(
            f"listen.control_group: {path}: {error.strerror}, wanted it given to group {group}: "
            "have sessiond's user in that group, or name another"
        ) from error
