"""From q values to Python: the readers of what one was sent.

q is loose about how a thing arrives. Text comes as a symbol, a string or, of one character, as a
char atom; integers as int or long; an empty list of any type as `()`; and a list of atoms of one
type collapses to a vector. The readers take each of these and raise CallError for anything else.
The error says what `name` must be, never what it was.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from sessiond.core.errors import CallError
from sessiond.core.secret import Secret
from sessiond.qipc.values import NIL, Atom, Dictionary, List, QType, Value, Vector, count

MAX_ARGUMENTS = 8  # as q's own functions: code.kx.com/q/basics/function-notation
MAX_ENTRIES = 1000  # of a dictionary

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_NULLS = {QType.INT: -(2**31), QType.LONG: -(2**63)}
_NULL_INT64 = -(2**63)
_EMPTY = Vector(QType.CHAR, b"")


def text(value: Value, name: str = "value") -> str:
    """Return the text of a symbol, a string, a char atom or `()`; it is valid UTF-8."""
    if isinstance(value, Atom) and value.type is QType.SYMBOL:
        return _symbol_text(cast("str", value.value), name)
    content_bytes = _chars(value)
    if content_bytes is None:
        raise CallError(f"{name} must be a symbol or a string")
    return _utf8(content_bytes, name)


def typed(value: Value, name: str = "value") -> str:
    """Return what somebody typed: a text, in which bytes that are not UTF-8 stand as U+FFFD."""
    if isinstance(value, Atom) and value.type is QType.SYMBOL:
        return cast("str", value.value).encode(errors="surrogateescape").decode(errors="replace")
    content = _chars(value)
    if content is None:
        raise CallError(f"{name} must be a symbol or a string")
    return content.decode(errors="replace")


def texts(value: Value, name: str = "value") -> list[str]:
    """Return the texts of a symbol vector or a list of symbols and strings; a string is no list."""
    if isinstance(value, Vector) and value.type is not QType.SYMBOL:
        raise CallError(f"{name} must be a list of symbols")
    return [text(item, name) for item in _items(value, name, "symbols")]


def password(value: Value, name: str = "password") -> Secret:
    """Return the text of a string, in which bytes that are not UTF-8 are lone surrogates (PEP 383).

    A symbol is refused: q never frees one, and shows it.
    """
    content = _chars(value)
    if content is None:
        raise CallError(f"{name} must be a string")
    return Secret(content.decode(errors="surrogateescape"))


def octets_of(value: Value, name: str = "value") -> bytes:
    """Return the bytes of a byte vector, a byte atom or `()`."""
    if isinstance(value, Vector) and value.type is QType.BYTE:
        return cast("bytes", value.items)
    if isinstance(value, Atom) and value.type is QType.BYTE:
        return bytes([cast("int", value.value)])
    if _is_empty_list(value):
        return b""
    raise CallError(f"{name} must be bytes")


def flag(value: Value, name: str = "value") -> bool:
    """Return a boolean."""
    if isinstance(value, Atom) and value.type is QType.BOOLEAN:
        return cast("bool", value.value)
    raise CallError(f"{name} must be a boolean")


def integer(value: Value, name: str = "value") -> int:
    """Return an int or a long; a null is refused."""
    if isinstance(value, Atom) and (null := _NULLS.get(value.type)) is not None:
        number = cast("int", value.value)
        if number != null:
            return number
    raise CallError(f"{name} must be an int or a long, and not null")


def integers(value: Value, name: str = "value") -> list[int]:
    """Return a list of ints or longs; a null among them is refused."""
    if isinstance(value, Vector):
        if value.type not in _NULLS or _NULLS[value.type] in value.items:
            raise CallError(f"{name} must be ints or longs, and not null")
        return list(cast("tuple[int, ...]", value.items))
    return [integer(item, name) for item in _items(value, name, "ints or longs")]


def guid_of(value: Value, name: str = "value") -> UUID:
    """Return a guid; 0Ng is the one that is all zero."""
    if isinstance(value, Atom) and value.type is QType.GUID:
        return cast("UUID", value.value)
    raise CallError(f"{name} must be a guid")


def guids(value: Value, name: str = "value") -> list[UUID]:
    """Return a list of guids."""
    if isinstance(value, Vector):
        if value.type is not QType.GUID:
            raise CallError(f"{name} must be a list of guids")
        return list(cast("tuple[UUID, ...]", value.items))
    return [guid_of(item, name) for item in _items(value, name, "guids")]


def moment(value: Value, name: str = "value") -> datetime | None:
    """Return a timestamp as aware UTC, rounded down to microseconds; None for 0Np.

    Infinities come out as the years 1707 and 2292, the ends of q's range.
    """
    if isinstance(value, Atom) and value.type is QType.TIMESTAMP:
        nanoseconds = cast("int", value.value)
        if nanoseconds == _NULL_INT64:
            return None
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    raise CallError(f"{name} must be a timestamp")


def span(value: Value, name: str = "value") -> timedelta:
    """Return a timespan, rounded down to microseconds; 0Nn is refused."""
    if isinstance(value, Atom) and value.type is QType.TIMESPAN and value.value != _NULL_INT64:
        return timedelta(microseconds=cast("int", value.value) // 1000)
    raise CallError(f"{name} must be a timespan, and not null")


def mapping(value: Value, name: str = "value") -> dict[str, Value]:
    """Return a dictionary with symbol keys; vectors of values come apart into atoms."""
    if not isinstance(value, Dictionary):
        raise CallError(f"{name} must be a dictionary")
    if isinstance(value.keys, Vector) and value.keys.type is not QType.SYMBOL:
        raise CallError(f"the keys of {name} must be symbols")
    length = count(value.keys)
    if length != count(value.values):
        raise CallError(f"{name} must have each key once, and a value for each")
    if (length or 0) > MAX_ENTRIES:
        raise CallError(f"{name} must have at most {MAX_ENTRIES} keys")
    keys = _names(value.keys, name)
    values = _items(value.values, f"the values of {name}", "values")
    entries = dict(zip(keys, values, strict=True))
    if len(entries) < len(keys):
        raise CallError(f"{name} must have each key once, and a value for each")
    return entries


def is_ping(value: Value) -> bool:
    """Say whether a message asks only for a sign of life: `""` or `(::)`."""
    return value in (NIL, _EMPTY)


def unpack_call(value: Value) -> tuple[str, tuple[Value, ...]]:
    """Return a call's function name and arguments.

    `f, "f", enlist`f and (`f;::) all call f without arguments.
    """
    if isinstance(value, Atom) or (isinstance(value, Vector) and value.type is not QType.SYMBOL):
        parts: tuple[Value, ...] = (value,)
    elif not isinstance(value, List | Vector):
        raise CallError("a call must be a list of a name and arguments")
    elif len(value.items) > 1 + MAX_ARGUMENTS:
        raise CallError(f"a call must have at most {MAX_ARGUMENTS} arguments")
    else:
        parts = _items(value, "a call", "a name and arguments")
    name = text(parts[0], "the name of a call") if parts else ""
    if not name:
        raise CallError("a call must begin with a name")
    arguments = parts[1:]
    return name, () if arguments == (NIL,) else arguments


def _names(keys: Value, name: str) -> tuple[str, ...]:
    """Return the texts of the keys of a dictionary."""
    if isinstance(keys, Vector):
        names = cast("tuple[str, ...]", keys.items)
    else:
        atoms = [
            key for key in _items(keys, f"the keys of {name}", "symbols") if isinstance(key, Atom)
        ]
        if len(atoms) < (count(keys) or 0) or any(key.type is not QType.SYMBOL for key in atoms):
            raise CallError(f"the keys of {name} must be symbols")
        names = tuple(cast("str", key.value) for key in atoms)
    _symbol_text("\0".join(names), f"each key of {name}")  # a NUL is no part of another character
    return names


def _items(value: Value, name: str, of_what: str) -> tuple[Value, ...]:
    """Return the items of a list or vector, each a value of its own."""
    match value:
        case List(items=items):
            return items
        case Vector(type=QType.CHAR, items=bytes() as chars):
            return tuple(Atom(QType.CHAR, chars[at : at + 1]) for at in range(len(chars)))
        case Vector(type=kind, items=items):
            return tuple(Atom(kind, item) for item in items)
        case _:
            raise CallError(f"{name} must be a list of {of_what}")


def _chars(value: Value) -> bytes | None:
    if isinstance(value, Atom | Vector) and value.type is QType.CHAR:
        return cast("bytes", value.items if isinstance(value, Vector) else value.value)
    return b"" if _is_empty_list(value) else None


def _is_empty_list(value: Value) -> bool:
    return isinstance(value, List) and not value.items


def _symbol_text(content: str, name: str) -> str:
    if not content.isascii():
        _utf8(content.encode(errors="surrogateescape"), name)
    return content


def _utf8(content: bytes, name: str) -> str:
    decoded: str | None = None
    with suppress(UnicodeDecodeError):  # which shows the bytes: it must be no error's context
        decoded = content.decode()
    if decoded is None:
        raise CallError(f"{name} must be UTF-8")
    return decoded
