"""One process at a time for each profile."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sessiond_login.errors import CannotKeep, NotSignedIn
from sessiond_login.own_files import NotOwnError, make_own_folder

PATIENCE = 180.0  # seconds: as long as a person has to sign in


@contextmanager
def alone(folders: Iterable[Path], profile: str, *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the profile's lock. The system takes it from a process that ends, however it ends.

    Args:
        folders: Where the lock may be; the first that can be written, the same for every process.
        profile: Its name.
        patience: Seconds to wait for another process.

    Raises:
        NotSignedIn: The other one was not done in time.
        CannotKeep: None of the folders can be had.
    """
    lock = _held(folders, profile, patience)
    try:
        yield
    finally:
        lock.release()


def _held(folders: Iterable[Path], profile: str, patience: float) -> FileLock:
    reasons: list[str] = []
    for folder in folders:
        try:
            make_own_folder(folder)
            # Not the bare name: Windows takes nul.lock for a device.
            lock = FileLock(folder / f"profile-{profile}.lock", timeout=patience, mode=0o600)
            lock.acquire()
        except Timeout:
            raise NotSignedIn(
                f"another sessiond-login is at work on the profile {profile} and was not done "
                f"within {patience:g} s: finish the sign-in that it waits for, or end it, then "
                "try again"
            ) from None
        except NotOwnError as error:
            reasons.append(str(error))
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror}")
        else:
            return lock
    raise CannotKeep(
        f"there is no place for a lock ({'; '.join(reasons)}): set XDG_RUNTIME_DIR or TMPDIR to a "
        "folder that is yours"
    )
