"""From a value to the payload of a message, as kdb+ 3.0 and later read it."""

import struct
from typing import Final, assert_never
from uuid import UUID

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
)
from sessiond.qipc.wire import COMPOUNDS, NUMBERS, PRIMITIVES, atom_code

_LENGTH: Final = struct.Struct("<i")
HEAD: Final = struct.Struct("<BBi")  # type, attribute, length


def encode(value: Value | QError) -> bytes:
    """Return the payload that carries a value.

    Raises:
        ValueError: kdb+ has no such value: a number out of its type's range, a symbol with a NUL in
            it, an item that is not of the Python type its q type asks for.
    """
    if isinstance(value, QError):
        return bytes([atom_code(QType.ERROR)]) + encode_symbol(value.text)
    out = bytearray()
    _put(out, value)
    return bytes(out)


def _put(out: bytearray, value: Value) -> None:
    match value:
        case Vector(type=kind, items=items, attribute=attribute):
            out += HEAD.pack(kind, attribute, len(items))
            out += _items(kind, items)
        case Atom(type=kind, value=item):
            out.append(atom_code(kind))
            out += _item(kind, item)
        case List(items=values, attribute=attribute):
            out += HEAD.pack(QType.LIST, attribute, len(values))
            _put_all(out, values)
        case Dictionary(keys=keys, values=values, is_sorted=is_sorted):
            out.append(QType.SORTED_DICTIONARY if is_sorted else QType.DICTIONARY)
            _put_all(out, (keys, values))
        case Table(columns=columns, values=values, attribute=attribute):
            out += bytes([QType.TABLE, attribute])
            _put(out, Dictionary(Vector(QType.SYMBOL, columns), List(values)))
        case Lambda(context=context, source=source):
            out.append(QType.LAMBDA)
            out += encode_symbol(context)
            _put(out, Vector(QType.CHAR, source))
        case Function():
            _put_function(out, value)
        case _:
            assert_never(value)


def _put_function(out: bytearray, function: Function) -> None:
    out.append(function.type)
    if function.type in PRIMITIVES:
        out.append(function.number)
        return
    if function.type in COMPOUNDS:
        out += _LENGTH.pack(len(function.parts))
    _put_all(out, function.parts)


def _put_all(out: bytearray, values: tuple[Value, ...]) -> None:
    for value in values:
        _put(out, value)


def _item(kind: QType, item: Scalar) -> bytes:
    """Return one item as it lies in an atom and in a vector alike."""
    match item:
        case UUID() if kind is QType.GUID:
            return item.int.to_bytes(16, "big")
        case bool() if kind is QType.BOOLEAN:
            return bytes([item])
        case str() if kind is QType.SYMBOL:
            return encode_symbol(item)
        case bytes() if kind is QType.CHAR and len(item) == 1:
            return item
        case int() if kind is QType.BYTE:
            return bytes([item])
        case int() | float() if kind in NUMBERS:
            return _numbers(kind, (item,))
        case _:
            raise ValueError(f"{kind.name} cannot hold this {type(item).__name__}")


def _items(kind: QType, items: tuple[Scalar, ...] | bytes) -> bytes:
    if isinstance(items, bytes) != (kind in (QType.CHAR, QType.BYTE)):
        raise ValueError(f"{kind.name} items are not {type(items).__name__}")
    if isinstance(items, bytes):
        return items
    if kind is QType.SYMBOL:
        return encode_symbols(items)
    if kind in NUMBERS:
        return _numbers(kind, items)
    return b"".join([_item(kind, item) for item in items])


def _numbers(kind: QType, items: tuple[Scalar, ...]) -> bytes:
    try:
        return struct.pack(f"<{len(items)}{NUMBERS[kind].format[1:]}", *items)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"not in the range of {kind.name}") from error


def encode_symbols(items: tuple[Scalar, ...]) -> bytes:
    """Return symbols as they lie in a vector."""
    try:
        octets = "\0".join((*items, "")).encode(errors="surrogateescape")  # type: ignore[arg-type]
    except TypeError:
        octets = b""
    if octets.count(0) != len(items):
        raise ValueError("a symbol is a text without a NUL")
    return octets


def encode_symbol(text: str) -> bytes:
    """Return a symbol as it lies in an atom and in a vector alike."""
    if "\0" in text:
        raise ValueError("a symbol ends at a NUL and can hold none")
    return text.encode(errors="surrogateescape") + b"\0"
