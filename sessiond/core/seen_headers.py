"""What was found out about headers of tokens, so that one that comes again is not judged again."""

from collections import OrderedDict
from typing import Generic, TypeVar

MOST = 256  # headers
MOST_TEXT = 262_144  # characters of all of them; one with a chain of certificates has 10,000

T = TypeVar("T")


class SeenHeaders(Generic[T]):
    """Finds by a header's own text; what was not looked for longest goes when it is full.

    Strangers write headers: whoever sends a flood of them makes others be judged again, no more.
    """

    def __init__(self) -> None:
        self._found = OrderedDict[str, T]()
        self._size = 0  # characters

    def find(self, part: str) -> T | None:
        """Return what is kept of a header, as it stands in the token."""
        found = self._found.get(part)
        if found is not None:
            self._found.move_to_end(part)
        return found

    def keep(self, part: str, found: T) -> None:
        """Keep what is so of every token that has this header."""
        if part in self._found or len(part) > MOST_TEXT:
            return
        self._found[part] = found
        self._size += len(part)
        while len(self._found) > MOST or self._size > MOST_TEXT:
            self._size -= len(self._found.popitem(last=False)[0])
