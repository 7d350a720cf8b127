"""Files with secrets in them: read anew when they change, refused where others can read them."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from sessiond.api import Secret, TrustedFile, TrustedFileError

_MAX_SIZE: Final = 64 * 1024  # bytes

T = TypeVar("T")


class SecretFile(Generic[T]):
    """A trusted file that nobody but its owner and group may read."""

    def __init__(self, path: str, parse: Callable[[str], T]) -> None:
        self._path = Path(path)
        self._file = TrustedFile(path, parse, max_size=_MAX_SIZE)

    def current(self) -> T:
        """Return what the file says now.

        Raises:
            TrustedFileError: It cannot be read or is wrong, or others may read or write it.
        """
        try:
            mode = stat.S_IMODE(self._path.stat().st_mode)
        except OSError as error:
            raise TrustedFileError(f"cannot read {self._path}: {error.strerror}") from error
        if mode & stat.S_IRWXO:
            raise TrustedFileError(
                f"{self._path} has mode {mode:04o}, which lets others read it: chmod o-rwx"
            )
        return self._file.current()


def only_line(text: str) -> Secret:
    """Return the only line of a file, as it goes into a request.

    Raises:
        ValueError: There is none, more than one, or what is no printable ASCII.
    """
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0].strip():
        raise ValueError("it must have one line, and nothing else")
    line = lines[0].strip()
    if not line.isascii() or not line.isprintable():
        raise ValueError("line 1 has characters other than printable ASCII")
    return Secret(line)
