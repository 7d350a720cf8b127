"""Files that are a person's own: nobody else wrote them, and where they are secret, reads them.

On Windows the person's folders are his by their access lists, and nothing is asked of a mode.
"""

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

_POSIX = os.name == "posix"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe in its place would hold us
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


class NotOwnError(Exception):
    """Somebody else could have written, or read, what is there: it is not used."""


def read_own(
    path: Path,
    *,
    max_size: int,
    root_too: bool = False,
    anybodys: bool = False,
    secret: bool = False,
) -> bytes:
    """Return what a file of the person's holds, judged by its descriptor.

    Args:
        path: No link.
        max_size: Bytes.
        root_too: Whether root's is as good.
        anybodys: Whether everybody's is, as long as he alone can write it.
        secret: Whether others must not be able to read it either.

    Raises:
        NotOwnError: It is another's, others can write it, or it is no file, or too long.
        OSError: It is not there, or cannot be read.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotOwnError(f"{path} is no regular file")
        forbidden = _OTHERS if secret else _OTHERS_WRITE
        _judge(path, status, forbidden=forbidden, root_too=root_too, anybodys=anybodys)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(max_size + 1)
    finally:
        os.close(descriptor)
    if len(content) > max_size:
        raise NotOwnError(f"{path} is longer than {max_size:,} bytes")
    return content


def check_folder(path: Path) -> None:
    """See that nobody else can put files there.

    Raises:
        NotOwnError: They can.
        OSError: It is not there.
    """
    _judge(path, path.stat(), forbidden=_OTHERS_WRITE, root_too=True)


def make_own_folder(path: Path) -> None:
    """Have a folder that only the person looks into, and those above it.

    Raises:
        NotOwnError: There is one, or a link, of another's.
        OSError: It cannot be made.
    """
    make_folders(path)
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise NotOwnError(f"{path} is a link")
    _judge(path, status, forbidden=0, root_too=False)
    if _POSIX and stat.S_IMODE(status.st_mode) & _OTHERS:
        path.chmod(0o700)


def make_folders(path: Path) -> None:
    """Have a folder, and those above it; what is new only the person looks into, by any umask.

    Raises:
        NotOwnError: We are root, and it would be in somebody's home: `sudo` may leave HOME as it
            was, and whoever has that home decides where its links lead.
        OSError: It cannot be made.
    """
    for each in reversed([path, *path.parents]):
        if each.is_dir():
            continue
        if _POSIX and os.geteuid() == 0:
            _judge(each.parent, each.parent.stat(), forbidden=0, root_too=True)
        each.mkdir(mode=0o700, exist_ok=True)


def write_own(path: Path, content: bytes) -> None:
    """Put a file that only the person reads in the place of the one before, whole or not at all.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    draft = path.with_name(f"{_draft_of(path)}{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(draft, flags | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor has no path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    if _POSIX:
        _sync(path.parent)


def remove_drafts(path: Path) -> None:
    """Take away what was to take a file's place when its writer was killed.

    Raises:
        OSError: There is some, and it stays.
    """
    draft = re.compile(re.escape(_draft_of(path)) + "[0-9a-f]{16}")
    with suppress(FileNotFoundError, NotADirectoryError):
        for each in list(path.parent.iterdir()):
            if draft.fullmatch(each.name):
                each.unlink(missing_ok=True)


def _draft_of(path: Path) -> str:
    return f".{path.name}."


def _judge(
    path: Path,
    status: os.stat_result,
    *,
    forbidden: int,
    root_too: bool,
    anybodys: bool = False,
) -> None:
    if not _POSIX:
        return
    owners = {os.geteuid(), 0} if root_too else {os.geteuid()}
    if status.st_uid not in owners and not anybodys:
        raise NotOwnError(f"{path} belongs to another user")
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        what, mend = ("read", "go-rwx") if forbidden & stat.S_IRGRP else ("write", "go-w")
        raise NotOwnError(f"{path} has mode {mode:04o}, so others can {what} it: chmod {mend} it")


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
