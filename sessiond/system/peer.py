"""Who is at the other end of a Unix socket, by the kernel's word."""

import errno
import os
import select
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sessiond.system.accounts import group_number, user_number

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid
_SO_PEERGROUPS = 59  # asm-generic/socket.h; Python has no name for it, nor for the next
_SO_PEERPIDFD = 77  # Linux 6.5
_GROUPS_SIZE = 1024  # bytes: the most that Python reads, 256 groups


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that called connect()."""

    uid: int
    groups: frozenset[int]
    pid: int  # 0 in another pid namespace
    started: int  # clock ticks after boot (proc(5), starttime); 0 when not readable


@dataclass(frozen=True, slots=True)
class AllowList:
    """Users and groups. As a rule the daemon's own user and root are among them: see `exactly`."""

    users: frozenset[int]
    groups: frozenset[int]

    @classmethod
    def of(cls, users: Iterable[str | int], groups: Iterable[str | int]) -> "AllowList":
        """Look the names up.

        Raises:
            NotNowError: No such user or group is found here now.
        """
        return cls(
            frozenset(user_number("listen.allow_users", each) for each in users) | _always(),
            frozenset(group_number("listen.allow_groups", each) for each in groups),
        )

    @classmethod
    def listed(cls, key: str, names: Iterable[str | int]) -> "AllowList":
        """Look users up, and groups where a name begins with `@`, in a configuration key's list.

        Raises:
            NotNowError: No such user or group is found here now; the text names the key.
        """
        strictly = cls.exactly(key, names)
        return cls(strictly.users | _always(), strictly.groups)

    @classmethod
    def exactly(cls, key: str, names: Iterable[str | int]) -> "AllowList":
        """Look up the same, without the daemon's own user and root, who are to be listed too."""
        users, groups = set[int](), set[int]()
        for name in names:
            if isinstance(name, str) and name.startswith("@"):
                groups.add(group_number(key, name[1:]))
            else:
                users.add(user_number(key, name))
        return cls(frozenset(users), frozenset(groups))

    def admits(self, peer: Peer) -> bool:
        return peer.uid in self.users or not self.groups.isdisjoint(peer.groups)


def _always() -> frozenset[int]:
    return frozenset({0, os.geteuid()})


def credentials_of(connected: socket.socket) -> tuple[int, int, int]:
    """Return pid, uid and gid of the other end as it was when it connected, or began to listen."""
    return _CREDENTIALS.unpack(
        connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )


def peer_of(connected: socket.socket) -> Peer:
    """Return the peer of an accepted connection.

    A pid says who connected only as long as that process lives, and the socket may outlive it in
    another's hands. So its start time is read while the process itself is held, where the kernel
    gives it to us (SO_PEERPIDFD); else on both sides of pinning the pid. A peer that has ended, or
    has hung up meanwhile, is nobody.

    Raises:
        OSError: The peer is gone, or nobody can say any more who it was.
    """
    pid, uid, gid = credentials_of(connected)
    groups = frozenset({gid, *_more_groups(connected)})
    if not pid:
        return Peer(uid=uid, groups=groups, pid=0, started=0)
    started = started_at(pid)
    pinned = _peer_process(connected, pid)
    try:
        is_same = started and started_at(pid) == started and not _has_ended(pinned)
        if not is_same or _has_hung_up(connected):
            raise ProcessLookupError(errno.ESRCH, "the peer is gone")
    finally:
        os.close(pinned)
    return Peer(uid=uid, groups=groups, pid=pid, started=started)


def _peer_process(connected: socket.socket, pid: int) -> int:
    """Return a pidfd of the process that connected; before Linux 6.5, of whoever has its pid now.

    Raises:
        OSError: It is gone.
    """
    try:
        return connected.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
    return os.pidfd_open(pid)


def _has_ended(process: int) -> bool:
    """Say whether the process of a pidfd has ended; until then nobody else has its pid."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(0))


def _has_hung_up(connected: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connected, select.POLLRDHUP)
    return bool(poll.poll(0))


def _more_groups(connected: socket.socket) -> tuple[int, ...]:
    """Return the supplementary groups; none of somebody who has more than can be read."""
    try:
        groups = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_SIZE)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        return ()
    return struct.unpack(f"{len(groups) // 4}I", groups)


def started_at(pid: int) -> int:
    """Return when a process started, in clock ticks after boot, or 0 when nobody knows."""
    if not pid:
        return 0
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[19])  # field 22; the command may hold anything
