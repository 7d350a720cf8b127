"""Where the daemon listens: kdb+'s names for a port, bound or taken over from systemd."""

import errno
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from sessiond.core.errors import AddressInUseError, ConfigError
from sessiond.system import socket_file
from sessiond.system.peer import peer_of

BACKLOG = 1024  # connections that wait to be accepted
PATH_SIZE = 108  # bytes of sun_path, unix(7)
ANYBODY = 0o666  # of the path socket: the peer's credentials are the guard, on every address


@dataclass(frozen=True, slots=True)
class Addresses:
    """kdb+'s names for one port: `hopen `:unix://PORT` tries them in this order.

    The abstract name at its exact length, the same padded with zeros to 108 bytes, and the path.
    """

    directory: str
    port: int
    with_path: bool

    @property
    def path(self) -> str:
        """DIRECTORY/kx.PORT, which every name is made from."""
        return f"{self.directory.rstrip('/')}/kx.{self.port}"

    def __iter__(self) -> Iterator[bytes]:
        exact = b"\0" + os.fsencode(self.path)
        yield exact
        yield exact.ljust(PATH_SIZE, b"\0")
        if self.with_path:
            yield os.fsencode(self.path)


def shown(address: bytes) -> str:
    """Return an address as unix(7) tools print it: `@` for the NUL of an abstract name."""
    return os.fsdecode(address.replace(b"\0", b"@", 1).rstrip(b"\0"))


def listening(
    addresses: Addresses, passed: Iterable[socket.socket], *, others: frozenset[bytes]
) -> list[socket.socket]:
    """Return a listening socket for each address: a passed one, or one bound here.

    Args:
        addresses: Where to listen.
        passed: What systemd opened, told apart by address.
        others: Addresses that a passed socket may also have; those are left alone.

    Raises:
        ConfigError: A passed socket's address is not configured.
        AddressInUseError: Somebody else has an address.
    """
    wanted = list(addresses)
    if len(wanted[0]) > PATH_SIZE:
        raise ConfigError(
            f"listen.directory: {addresses.path} is too long for a Unix socket, must be at most "
            f"{PATH_SIZE} bytes"
        )
    ours: dict[bytes, socket.socket] = {}
    for each in passed:
        address = _address_of(each)
        if address in wanted:
            ours[address] = each
        elif address not in others:
            raise ConfigError(
                f"listen: systemd passed {shown(address)}, which is not configured, wanted "
                f"{', '.join(map(shown, wanted))}: run sessiond install-units again"
            )
    with ExitStack() as bound:
        for each in ours.values():
            bound.callback(each.close)
        for address in wanted:
            if address not in ours:
                ours[address] = bound.enter_context(_bound(address))
        bound.pop_all()  # all are there: they stay open
    return list(ours.values())


def bound_again(path: str) -> socket.socket:
    """Return a new listening socket at kdb+'s path, where nothing is now.

    Raises:
        AddressInUseError: Something is there; it is left alone.
        ConfigError: It cannot be made there.
    """
    return _bound(os.fsencode(path), may_take_over=False)


def _address_of(listener: socket.socket) -> bytes:
    name = listener.getsockname()
    return name if isinstance(name, bytes) else os.fsencode(name)


def _bound(address: bytes, *, may_take_over: bool = True) -> socket.socket:
    """Bind and listen. A path that nobody listens on any more is taken over, where it may be."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            _bind(listener, address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not may_take_over:
                raise
            _take_over(address)
            _bind(listener, address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(
                f"listen.port: {shown(address)} is in use, wanted it free: stop whoever listens "
                "there (ss -xlp), or take another port"
            ) from error
        raise ConfigError(
            f"listen: {shown(address)}: {error.strerror}, wanted a socket there: let sessiond's "
            "user write in listen.directory"
        ) from error
    except AddressInUseError as error:
        listener.close()
        raise AddressInUseError(f"listen.port: {error}") from error
    return listener


def _bind(listener: socket.socket, address: bytes) -> None:
    if address.startswith(b"\0"):
        listener.bind(address)
    else:
        socket_file.bind(listener, os.fsdecode(address), ANYBODY)


def _take_over(address: bytes) -> None:
    """Remove a path that its owner left behind.

    Raises:
        AddressInUseError: Somebody is listening, named by what the kernel knows of it; or it is no
            socket, or not ours to remove.
    """
    if address.startswith(b"\0"):
        _refuse_if_held(address, address)
        return
    path = os.fsdecode(address)
    with socket_file.left_there(path) as there:
        if there is not None:
            _refuse_if_held(address, there)
            socket_file.remove(path)


def _refuse_if_held(address: bytes, there: bytes | str) -> None:
    name = shown(address)
    with socket_file.holder(there, name=name) as held:
        if held is not None:
            holder = peer_of(held)
            raise AddressInUseError(
                f"{name} is held by process {holder.pid} of user {holder.uid}, wanted it free: "
                "stop that process, or take another port"
            )
