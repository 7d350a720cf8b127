"""Both ends of a connection as state machines: bytes in, events out; calls in, bytes out.

Which step is legal when is data, below. A step that is not legal is a bug of the program that holds
the connection: RuntimeError. What the other end does wrong is a ProtocolError, after which nothing
more can be read; what was asked before can still be answered.
"""

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from sessiond.core.errors import ProtocolError
from sessiond.core.secret import Secret
from sessiond.qipc.decode import MAX_DEPTH, MAX_ITEMS, decode
from sessiond.qipc.messages import MessageDecoder, MessageKind, encode_message
from sessiond.qipc.values import QError, Value

CAPABILITY: Final = (
    3  # kdb+ 3.0: guids, and lengths of 32 bits; code.kx.com/q/basics/ipc, Handshake
)
MAX_HANDSHAKE: Final = 4096  # bytes, with the NUL
_FIRST_PRINTABLE: Final = 0x20  # a last byte below it is a capability, else part of a password


class State(Enum):
    """How far a connection is."""

    START = auto()  # no greeting yet
    GREETED = auto()  # greeting sent or received, not answered yet
    OPEN = auto()
    BROKEN = auto()  # the other end broke the protocol


class Step(Enum):
    """What either end does to a connection."""

    GREET = auto()
    ACCEPT = auto()
    ASK = auto()  # sends sync or async
    ANSWER = auto()
    BREAK = auto()


LEGAL: Final = {
    (State.START, Step.GREET): State.GREETED,
    (State.GREETED, Step.ACCEPT): State.OPEN,
    (State.OPEN, Step.ASK): State.OPEN,
    (State.OPEN, Step.ANSWER): State.OPEN,
    (State.BROKEN, Step.ASK): State.BROKEN,
    (State.BROKEN, Step.ANSWER): State.BROKEN,
    **{(state, Step.BREAK): State.BROKEN for state in State},
}


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client's greeting. What it says of itself proves nothing."""

    user: str = field(repr=False)  # people paste tokens into any field
    password: Secret
    capability: int | None  # None: a client of before 2012, which has none


@dataclass(frozen=True, slots=True)
class Received:
    """A message from a client; SYNC ones wait for `reply` or `error`, in their order."""

    kind: MessageKind
    value: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server took the greeting. (One that refuses it closes without a word.)"""

    capability: int


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to the oldest sync call not yet answered."""

    value: Value | QError = field(repr=False)


@dataclass(frozen=True, slots=True)
class Push:
    """An async message from the server."""

    value: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A sync call from the server, which waits for `reply` or `error`."""

    value: Value = field(repr=False)


Event = TypeVar("Event")


class _Connection(ABC, Generic[Event]):
    """What the two ends have in common: messages in, messages out, and the answers owed.

    Args:
        max_message: The largest message that is taken at first, in bytes, with its header.
        max_depth: As for `decode`.
        max_items: As for `decode`, for each message.
        any_order: As for `MessageDecoder`.
    """

    def __init__(
        self,
        max_message: int,
        max_depth: int = MAX_DEPTH,
        max_items: int = MAX_ITEMS,
        *,
        any_order: bool = False,
    ) -> None:
        self._state = State.START
        self._greeting = bytearray()  # what comes before the first message
        self._messages = MessageDecoder(max_size=max_message, any_order=any_order)
        self._max_depth = max_depth
        self._max_items = max_items
        self._owed = 0

    @property
    def state(self) -> State:
        return self._state

    @property
    def owed(self) -> int:
        """How many SYNC messages have been received and not been answered."""
        return self._owed

    @property
    def is_mid_message(self) -> bool:
        """Whether, once `next_event` has returned None, part of a message is there.

        From then on the rest is due: a deadline counts from its first byte.
        """
        return bool(self._greeting) or self._messages.is_mid_message

    @property
    def ready(self) -> int:
        """How many bytes the message has that `next_event` would decode; 0 when none is whole.

        Raises:
            ProtocolError: As `next_event` does, for a header that is of no message.
        """
        try:
            return self._messages.ready if self._state is State.OPEN else 0
        except ProtocolError:
            self._advance(Step.BREAK)
            raise

    def admit(self, max_message: int) -> None:
        """Take messages of so many bytes from now on, with their headers."""
        self._messages.max_size = max_message

    def receive_data(self, data: bytes) -> None:
        """Take what the other end sent. Ask `next_event` until None after each call."""
        if self._state in (State.START, State.GREETED):
            self._greeting += data
        elif self._state is State.OPEN:
            self._messages.receive_data(data)

    def next_event(self) -> Event | None:
        """Return what happened next, or None when more bytes are needed.

        Raises:
            ProtocolError: The other end broke the protocol; so does each later call.
        """
        try:
            return self._next_event()
        except ProtocolError:
            self._advance(Step.BREAK)
            raise

    def reply(self, value: Value) -> bytes:
        """Return the answer to the oldest SYNC message that is not answered."""
        return self.answer(encode_message(MessageKind.RESPONSE, value))

    def error(self, text: str) -> bytes:
        """Return the q error `'text` as that answer."""
        return self.answer(encode_message(MessageKind.RESPONSE, QError(text)))

    def answer(self, message: bytes) -> bytes:
        """Return an encoded RESPONSE as that answer: to encode a large one may take long."""
        if not self._owed:
            raise RuntimeError("an answer without a question")
        self._advance(Step.ANSWER)
        self._owed -= 1
        return message

    @abstractmethod
    def _next_event(self) -> Event | None: ...

    def _ask(self, kind: MessageKind, value: Value) -> bytes:
        wire = encode_message(kind, value)
        self._advance(Step.ASK)
        return wire

    def _open(self) -> None:
        """Go on to the messages; some may have come with the greeting."""
        self._advance(Step.ACCEPT)
        self._messages.receive_data(bytes(self._greeting))
        self._greeting.clear()

    def _next_message(self) -> tuple[MessageKind, Value | QError] | None:
        if self._state is State.BROKEN:
            raise ProtocolError("the protocol was broken before")
        message = self._messages.next_message()
        if message is None:
            return None
        value = decode(
            message.payload,
            max_depth=self._max_depth,
            max_items=self._max_items,
            order=message.order,
        )
        return message.kind, value

    def _advance(self, step: Step) -> None:
        after = LEGAL.get((self._state, step))
        if after is None:
            raise RuntimeError(f"{step.name} is not legal in state {self._state.name}")
        self._state = after


class ServerConnection(_Connection[Handshake | Received]):
    """The end that listens: a Handshake, which `accept` answers, then messages."""

    max_handshake = MAX_HANDSHAKE  # bytes, with the NUL; may be set before there is any data
    _capability = 0  # what both ends have in common

    def accept(self) -> bytes:
        """Return the one byte that lets the client in. To refuse it, close instead."""
        self._open()
        return bytes([self._capability])

    def push(self, value: Value) -> bytes:
        """Return an async message to the client."""
        return self.tell(encode_message(MessageKind.ASYNC, value))

    def tell(self, *messages: bytes) -> bytes:
        """Return encoded ASYNC messages in one piece: they may be encoded elsewhere, or before."""
        self._advance(Step.ASK)
        return messages[0] if len(messages) == 1 else b"".join(messages)

    def _next_event(self) -> Handshake | Received | None:
        match self._state:
            case State.START:
                return self._handshake()
            case State.GREETED:
                return None
            case _:
                return self._received()

    def _handshake(self) -> Handshake | None:
        end = self._greeting.find(0, 0, self.max_handshake)
        if end < 0:
            if len(self._greeting) >= self.max_handshake:
                raise ProtocolError("the handshake is too long")
            return None
        handshake = _parse_handshake(bytes(self._greeting[:end]))
        del self._greeting[: end + 1]
        self._advance(Step.GREET)
        self._capability = min(handshake.capability or 0, CAPABILITY)
        return handshake

    def _received(self) -> Received | None:
        if (message := self._next_message()) is None:
            return None
        kind, value = message
        if kind is MessageKind.RESPONSE or isinstance(value, QError):
            raise ProtocolError("an answer to nothing that was asked")
        self._owed += kind is MessageKind.SYNC
        return Received(kind, value)


class ClientConnection(_Connection[Accepted | Response | Push | Asked]):
    """The end that connects: `greeting`, an Accepted, then calls and what comes back."""

    _offered = 0  # capability
    _awaited = 0  # sync calls whose response has not come

    def greeting(
        self, user: str, password: Secret | str = "", capability: int = CAPABILITY
    ) -> bytes:
        """Return what the client sends first.

        Raises:
            ValueError: The user has a colon, either has a NUL, or the capability is not 1 to 3.
        """
        words = password if isinstance(password, str) else password.reveal()
        if ":" in user or "\0" in user + words or not 1 <= capability <= CAPABILITY:
            raise ValueError("no colon in the user, no NUL, and a capability of 1 to 3")
        self._advance(Step.GREET)
        self._offered = capability
        return f"{user}:{words}".encode() + bytes([capability, 0])

    def sync(self, value: Value) -> bytes:
        """Return a call that the server answers with a Response."""
        wire = self._ask(MessageKind.SYNC, value)
        self._awaited += 1
        return wire

    def async_(self, value: Value) -> bytes:
        """Return a call that is not answered."""
        return self._ask(MessageKind.ASYNC, value)

    def _next_event(self) -> Accepted | Response | Push | Asked | None:
        match self._state:
            case State.START:
                return None
            case State.GREETED:
                return self._accepted()
            case _:
                return self._arrived()

    def _accepted(self) -> Accepted | None:
        if not self._greeting:
            return None
        common = min(self._greeting.pop(0), self._offered)
        self._open()
        return Accepted(common)

    def _arrived(self) -> Response | Push | Asked | None:
        if (message := self._next_message()) is None:
            return None
        kind, value = message
        if kind is MessageKind.RESPONSE and self._awaited:
            self._awaited -= 1
            return Response(value)
        if kind is MessageKind.RESPONSE or isinstance(value, QError):
            raise ProtocolError("an answer to nothing that was asked")
        if kind is MessageKind.SYNC:
            self._owed += 1
            return Asked(value)
        return Push(value)


def _parse_handshake(line: bytes) -> Handshake:
    """Read `user:password` and the capability, without the NUL at its end."""
    capability = line[-1] if line and line[-1] < _FIRST_PRINTABLE else None
    credentials: str | None = None
    with suppress(UnicodeDecodeError):  # which shows the bytes: it must be no error's context
        credentials = (line if capability is None else line[:-1]).decode()
    if credentials is None:
        raise ProtocolError("the handshake is not UTF-8")
    user, _, password = credentials.partition(":")
    return Handshake(user, Secret(password), capability)
