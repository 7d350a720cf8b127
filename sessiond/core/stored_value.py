"""Values that programs keep here: each under a context and a name, sealed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

MAX_VALUES = 64  # of one context


class StoredContext(Struct, frozen=True, gc=False):
    """Whose a context is. It goes with its last value."""

    context: str
    owner: int  # uid of who wrote it first
    made_at: datetime


class StoredValue(Struct, frozen=True, gc=False):
    """One value; what it is, is sealed beside this."""

    context: str
    name: str
    size: int  # bytes; each is a character of the secret, which has the value as Latin-1
    written_at: datetime


class Epoch(Struct, frozen=True, gc=False):
    """A counter that outlives the daemon: what had an earlier number is over."""

    name: str
    number: int  # from 1


class WriteAnswer(StrEnum):
    """What came of writing a value."""

    WRITTEN = "written"
    NOTOWNER = "notowner"  # the context is another user's
    FULL = "full"  # as many contexts as are taken, or MAX_VALUES in this one


@dataclass(frozen=True, slots=True)
class NotOwner:
    """The context is another user's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextValues:
    """A context with all its values."""

    context: StoredContext
    values: tuple[StoredValue, ...]  # by their names
