"""A file that is written whole or not at all, and is on disk afterwards; and where it is to be."""

import os
import secrets
from pathlib import Path

from sessiond.core.errors import ConfigError


def write_whole(
    path: Path,
    content: bytes,
    *,
    mode: int,
    owner: tuple[int, int] | None = None,
    replaces: bool = True,
) -> None:
    """Put a file at path; nobody ever sees a part of it, or with another mode.

    Args:
        path: Its directory must be there.
        content: All of it.
        mode: Whatever the umask says.
        owner: uid and gid; None: whoever runs this.
        replaces: Whether a file that is there gives way.

    Raises:
        FileExistsError: There is one, and it does not.
        OSError: It cannot be written; what was there is still there.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)  # after the owner, whose change takes bits away
            os.fsync(file.fileno())
        if replaces:
            draft.replace(path)
        else:
            path.hardlink_to(draft)  # unlike a rename it never replaces anything
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


def below(root: Path, place: str | Path) -> Path:
    """Return where an absolute path is of a machine whose / is the folder `root`.

    Raises:
        ConfigError: A link leads out of an image: what is meant for that would change this machine.
    """
    path = root / str(place).lstrip("/")
    if root != Path("/") and not path.parent.resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"{path}: a link leads out of {root}, to {path.parent.resolve()}, wanted it "
            "within: make the image's links relative, or do without --root"
        )
    return path


def make_folder(path: Path) -> None:
    """Have a folder, and those above it, that everybody can look into, whatever the umask says.

    One that is there stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        try:
            each.mkdir(0o755)
        except FileExistsError:  # made by another meanwhile
            continue
        each.chmod(0o755)
    path.mkdir(exist_ok=True)  # raises where a file is in its place


def _sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
