"""The bytes of a payload still to be read, and the bounds that hold while they are."""

from typing import Final

from sessiond.core.errors import ProtocolError
from sessiond.qipc.values import QType
from sessiond.qipc.wire import BY_ORDER, ByteOrder

_ATTRIBUTES: Final = range(5)  # none, `s#, `u#, `p#, `g#
_BYTES_AN_ITEM: Final = 4  # of symbols: so many take as long as an item of a vector of numbers


class PayloadReader:
    """Reads forward only. Each method raises ProtocolError when the bytes are not there."""

    __slots__ = ("_at", "_items_left", "_length", "_payload", "layouts", "order")

    def __init__(self, payload: bytes, max_items: int, order: ByteOrder = ByteOrder.LITTLE) -> None:
        self.order = order
        self.layouts = BY_ORDER[order]  # one number of each type
        self._length = self.layouts[QType.INT]  # signed, as in q
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
        at = self._at
        if at >= len(self._payload):
            raise ProtocolError("the value is cut short")
        self._at = at + 1
        return self._payload[at]

    def symbol(self) -> str:
        """Return one symbol; see `symbols`."""
        end = self._payload.find(b"\0", self._at)
        return self._symbol_bytes(self._at, end).decode(errors="surrogateescape")

    def symbols(self, length: int) -> tuple[str, ...]:
        """Return the texts up to so many NULs; what is not UTF-8 is kept as surrogates.

        A peer cannot choose what its users type as a name, so odd bytes are no reason to close
        its connection. `text` refuses them where text is read.
        """
        end = self._at - 1
        for _ in range(length):
            end = self._payload.find(b"\0", end + 1)
            if end < 0:
                break
        if not length:
            return ()
        # Decoded in one go: a NUL is no part of another character, whatever is before it.
        taken = self._symbol_bytes(self._at, end).decode(errors="surrogateescape")
        return tuple(taken.split("\0"))

    def _symbol_bytes(self, start: int, end: int) -> bytes:
        """Take what is before the NUL at `end`, and that NUL; it is -1 where there is none."""
        if end < 0:
            raise ProtocolError("a symbol has no end")
        self.spend((end - start) // _BYTES_AN_ITEM)
        self._at = end + 1
        return self._payload[start:end]

    def attribute(self) -> int:
        attribute = self.byte()
        if attribute not in _ATTRIBUTES:
            raise ProtocolError("unknown attribute")
        return attribute

    def length(self, item_size: int) -> int:
        """Return the length of what follows: as many items of at least `item_size` bytes are there.

        So a claim alone makes nobody allocate or loop.
        """
        length: int = self._length.unpack(self.take(self._length.size))[0]
        if length < 0:
            raise ProtocolError("a length is negative")
        if length * item_size > self.bytes_left:
            raise ProtocolError("the value is cut short")
        return length

    def spend(self, items: int) -> None:
        """Take note of so many items more; past the bound that is an error."""
        self._items_left -= items
        if self._items_left < 0:
            raise ProtocolError("the value has too many items")
