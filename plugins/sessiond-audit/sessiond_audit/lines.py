"""The log's lines: each says one thing, and holds the SHA-256 of the line before.

    {"previous": HEX, "begin": {...}}     the first line of each file
    {"previous": HEX, "event": {...}}     an event, as sessiond wrote it
    {"previous": HEX, "repaired": {...}}  a torn last line was cut off
    {"previous": HEX, "event": {...}, "reached": N}  one that came after events of higher numbers

The hash is over the exact bytes of the line, its newline included. Every line tells the highest
number of an event up to it, so that the last line alone is enough to go on from.
"""

import hashlib
from datetime import datetime
from typing import Final

import msgspec

START: Final = "0" * 64  # what the very first line holds, which has none before it
# Bytes. An event has a few hundred, but names each of a user's roles twice, and a role
# source may give a quarter of a megabyte of them.
MAX_LINE: Final = 1 << 23
VERSION: Final = 1


class LineError(Exception):
    """The bytes are no line of a log: cut them off or say where they are, never go on from them."""


class Begin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file begins; the chain goes on from the file before."""

    at: datetime  # when what follows it happened
    after: int  # highest sequence before
    version: int = VERSION


class Repaired(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The process had been stopped in the middle of a line; it was never acknowledged."""

    at: datetime  # of the torn write
    after: int
    cut: int  # bytes


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the log itself reads in an event; the rest of its members is for others."""

    kind: str
    sequence: int
    at: datetime


class Line(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One line; beside `previous` exactly one of its members is there."""

    previous: str
    begin: Begin | None = None
    event: Told | None = None
    repaired: Repaired | None = None
    reached: int = 0  # beside a late event: the highest sequence before it

    @property
    def sequence(self) -> int:
        """The highest number of an event, once this line is written."""
        said = self._said
        return max(said.sequence, self.reached) if isinstance(said, Told) else said.after

    @property
    def at(self) -> datetime:
        """When the event, or what the log tells of itself, was."""
        return self._said.at

    @property
    def _said(self) -> Begin | Told | Repaired:
        said = [member for member in (self.begin, self.event, self.repaired) if member is not None]
        if len(said) != 1 or (self.reached and self.event is None):
            raise ValueError("a line says exactly one thing")
        return said[0]

    def __post_init__(self) -> None:
        _ = self._said


_decoder = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()


def digest(line: bytes) -> str:
    """Return what the line after it holds as `previous`: `tail -n 1 FILE | sha256sum`."""
    return hashlib.sha256(line).hexdigest()


def event_line(previous: str, event: bytes, late_after: int = 0) -> bytes:
    """Return the line of an event, given as the JSON that sessiond made of it.

    Args:
        previous: The digest of the line before.
        event: The JSON.
        late_after: Where a higher number was written before, the highest.
    """
    reached = f',"reached":{late_after}'.encode() if late_after else b""
    return b'{"previous":"' + previous.encode() + b'",' + event_part(event) + reached + b"}\n"


def event_part(event: bytes) -> bytes:
    """Return what an event's line has in it wherever the line stands."""
    return b'"event":' + event


def note_line(line: Line) -> bytes:
    """Return a line that tells of the log itself."""
    return _encoder.encode(line) + b"\n"


def read_line(line: bytes) -> Line:
    """Return what a line says.

    Raises:
        LineError: It has no newline at its end, or is not of the form above.
    """
    if not line.endswith(b"\n"):
        raise LineError("it is torn: it does not end in a newline")
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LineError("it is no line of an audit log") from error
