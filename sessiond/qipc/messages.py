"""The frame around a value: eight bytes of header (code.kx.com/q/kb/serialization), then it."""

from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Final, TypeAlias

from sessiond.core.errors import ProtocolError
from sessiond.qipc.encode import encode
from sessiond.qipc.values import QError, Value
from sessiond.qipc.wire import ByteOrder

HEADER: Final = Struct("<BBBBI")  # byte order, kind, compressed, reserved, size with the header
LITTLE_ENDIAN: Final = 1
_HEADERS: Final = {0: (ByteOrder.BIG, Struct(">BBBBI")), LITTLE_ENDIAN: (ByteOrder.LITTLE, HEADER)}


class MessageKind(IntEnum):
    """What a message expects, and whether it is what was expected."""

    ASYNC = 0
    SYNC = 1
    RESPONSE = 2


@dataclass(frozen=True, slots=True)
class Message:
    """One message; the payload is what comes after the header."""

    kind: MessageKind
    payload: bytes = field(repr=False)  # may hold a password
    order: ByteOrder = ByteOrder.LITTLE


_Head: TypeAlias = tuple[MessageKind, int, ByteOrder]  # kind, size in bytes, order


def encode_message(kind: MessageKind, value: Value | QError) -> bytes:
    """Return a whole message: little-endian, not compressed.

    Raises:
        ValueError: kdb+ has no such value.
    """
    return framed(kind, encode(value))


def framed(kind: MessageKind, payload: bytes) -> bytes:
    """Return an encoded value as a whole message."""
    return HEADER.pack(LITTLE_ENDIAN, kind, 0, 0, HEADER.size + len(payload)) + payload


class MessageDecoder:
    """Bytes in, whole messages out. It refuses a message by its header alone."""

    def __init__(self, *, max_size: int, any_order: bool = False) -> None:
        """Begin with nothing.

        Args:
            max_size: Of a message, in bytes, with its header.
            any_order: Take big-endian ones too, which many Java clients send.
        """
        self._any_order = any_order
        self.max_size = max_size  # bytes, header included; of messages whose header comes later
        self._buffer = bytearray()
        self._head: _Head | None = None  # of the message at the front

    @property
    def is_mid_message(self) -> bool:
        """Whether bytes are there that `next_message` has not returned."""
        return bool(self._buffer)

    @property
    def ready(self) -> int:
        """How many bytes the message has that `next_message` would return; 0 when there is none.

        Raises:
            ProtocolError: As `next_message` does.
        """
        if self._head is None:
            if len(self._buffer) < HEADER.size:
                return 0
            self._head = self._read_header()
        _, size, _ = self._head
        return size if len(self._buffer) >= size else 0

    def receive_data(self, data: bytes) -> None:
        self._buffer += data

    def next_message(self) -> Message | None:
        """Return the next message, or None when more bytes are needed.

        Raises:
            ProtocolError: The header is of no message that is taken here. The stream cannot be
                read any further.
        """
        size = self.ready
        if self._head is None or not size:
            return None
        kind, _, order = self._head
        payload = bytes(self._buffer[HEADER.size : size])
        del self._buffer[:size]
        self._head = None
        return Message(kind, payload, order)

    def _read_header(self) -> _Head:
        order, layout = _HEADERS.get(self._buffer[0], (None, HEADER))
        if order is None or (order is ByteOrder.BIG and not self._any_order):
            raise ProtocolError("a message is not little-endian")
        _, kind, compressed, reserved, size = layout.unpack_from(self._buffer)
        if kind not in _KINDS:
            raise ProtocolError("unknown kind of message")
        if compressed or reserved:  # never on a Unix socket: code.kx.com/q/basics/ipc, Compression
            raise ProtocolError("a message is compressed or longer than 4 GiB")
        if not HEADER.size < size <= self.max_size:
            raise ProtocolError("a message is empty or too large")
        return MessageKind(kind), size, order


_KINDS: Final = frozenset(MessageKind)
