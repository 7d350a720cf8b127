"""A long text in entries that are short, and never a mixture of two texts.

An entry NAME, the head, says which of two slots counts, how many pieces it has, and their digest. A
new text goes into the other slot; then the head is written; then what no longer counts is taken
away. The pieces of a slot are written upwards and taken away downwards, so that a crash leaves no
gap in them, and whoever comes next finds all that is left over.
"""

import hashlib
from typing import Literal, Protocol

import msgspec

MAX_PIECES = 256
_SLOTS: tuple[Literal["a", "b"], Literal["a", "b"]] = ("a", "b")


class Entries(Protocol):
    """Short texts by name. What its methods raise goes through."""

    @property
    def longest(self) -> int:
        """Characters of ASCII that an entry holds."""
        ...

    def get(self, name: str) -> str | None: ...

    def set(self, name: str, text: str) -> None: ...

    def delete(self, name: str) -> None:
        """Take away an entry that is there."""
        ...


class NotHeldError(Exception):
    """The entries do not hold this text: it is too long, or they give back another."""


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    slot: Literal["a", "b"]
    pieces: int
    digest: str


def load(entries: Entries, name: str) -> str | None:
    """Return the text; None where there is none, or not all of it.

    Twice where it is needed: somebody may be at work, whose text takes the place of what the head
    has just named.
    """
    for _ in range(2):
        head = _head(entries, name)
        text = None if head is None else _whole(entries, name, head)
        if head is None or text is not None:
            return text
    return None


def save(entries: Entries, name: str, text: str) -> None:
    """Put a text in the place of the one before.

    Raises:
        NotHeldError: There is no way to; what was there is still there.
    """
    before = _head(entries, name)
    slot = _SLOTS[before is not None and before.slot == _SLOTS[0]]
    parts = [text[at : at + entries.longest] for at in range(0, len(text), entries.longest)]
    head = _Head(slot, len(parts), _digest(text))
    if len(parts) > MAX_PIECES:
        raise NotHeldError(f"{len(text):,} characters are too many for it")
    for number, part in enumerate(parts):
        entries.set(_piece(name, slot, number), part)
    if _whole(entries, name, head) != text:
        raise NotHeldError("it gives back another text than it was given")
    entries.set(name, msgspec.json.encode(head).decode())
    for each in _SLOTS:
        _trim(entries, name, each, keep=len(parts) if each == slot else 0)


def forget(entries: Entries, name: str) -> None:
    """Take the text away, and whatever a crash has left of others."""
    if entries.get(name) is not None:
        entries.delete(name)
    for slot in _SLOTS:
        _trim(entries, name, slot, keep=0)


def _head(entries: Entries, name: str) -> _Head | None:
    text = entries.get(name)
    if text is None:
        return None
    try:
        head = msgspec.json.decode(text, type=_Head)
    except (msgspec.MsgspecError, ValueError):
        return None
    return head if 0 <= head.pieces <= MAX_PIECES else None


def _whole(entries: Entries, name: str, head: _Head) -> str | None:
    parts: list[str] = []
    for number in range(head.pieces):
        part = entries.get(_piece(name, head.slot, number))
        if part is None:
            return None
        parts.append(part)
    text = "".join(parts)
    return text if _digest(text) == head.digest else None


def _trim(entries: Entries, name: str, slot: str, *, keep: int) -> None:
    end = keep
    while end < MAX_PIECES and entries.get(_piece(name, slot, end)) is not None:
        end += 1
    for number in reversed(range(keep, end)):
        entries.delete(_piece(name, slot, number))


def _piece(name: str, slot: str, number: int) -> str:
    return f"{name}/{slot}/{number}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
