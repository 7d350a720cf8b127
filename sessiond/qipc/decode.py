"""From the payload of a message to a value, trusting nothing of it.

The layout is that of code.kx.com/q/kb/serialization; the functions which that page leaves out are
read as KX's own javakdb does. Whatever the bytes are, the outcome is a value or a ProtocolError,
which names the damage and shows none of the bytes.
"""

import struct
from collections.abc import Callable
from functools import partial
from typing import Final, cast
from uuid import UUID, SafeUUID

from sessiond.core.errors import ProtocolError
from sessiond.qipc.payload import PayloadReader
from sessiond.qipc.values import (
    Atom,
    Dictionary,
    Function,
    Lambda,
    List,
    QError,
    QType,
    Scalar,
    Table,
    Value,
    Vector,
    count,
)
from sessiond.qipc.wire import COMPOUNDS, DERIVED, NUMBERS, PRIMITIVES, ByteOrder, atom_code

MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 2_000_000

# What is bounded is the time, about 0.1 microseconds for each item: that is what a number in a
# vector takes. Other things take as long as so many of them.
_SYMBOL: Final = 4
_GUID: Final = 5
_VALUE: Final = 40  # an atom; vectors take twice as long, lists and so on three times

_NO_FLAG: Final = "a boolean is neither 0 nor 1"

_GUID_SIZE: Final = 16  # bytes, in the order in which a guid is written
_HALVES: Final = struct.Struct(">QQ")
# What UUID's __init__ and __setstate__ do through object.__setattr__, since it is immutable.
_set_number: Final = vars(UUID)["int"].__set__
_set_safety: Final = vars(UUID)["is_safe"].__set__
_UNKNOWN: Final = SafeUUID.unknown
_MIN_VALUE_SIZE: Final = 2  # bytes; the null symbol is one


def decode(
    payload: bytes,
    *,
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
    order: ByteOrder = ByteOrder.LITTLE,
) -> Value | QError:
    """Return the one value that a payload is.

    Args:
        payload: A message without its header.
        max_depth: How many lists, dictionaries, tables and functions may lie in one another; keep
            it below 100, since each costs Python frames.
        max_items: How many items of vectors there may be in all; it bounds the time to about
            0.1 microseconds for each. Bytes and chars are free, a symbol counts 4 and one more for
            each 4 bytes, a guid 5, an atom 40, a vector itself 80, what holds values 120, and a
            table 240.
        order: The sender's, which the header of the message tells.

    Raises:
        ProtocolError: The payload is damaged, incomplete, too deep or too large, or goes on after
            its end.
    """
    reader = PayloadReader(payload, max_items, order)
    value: Value | QError
    if payload.startswith(_ERROR):
        reader.take(len(_ERROR))
        value = QError(reader.symbol())
    else:
        value = _value(reader, max_depth)
    if reader.bytes_left:
        raise ProtocolError("bytes after the end of the value")
    return value


def _value(reader: PayloadReader, depth: int) -> Value:
    """Return the next value, with at most `depth` levels in it."""
    code = reader.byte()
    if (atom := _ATOMS.get(code)) is not None:
        reader.spend(_VALUE)
        return atom(reader)
    if (vector := _VECTORS.get(code)) is not None:
        reader.spend(2 * _VALUE)
        return vector(reader)
    if (nested := _NESTED.get(code)) is None:
        raise ProtocolError("unknown type")
    reader.spend(3 * _VALUE)
    if depth < 1:
        raise ProtocolError("the value is nested too deep")
    return nested(reader, depth - 1)


# Atoms


def _boolean(reader: PayloadReader) -> Atom:
    octet = reader.byte()
    if octet > 1:
        raise ProtocolError(_NO_FLAG)
    return Atom(QType.BOOLEAN, octet == 1)


def _guid(reader: PayloadReader) -> Atom:
    return Atom(QType.GUID, _uuid(int.from_bytes(reader.take(_GUID_SIZE), "big")))


def _byte(reader: PayloadReader) -> Atom:
    return Atom(QType.BYTE, reader.byte())


def _char(reader: PayloadReader) -> Atom:
    return Atom(QType.CHAR, reader.take(1))


def _symbol(reader: PayloadReader) -> Atom:
    return Atom(QType.SYMBOL, reader.symbol())


def _number(kind: QType, reader: PayloadReader) -> Atom:
    layout = reader.layouts[kind]
    return Atom(kind, layout.unpack(reader.take(layout.size))[0])


# Vectors


def _booleans(reader: PayloadReader) -> Vector:
    attribute, length = _vector_head(reader, 1)
    return Vector(QType.BOOLEAN, _flags(reader.take(length)), attribute)


def _guids(reader: PayloadReader) -> Vector:
    attribute, length = _vector_head(reader, _GUID_SIZE, cost=_GUID)
    halves = _HALVES.iter_unpack(reader.take(length * _GUID_SIZE))
    return Vector(QType.GUID, tuple([_uuid(high << 64 | low) for high, low in halves]), attribute)


def _uuid(number: int) -> UUID:
    """Return UUID(int=number) in a third of the time: 10,000 of them come with a `reconcile`."""
    made = object.__new__(UUID)
    _set_number(made, number)
    _set_safety(made, _UNKNOWN)
    return made


def _octets(kind: QType, reader: PayloadReader) -> Vector:
    attribute = reader.attribute()
    return Vector(kind, reader.take(reader.length(1)), attribute)


def _symbols(reader: PayloadReader) -> Vector:
    attribute, length = _vector_head(reader, 1, cost=_SYMBOL)
    return Vector(QType.SYMBOL, reader.symbols(length), attribute)


def _numbers(kind: QType, reader: PayloadReader) -> Vector:
    layout = reader.layouts[kind]
    attribute, length = _vector_head(reader, layout.size)
    form = f"{reader.order}{length}{layout.format[1:]}"
    items = struct.unpack(form, reader.take(length * layout.size))
    return Vector(kind, items, attribute)


def _vector_head(reader: PayloadReader, item_size: int, *, cost: int = 1) -> tuple[int, int]:
    """Return the attribute and the length of a vector of items that cost something."""
    attribute, length = reader.attribute(), reader.length(item_size)
    reader.spend(length * cost)
    return attribute, length


def _flags(octets: bytes) -> tuple[Scalar, ...]:
    if octets.strip(b"\0\1"):
        raise ProtocolError(_NO_FLAG)
    return tuple(map(bool, octets))


# What holds other values


def _list(reader: PayloadReader, depth: int) -> List:
    attribute = reader.attribute()
    return List(_values(reader, depth), attribute)


def _dictionary(reader: PayloadReader, depth: int, *, is_sorted: bool = False) -> Dictionary:
    keys, values = _value(reader, depth), _value(reader, depth)
    length = count(keys)
    if isinstance(keys, Dictionary) or length is None or length != count(values):
        raise ProtocolError("a dictionary needs a list of keys and as many values")
    return Dictionary(keys, values, is_sorted)


def _table(reader: PayloadReader, depth: int) -> Table:
    reader.spend(3 * _VALUE)
    attribute = reader.attribute()
    _expect(reader, QType.DICTIONARY, "a table needs a dictionary of columns")
    _expect(reader, QType.SYMBOL, "the columns of a table need symbols for names")
    names = cast("tuple[str, ...]", _symbols(reader).items)
    _expect(reader, QType.LIST, "a table needs a list of columns")
    columns = _list(reader, depth).items  # their list is part of the table, no level of its own
    lengths = {count(column) for column in columns}
    if len(columns) != len(names) or None in lengths or len(lengths) > 1:
        raise ProtocolError("a table needs columns of one length, one for each name")
    return Table(names, columns, attribute)


def _lambda(reader: PayloadReader, _: int) -> Lambda:
    context = reader.symbol()
    _expect(reader, QType.CHAR, "a function needs a string for its source")
    return Lambda(context, cast("bytes", _octets(QType.CHAR, reader).items))


def _expect(reader: PayloadReader, code: QType, otherwise: str) -> None:
    if reader.byte() != code:
        raise ProtocolError(otherwise)


def _primitive(kind: QType, reader: PayloadReader, _: int) -> Function:
    return Function(kind, number=reader.byte())


def _compound(kind: QType, reader: PayloadReader, depth: int) -> Function:
    return Function(kind, parts=_values(reader, depth))


def _derived(kind: QType, reader: PayloadReader, depth: int) -> Function:
    return Function(kind, parts=(_value(reader, depth),))


def _values(reader: PayloadReader, depth: int) -> tuple[Value, ...]:
    return tuple([_value(reader, depth) for _ in range(reader.length(_MIN_VALUE_SIZE))])


# By the byte that announces a value

_ERROR: Final = bytes([atom_code(QType.ERROR)])
_ATOMS: Final[dict[int, Callable[[PayloadReader], Atom]]] = {
    atom_code(QType.BOOLEAN): _boolean,
    atom_code(QType.GUID): _guid,
    atom_code(QType.BYTE): _byte,
    atom_code(QType.CHAR): _char,
    atom_code(QType.SYMBOL): _symbol,
    **{atom_code(kind): partial(_number, kind) for kind in NUMBERS},
}
_VECTORS: Final[dict[int, Callable[[PayloadReader], Vector]]] = {
    QType.BOOLEAN: _booleans,
    QType.GUID: _guids,
    QType.BYTE: partial(_octets, QType.BYTE),
    QType.CHAR: partial(_octets, QType.CHAR),
    QType.SYMBOL: _symbols,
    **{kind: partial(_numbers, kind) for kind in NUMBERS},
}
_NESTED: Final[dict[int, Callable[[PayloadReader, int], Value]]] = {
    QType.LIST: _list,
    QType.TABLE: _table,
    QType.DICTIONARY: _dictionary,
    QType.SORTED_DICTIONARY: partial(_dictionary, is_sorted=True),
    QType.LAMBDA: _lambda,
    **{kind: partial(_primitive, kind) for kind in PRIMITIVES},
    **{kind: partial(_compound, kind) for kind in COMPOUNDS},
    **{kind: partial(_derived, kind) for kind in DERIVED},
}
