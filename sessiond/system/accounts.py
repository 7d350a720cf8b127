"""The numbers of the users and groups that a configuration names."""

import grp
import pwd

from sessiond.core.errors import ConfigError


def user_number(key: str, user: str | int) -> int:
    """Return a user's number.

    Raises:
        ConfigError: There is no such user here; the text names the configuration key.
    """
    if isinstance(user, int) or user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError(f"{key}: there is no user {user!r} here") from None


def group_number(key: str, group: str | int) -> int:
    """Return a group's number. Raises as `user_number`."""
    if isinstance(group, int) or group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(f"{key}: there is no group {group!r} here") from None
