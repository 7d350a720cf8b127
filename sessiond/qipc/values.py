"""Every value kdb+ IPC can carry, exact, typed and frozen.

Numbers and times stay as they are on the wire, nulls and infinities included. No `repr` here shows
what a value holds: it may hold a password, and what has a `repr` ends in a log some day.
"""

from enum import IntEnum
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct


class QType(IntEnum):
    """kdb+'s type numbers (code.kx.com/q/basics/datatypes); an atom's is sent negated."""

    LIST = 0
    BOOLEAN = 1
    GUID = 2
    BYTE = 4
    SHORT = 5
    INT = 6
    LONG = 7
    REAL = 8
    FLOAT = 9
    CHAR = 10
    SYMBOL = 11
    TIMESTAMP = 12  # nanoseconds since 2000-01-01, UTC
    MONTH = 13  # months since 2000-01
    DATE = 14  # days since 2000-01-01
    DATETIME = 15  # days since 2000-01-01, as a float
    TIMESPAN = 16  # nanoseconds
    MINUTE = 17
    SECOND = 18
    TIME = 19  # milliseconds
    TABLE = 98
    DICTIONARY = 99
    LAMBDA = 100
    UNARY = 101  # unary primitives; number 0 is the identity `::`
    OPERATOR = 102
    ITERATOR = 103
    PROJECTION = 104
    COMPOSITION = 105
    EACH = 106  # 106 to 111 are what an iterator derives
    OVER = 107
    SCAN = 108
    EACH_PRIOR = 109
    EACH_RIGHT = 110
    EACH_LEFT = 111
    DYNAMIC = 112  # a function loaded from a shared library
    SORTED_DICTIONARY = 127
    ERROR = 128


Scalar: TypeAlias = bool | int | float | bytes | str | UUID


class Atom(Struct, frozen=True, gc=False):
    """One item. Its Python type follows from its q type:

    bool for BOOLEAN, UUID for GUID, one byte of `bytes` for CHAR, str for SYMBOL, float for REAL,
    FLOAT and DATETIME, int for all others. In a str, bytes that are not UTF-8 are kept as lone
    surrogates (PEP 383).
    """

    type: QType
    value: Scalar

    def __repr__(self) -> str:
        return f"Atom(type={self.type!r})"


class Vector(Struct, frozen=True, gc=False):
    """Items of one type: `bytes` for CHAR and BYTE, else a tuple of what an Atom would hold."""

    type: QType
    items: tuple[Scalar, ...] | bytes
    attribute: int = 0  # 1 to 4: `s#, `u#, `p#, `g#

    def __repr__(self) -> str:
        return f"Vector(type={self.type!r}, attribute={self.attribute!r})"


class List(Struct, frozen=True, gc=False):
    """A general list: items of any type."""

    items: tuple["Value", ...]
    attribute: int = 0


class Dictionary(Struct, frozen=True, gc=False):
    """Keys and as many values. Two tables make it a keyed table."""

    keys: "Value"
    values: "Value"
    is_sorted: bool = False  # the whole has `s#


class Table(Struct, frozen=True, gc=False):
    """Named columns of one length."""

    columns: tuple[str, ...]
    values: tuple["Value", ...]
    attribute: int = 0


class Lambda(Struct, frozen=True, gc=False):
    """A function as its source text; the context is its namespace without the dot, "" for root."""

    context: str
    source: bytes

    def __repr__(self) -> str:
        return f"Lambda(context={self.context!r})"


class Function(Struct, frozen=True, gc=False):
    """A function of type UNARY to DYNAMIC, carried along but never run.

    UNARY, OPERATOR and ITERATOR are a number in kdb+'s table of primitives; PROJECTION and
    COMPOSITION have any number of parts, the others exactly one: what they derive from.
    """

    type: QType
    number: int = 0
    parts: tuple["Value", ...] = ()


class QError(Struct, frozen=True, gc=False):
    """A q error, `'text`. It stands alone as a response, never inside a value."""

    text: str


Value: TypeAlias = Atom | Vector | List | Dictionary | Table | Lambda | Function

NIL = Function(QType.UNARY)  # the identity `::`, q's nothing


def count(value: Value) -> int | None:
    """Return how many items a value has, or None for what is no list, dictionary or table."""
    match value:
        case Vector() | List():
            return len(value.items)
        case Dictionary():
            return count(value.keys)
        case Table():
            return count(value.values[0]) if value.values else 0
        case _:
            return None
