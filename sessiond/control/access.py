"""Who may do what on the control socket, by the kernel's word of who they are."""

import grp
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sessiond.core.errors import ConfigError
from sessiond.system.peer import AllowList, Peer


class Right(StrEnum):
    """What an operation needs."""

    READ = "read"
    ADMINISTER = "administer"  # revoke, forgive, forget and explain


@dataclass(frozen=True, slots=True)
class Access:
    """The readers and the administrators. Root and the daemon's own user are both, always."""

    readers: AllowList | None  # None: whoever the socket's mode lets in
    admins: AllowList

    @classmethod
    def of(cls, *, readers: Sequence[str | int], admins: Sequence[str | int]) -> "Access":
        """Look the names up: of users, or of groups where they begin with `@`.

        Raises:
            ConfigError: There is no such user or group here.
        """
        return cls(
            readers=allow_list("listen.control_readers", readers) if readers else None,
            admins=allow_list("listen.control_admins", admins),
        )

    def permits(self, peer: Peer, right: Right) -> bool:
        """Say whether a peer has a right. Administrators may read too."""
        if self.admins.admits(peer):
            return True
        if right is Right.ADMINISTER:
            return False
        return self.readers is None or self.readers.admits(peer)


def group_number(key: str, group: str | int) -> int:
    """Return a group's number.

    Raises:
        ConfigError: There is no such group here; the text names the configuration key.
    """
    if isinstance(group, int) or group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(f"{key}: there is no group {group!r} here") from None


def allow_list(key: str, names: Sequence[str | int]) -> AllowList:
    """Look users up, and groups where a name begins with `@`. Root and our own user always may.

    Raises:
        ConfigError: There is no such user or group here; the text names the configuration key.
    """
    users, groups = {0, os.geteuid()}, set[int]()
    for name in names:
        if isinstance(name, str) and name.startswith("@"):
            groups.add(group_number(key, name[1:]))
        else:
            users.add(_user_number(key, name))
    return AllowList(frozenset(users), frozenset(groups))


def _user_number(key: str, user: str | int) -> int:
    if isinstance(user, int) or user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError(f"{key}: there is no user {user!r} here") from None
