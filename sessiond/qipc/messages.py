"""The frame around a value: eight bytes of header (code.kx.com/q/kb/serialization), then it."""

from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Final

from sessiond.core.errors import ProtocolError
from sessiond.qipc.encode import encode
from sessiond.qipc.values import QError, Value

HEADER: Final = Struct("<BBBBI")  # byte order, kind, compressed, reserved, size with the header
LITTLE_ENDIAN: Final = 1


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


def encode_message(kind: MessageKind, value: Value | QError) -> bytes:
    """Return a whole message: little-endian, not compressed.

    Raises:
        ValueError: kdb+ has no such value.
    """
    payload = encode(value)
    return HEADER.pack(LITTLE_ENDIAN, kind, 0, 0, HEADER.size + len(payload)) + payload


class MessageDecoder:
    """Bytes in, whole messages out. It refuses a message by its header alone."""

    def __init__(self, *, max_size: int) -> None:
        self.max_size = max_size  # bytes, header included; of messages whose header comes later
        self._buffer = bytearray()
        self._head: tuple[MessageKind, int] | None = None  # of the message at the front: kind, size

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
        _, size = self._head
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
        kind, _ = self._head
        payload = bytes(self._buffer[HEADER.size : size])
        del self._buffer[:size]
        self._head = None
        return Message(kind, payload)

    def _read_header(self) -> tuple[MessageKind, int]:
        order, kind, compressed, reserved, size = HEADER.unpack_from(self._buffer)
        if order != LITTLE_ENDIAN:
            raise ProtocolError("a message is not little-endian")
        if kind not in _KINDS:
            raise ProtocolError("unknown kind of message")
        if compressed or reserved:  # never on a Unix socket: code.kx.com/q/basics/ipc, Compression
            raise ProtocolError("a message is compressed or longer than 4 GiB")
        if not HEADER.size < size <= self.max_size:
            raise ProtocolError("a message is empty or too large")
        return MessageKind(kind), size


_KINDS: Final = frozenset(MessageKind)
