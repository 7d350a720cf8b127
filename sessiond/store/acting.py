"""Root acts as whoever could exchange the files it works on, and so is led nowhere by them.

Where a daemon's user owns the database's folder he may put a link to anything there, between any
two steps of ours. As himself we can open, make or replace no more than he can anyway.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Owner:
    """A user other than root, and the group that goes with what is his."""

    uid: int
    gid: int


def owner_of(path: Path) -> Owner | None:
    """Return who, other than root, can put something else at a path; None: nobody.

    It is the owner of the first folder on the way there, by its name and by what that leads to,
    that is not root's; of a link on the way; or, where others may write in its folder, of the file.
    Who shares root's folder by its group counts as root.
    """
    found = [each for way in (path, path.resolve()) for each in _owners(way)]
    return found[0] if found else None


def _owners(path: Path) -> Iterator[Owner]:
    is_shared = False
    for each in (*reversed(path.parents), path):
        try:
            status = each.lstat()
        except OSError:
            return
        is_last = each == path and not stat.S_ISLNK(status.st_mode)
        if status.st_uid != 0 and (is_shared or not is_last):
            yield Owner(status.st_uid, status.st_gid)
        is_shared = bool(status.st_mode & _OTHERS_WRITE)


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """Be somebody, where root asks, and root again afterwards; None: nobody else.

    Signals and traces of his do not reach us: for those the kernel looks at what we can be again.
    """
    if owner is None or os.geteuid() != 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        os.setgroups([owner.gid])
        os.setegid(owner.gid)
        os.seteuid(owner.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
