"""The sockets that the daemon listens at: bound or taken over, watched, and removed at the end."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import anyio
import anyio.to_thread

from sessiond.clock import Clock
from sessiond.config import ListenConfig
from sessiond.control import address
from sessiond.control.address import control_socket
from sessiond.daemon.services import Endpoints
from sessiond.kdb.addresses import Addresses, bound_again, listening
from sessiond.system import systemd
from sessiond.system.accounts import group_number
from sessiond.system.path_watch import PathWatch
from sessiond.system.socket_file import SocketFile


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundPath:
    """Where a socket's file is, and who has bound it."""

    file: SocketFile
    is_ours: bool  # else systemd has


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """All of them."""

    listen: ListenConfig
    addresses: Addresses
    kdb: list[socket.socket]
    control: socket.socket | None
    kdb_path: BoundPath
    control_path: BoundPath


@contextmanager
def listening_sockets(listen: ListenConfig, environ: Mapping[str, str]) -> Iterator[Sockets]:
    """Have them listen; at the end close them, and remove the paths that were bound here.

    Raises:
        ConfigError: An address cannot be had, or systemd has passed another.
        AddressInUseError: Somebody else has one.
    """
    addresses = Addresses(listen.directory, listen.port, listen.path)
    passed = systemd.passed_sockets(environ)
    kdb = listening(addresses, passed, others=frozenset({listen.control.encode()}))
    kdb_path, control_path = (_path(each, passed) for each in (addresses.path, listen.control))
    if addresses.with_path:
        kdb_path.file.note()
    with ExitStack() as stack:
        stack.callback(_unbind, kdb, kdb_path)
        control = stack.enter_context(
            control_socket(
                listen.control, group=listen.control_group, passed=passed, file=control_path.file
            )
        )
        yield Sockets(
            listen=listen,
            addresses=addresses,
            kdb=kdb,
            control=control,
            kdb_path=kdb_path,
            control_path=control_path,
        )


class Watches:
    """Watches the paths that can be seen from here, and binds them again.

    systemd's own /tmp is another than the service's (PrivateTmp=), which sees nothing there.
    """

    def __init__(self, sockets: Sockets, endpoints: Endpoints) -> None:
        async def bind_kdb() -> None:
            path = sockets.addresses.path
            endpoints.listener.replace(path, bound_again(path))

        async def bind_control() -> None:
            group = sockets.listen.control_group
            if group != "":  # away from the loop: a directory service may hang
                group = await anyio.to_thread.run_sync(
                    group_number, "listen.control_group", group, abandon_on_cancel=True
                )
            path = sockets.listen.control
            await endpoints.control.replace(address.bound_again(path, group))

        both = ((sockets.kdb_path, bind_kdb), (sockets.control_path, bind_control))
        self._watches = [
            PathWatch(path.file, bind_again=bind if path.is_ours else None)
            for path, bind in both
            if path.file.is_noted
        ]

    async def run(self, clock: Clock) -> None:
        """Watch them until `stop`."""
        async with anyio.create_task_group() as tasks:
            for each in self._watches:
                tasks.start_soon(each.run, clock)

    def stop(self) -> None:
        """Look no more: who stops listening removes the paths."""
        for each in self._watches:
            each.stop()


def _path(path: str, passed: Sequence[socket.socket]) -> BoundPath:
    is_ours = all(each.getsockname() != path for each in passed)
    return BoundPath(file=SocketFile(path), is_ours=is_ours)


def _unbind(sockets: Sequence[socket.socket], path: BoundPath) -> None:
    for each in sockets:
        each.close()
    if path.is_ours:
        with suppress(PermissionError):  # of a directory that is another's by now
            path.file.remove()
