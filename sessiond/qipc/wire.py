"""What encoding and decoding share: which types are laid out alike (k.h of KxSystems/kdb)."""

from enum import StrEnum
from struct import Struct
from typing import Final

from sessiond.qipc.values import QType


class ByteOrder(StrEnum):
    """How a sender lays numbers out; in `struct`'s letters."""

    LITTLE = "<"
    BIG = ">"


# One item each, little-endian. Booleans, bytes, chars, guids and symbols have their own ways.
NUMBERS: Final = {
    QType.SHORT: Struct("<h"),
    QType.INT: Struct("<i"),
    QType.LONG: Struct("<q"),
    QType.REAL: Struct("<f"),
    QType.FLOAT: Struct("<d"),
    QType.TIMESTAMP: Struct("<q"),
    QType.MONTH: Struct("<i"),
    QType.DATE: Struct("<i"),
    QType.DATETIME: Struct("<d"),
    QType.TIMESPAN: Struct("<q"),
    QType.MINUTE: Struct("<i"),
    QType.SECOND: Struct("<i"),
    QType.TIME: Struct("<i"),
}
BY_ORDER: Final = {
    ByteOrder.LITTLE: NUMBERS,
    ByteOrder.BIG: {kind: Struct(f">{each.format[1:]}") for kind, each in NUMBERS.items()},
}
PRIMITIVES: Final = (QType.UNARY, QType.OPERATOR, QType.ITERATOR)
COMPOUNDS: Final = (QType.PROJECTION, QType.COMPOSITION)
DERIVED: Final = tuple(QType(code) for code in range(QType.EACH, QType.DYNAMIC + 1))


def atom_code(kind: QType) -> int:
    """Return the byte that announces an atom of this type: the type negated."""
    return 256 - kind
