"""What the daemon and the process that asks for it say to each other, and how it is framed."""

import struct
from typing import Protocol

import msgspec

from sessiond_ldap.settings import LdapSettings

MAX_SIZE = 1024 * 1024  # bytes of a message
HEAD = struct.Struct(">I")  # the size of what follows


class Setup(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message: what to ask, and as whom."""

    settings: LdapSettings
    password: str


class Question(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Whom to ask about."""

    user: str
    subject: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """It has all that it needs, and waits for questions."""


class Found(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the directory has of a user; nothing, where it has no such user."""

    roles: list[str]
    attributes: dict[str, str]


class Away(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The directory does not answer, or not us."""

    text: str


class Unusable(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The directory has answered, and with no verdict on this user."""

    text: str


ToAsker = Setup | Question
Answer = Found | Away | Unusable
FromAsker = Ready | Answer


class Reader(Protocol):
    """Has octets, all that it is asked for or an error."""

    def read(self, size: int, /) -> bytes: ...


class WireError(Exception):
    """The other end talks nonsense."""


_to_asker: msgspec.json.Decoder[ToAsker] = msgspec.json.Decoder(ToAsker)
_from_asker: msgspec.json.Decoder[FromAsker] = msgspec.json.Decoder(FromAsker)


def framed(message: ToAsker | FromAsker) -> bytes:
    """Return the octets of a message."""
    body = msgspec.json.encode(message)
    return HEAD.pack(len(body)) + body


def size_of(head: bytes) -> int:
    """Return the size of what follows.

    Raises:
        WireError: It is too large.
    """
    (size,) = HEAD.unpack(head)
    if size > MAX_SIZE:
        raise WireError(f"a message of {size} bytes, at most {MAX_SIZE} are taken")
    return int(size)


def to_asker(body: bytes) -> ToAsker:
    """Return what the daemon said."""
    return _to_asker.decode(body)


def from_asker(body: bytes) -> FromAsker:
    """Return what the asker said.

    Raises:
        WireError: No message is written so.
    """
    try:
        return _from_asker.decode(body)
    except msgspec.MsgspecError as error:
        raise WireError(f"no message: {error}") from None
