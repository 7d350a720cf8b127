"""Where records are kept without a keyring: a file of the person's own for each profile."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sessiond_login.errors import CannotKeep
from sessiond_login.keeping.record import MAX_SIZE
from sessiond_login.own_files import (
    NotOwnError,
    make_own_folder,
    read_own,
    remove_drafts,
    write_own,
)


class KeptFiles:
    """Files of mode 0600 in a folder of mode 0700, each replaced as a whole."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell

    def path(self, profile: str) -> Path:
        return self._folder / f"tokens-{profile}.json"

    def load(self, profile: str) -> str | None:
        """Return what the file holds; "" where it is not to be used; None where there is none."""
        path = self.path(profile)
        try:
            return read_own(path, max_size=MAX_SIZE, secret=True).decode("ascii")
        except FileNotFoundError:
            return None
        except NotOwnError as error:
            self._tell(f"{error}. What is in it is not used")
        except OSError as error:
            self._tell(f"cannot read {path}: {error.strerror}. What is in it is not used")
        except UnicodeDecodeError:
            pass  # none of ours
        return ""

    def save(self, profile: str, text: str) -> None:
        """Put a text in the place of the one before.

        Raises:
            CannotKeep: There is no place for it.
        """
        try:
            make_own_folder(self._folder)
            write_own(self.path(profile), text.encode())
            remove_drafts(self.path(profile))
        except NotOwnError as error:
            raise CannotKeep(f"{error}; have it removed, then sign in again") from error
        except OSError as error:
            raise CannotKeep(
                f"cannot keep tokens in {self._folder}: {error.strerror}; make room there, or "
                "make it yours to write, or set XDG_STATE_HOME to a folder that is"
            ) from error

    def forget(self, profile: str) -> None:
        """Take a file away; that there is none is fine.

        Raises:
            CannotKeep: It is there and stays.
        """
        path = self.path(profile)
        try:
            path.unlink(missing_ok=True)
            remove_drafts(path)
        except OSError as error:
            if isinstance(error, NotADirectoryError):
                return
            raise CannotKeep(f"cannot remove {path}: {error.strerror}; remove it") from error

    def first_time(self, what: str) -> bool:
        """Say whether this is the first time that something is to be said on this machine."""
        mark = self._folder / f"said-{what}"
        if mark.exists():
            return False
        with suppress(OSError):  # then it is said again
            write_own(mark, b"")
        return True
