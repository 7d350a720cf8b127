"""What the daemon and a subscriber's process say to each other, framed and bounded.

A frame is its length (4 bytes, big-endian) and one JSON object. The daemon sends `Setup` first,
then one `Batch` at a time, at last `Stop`; the child answers the setup with `Ready` or `Refused`,
and each batch with `Received` or `Failed`. Anything else is nonsense and ends the child.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Generic, TypeVar

import anyio
import msgspec
from anyio.abc import AnyByteStream
from msgspec import Meta, Struct

from sessiond.core.errors import SessiondError
from sessiond.core.events import Event

VERSION = 1  # of all this; both ends come from one installation, so others are refused
MAX_BATCH = 1000  # events
MAX_TO_CHILD = 64 * 1_048_576  # bytes of a frame
MAX_FROM_CHILD = 16_384  # bytes of a frame: it says little
MAX_ERROR = 500  # characters

_HEADER_SIZE = 4  # bytes

Sequence = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ErrorText = Annotated[str, Meta(max_length=MAX_ERROR)]

M = TypeVar("M")


class WireError(SessiondError):
    """The other end talks nonsense: end it, believe nothing it said."""


class _Message(Struct, frozen=True, kw_only=True, tag_field="message", forbid_unknown_fields=True):
    """Told apart by `message`."""


class Setup(_Message, frozen=True, kw_only=True, tag="setup"):
    """Which plugin to load, and all that it is given."""

    version: int = VERSION
    plugin: str
    name: str
    settings: dict[str, Any]
    memory: int  # bytes of address space
    is_check: bool = False  # only load it, answer and end


class Batch(_Message, frozen=True, kw_only=True, tag="batch"):
    """Events to receive, in order."""

    events: tuple[Event, ...]


class Stop(_Message, frozen=True, kw_only=True, tag="stop"):
    """There will be no more: end."""


class Ready(_Message, frozen=True, kw_only=True, tag="ready"):
    """The plugin is there; it takes so many events at a time."""

    batch: Annotated[int, Meta(ge=1, le=MAX_BATCH)] = 1


class Received(_Message, frozen=True, kw_only=True, tag="received"):
    """Everything up to this event was received."""

    sequence: Sequence


class Failed(_Message, frozen=True, kw_only=True, tag="failed"):
    """This event was not received; those of the batch before it were."""

    sequence: Sequence
    error: ErrorText
    is_outage: bool = False  # `TryLater`: not the event's fault


class Refused(_Message, frozen=True, kw_only=True, tag="refused"):
    """The plugin cannot be loaded, or does not accept its settings."""

    problems: Annotated[tuple[ErrorText, ...], Meta(min_length=1, max_length=20)]
    are_keys: bool  # each problem begins with the name of a settings' key


ToChild = Setup | Batch | Stop
FromChild = Ready | Received | Failed | Refused

_encoder = msgspec.json.Encoder()


def one_line(text: str) -> str:
    """Return a text of a stranger's as one printable line of bounded length."""
    line = " ".join(text[: 4 * MAX_ERROR].split())
    return "".join(each if each.isprintable() else "?" for each in line)[:MAX_ERROR]


def frame_of(message: ToChild | FromChild) -> bytes:
    """Return the bytes that carry a message."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_HEADER_SIZE) + body


class Frames:
    """Bytes in, whole frames' bodies out; no I/O, bounded memory."""

    def __init__(self, *, max_size: int) -> None:
        self._buffer = bytearray()
        self._max_size = max_size  # bytes of a body

    def receive_data(self, data: bytes) -> None:
        self._buffer += data

    def whole(self) -> Iterator[bytes]:
        """Yield every frame that is there.

        Raises:
            WireError: A frame would be longer than is allowed, or is empty.
        """
        while len(self._buffer) >= _HEADER_SIZE:
            size = int.from_bytes(self._buffer[:_HEADER_SIZE])
            if not 0 < size <= self._max_size:
                raise WireError(f"a frame of {size} bytes, at most {self._max_size} are allowed")
            end = _HEADER_SIZE + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER_SIZE:end])
            del self._buffer[:end]
            yield body


class Link(Generic[M]):
    """One end of the wire. One task receives, one sends."""

    def __init__(
        self, stream: AnyByteStream, decoder: msgspec.json.Decoder[M], max_size: int
    ) -> None:
        """Make an end that understands the decoder's messages, of at most so many bytes."""
        self._stream = stream
        self._decoder = decoder
        self._frames = Frames(max_size=max_size)

    async def send(self, message: ToChild | FromChild) -> None:
        """Send; return when the kernel has it.

        Raises:
            BrokenResourceError: The other end is gone.
        """
        await self._stream.send(frame_of(message))

    async def receive(self) -> M:
        """Return the next message. Cancelling loses nothing.

        Raises:
            EndOfStream: The other end is gone.
            WireError: It sent what is no message.
        """
        while True:
            for body in self._frames.whole():
                try:
                    return self._decoder.decode(body)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise WireError(one_line(f"no message: {error}")) from None
            try:
                self._frames.receive_data(await self._stream.receive())
            except anyio.BrokenResourceError:
                raise anyio.EndOfStream from None


def daemons_end(stream: AnyByteStream) -> Link[FromChild]:
    """Return the end that believes as little as possible."""
    return Link(stream, msgspec.json.Decoder(FromChild), MAX_FROM_CHILD)


def childs_end(stream: AnyByteStream) -> Link[ToChild]:
    """Return the end in the subscriber's process."""
    return Link(stream, msgspec.json.Decoder(ToChild), MAX_TO_CHILD)
