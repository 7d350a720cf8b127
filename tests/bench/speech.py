"""What the load generator says to whom, and what it makes of the answers.

It is to measure others: messages are encoded beforehand, and of an answer only the verdict and the
session are read, at their place; what is not as expected there is decoded in full.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from sessiond.qipc import MessageKind, QError, Value, decode, encode_message, guid_of, mapping, text
from sessiond.testing import calls
from tests.bench import dovecot, floor

Login = tuple[str, str]  # user, password

PING: Final = encode_message(MessageKind.SYNC, calls.PING)
_HEADER: Final = 8  # bytes
_SESSION, _HANDLE = UUID(bytes=b"0123456789abcdef"), 0x77777777
_OPENED: Final = encode_message(MessageKind.ASYNC, calls.opened_call(_SESSION, _HANDLE))
_BEFORE, _, _REST = _OPENED.partition(_SESSION.bytes)
_BETWEEN, _, _AFTER = _REST.partition(_HANDLE.to_bytes(4, "little"))
_LAST_KEY: Final = b"reason\0"
_TYPE_AND_COUNT: Final = 6  # bytes of a general list's head
_TRUE: Final = b"\xff\x01\xfe"  # a boolean, and the type of the guid after it


class Verdict(NamedTuple):
    """An answer to a login."""

    reason: str  # empty: accepted
    session: bytes  # to be opened, empty where there is none


class Speech(Protocol):
    """How one kind of server is spoken to."""

    def logins(self, logins: Iterable[Login]) -> Iterator[bytes]:
        """Yield each login's request, for the handles 1, 2, 3 and so on."""
        ...

    def answers(self, received: bytearray) -> Iterator[bytes]:
        """Take whole answers from what was received."""
        ...

    def verdict(self, answer: bytes) -> Verdict:
        """Read the answer to a login."""
        ...


class Kdb:
    """The daemon's kdb+ socket, after its `hello`."""

    def logins(self, logins: Iterable[Login]) -> Iterator[bytes]:
        for handle, (user, password) in enumerate(logins, 1):
            yield encode_message(MessageKind.SYNC, calls.connect_call(user, password, handle))

    def answers(self, received: bytearray) -> Iterator[bytes]:
        """Take whole responses, and drop what is pushed."""
        while len(received) >= _HEADER:
            size = int.from_bytes(received[4:_HEADER], "little")
            if len(received) < size:
                return
            message = bytes(received[:size])
            del received[:size]
            if message[1] == MessageKind.RESPONSE:
                yield message

    def verdict(self, answer: bytes) -> Verdict:
        at = answer.find(_LAST_KEY) + len(_LAST_KEY) + _TYPE_AND_COUNT
        if answer[at : at + 3] == _TRUE:
            return Verdict("", answer[at + 3 : at + 19])
        members = members_of(answer)
        reason = text(members["reason"])
        return Verdict(reason, b"" if reason else guid_of(members["session"]).bytes)


def members_of(answer: bytes) -> dict[str, Value]:
    """Return what is in an answer, decoded in full.

    Raises:
        ConnectionError: It is an error.
    """
    value = decode(answer[_HEADER:])
    if isinstance(value, QError):
        raise ConnectionError(f"the daemon answered with an error: {value.text}")
    return mapping(value)


def opened_and_ping(session: bytes, handle: int) -> bytes:
    """Return `opened`, and a ping that is answered once that is on disk."""
    return _BEFORE + session + _BETWEEN + handle.to_bytes(4, "little") + _AFTER + PING


class Floor(Kdb):
    """The floor: requests of the size that the daemon's have."""

    def logins(self, logins: Iterable[Login]) -> Iterator[bytes]:
        known = list(logins)
        for (_, token), connect in zip(known, super().logins(known), strict=True):
            yield floor.request(token, len(connect))

    def verdict(self, answer: bytes) -> Verdict:
        return Verdict("", b"")


class Dovecot:
    """Dovecot's auth, after the handshake. One line each way a login."""

    def logins(self, logins: Iterable[Login]) -> Iterator[bytes]:
        for number, (user, password) in enumerate(logins, 1):
            yield dovecot.request(number, user, password)

    def answers(self, received: bytearray) -> Iterator[bytes]:
        while (end := received.find(b"\n")) >= 0:
            line = bytes(received[:end])
            del received[: end + 1]
            yield line

    def verdict(self, answer: bytes) -> Verdict:
        return Verdict("" if answer.startswith(b"OK\t") else "refused", b"")


SPEECHES: dict[str, Speech] = {"sessiond": Kdb(), "floor": Floor(), "Dovecot": Dovecot()}
