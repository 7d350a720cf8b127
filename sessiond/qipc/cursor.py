"""The bytes of a payload still to be read, and the bounds that hold while they are."""

from struct import Struct
from typing import Final

from sessiond.core.errors import ProtocolError

_LENGTH: Final = Struct("<i")  # signed, as in q
_ATTRIBUTES: Final = range(5)  # none, `s#, `u#, `p#, `g#


class Cursor:
    """Reads forward only. Each method raises ProtocolError when the bytes are not there."""

    __slots__ = ("_at", "_items_left", "_payload")

    def __init__(self, payload: bytes, max_items: int) -> None:
        self._payload = payload
        self._at = 0
        self._items_left = max_items

    @property
    def bytes_left(self) -> int:
        return len(self._payload) - self._at

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        end = self._at + size
        if end > len(self._payload):
            raise ProtocolError("the value is cut short")
        taken = self._payload[self._at : end]
        self._at = end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def symbol(self) -> str:
        """Return the text up to the next NUL; what is not UTF-8 in it is kept as surrogates.

        A peer cannot choose what its users type as a name, so odd bytes are no reason to close
        its connection. `text` refuses them where text is read.
        """
        end = self._payload.find(b"\0", self._at)
        if end < 0:
            raise ProtocolError("a symbol has no end")
        taken = self._payload[self._at : end]
        self._at = end + 1
        return taken.decode(errors="surrogateescape")

    def attribute(self) -> int:
        attribute = self.byte()
        if attribute not in _ATTRIBUTES:
            raise ProtocolError("unknown attribute")
        return attribute

    def length(self, item_size: int) -> int:
        """Return the length of what follows: as many items of at least `item_size` bytes are there.

        So a claim alone makes nobody allocate or loop.
        """
        length: int = _LENGTH.unpack(self.take(_LENGTH.size))[0]
        if length < 0:
            raise ProtocolError("a length is negative")
        if length * item_size > self.bytes_left:
            raise ProtocolError("the value is cut short")
        return length

    def spend(self, items: int) -> None:
        """Take note of so many values more; past the bound that is an error."""
        self._items_left -= items
        if self._items_left < 0:
            raise ProtocolError("the value has too many items")
