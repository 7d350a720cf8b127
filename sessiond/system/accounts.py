"""The numbers of the users and groups that a configuration names."""

import grp
import pwd

from sessiond.core.errors import NotNowError

ADVICE = (
    "mend the name, or wait for the directory that knows it (sssd, LDAP); a number needs no look-up"
)


def user_number(key: str, user: str | int) -> int:
    """Return a user's number.

    Raises:
        NotNowError: No such user is found here now; the text names the configuration key.
    """
    if isinstance(user, int) or user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:  # also where the directory does not answer
        raise NotNowError(
            f"{key}: no user {user!r} is found here now, wanted one: {ADVICE}"
        ) from None


def group_number(key: str, group: str | int) -> int:
    """Return a group's number. Raises as `user_number`."""
    if isinstance(group, int) or group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise NotNowError(
            f"{key}: no group {group!r} is found here now, wanted one: {ADVICE}"
        ) from None
