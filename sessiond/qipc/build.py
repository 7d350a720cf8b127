"""From Python to q values: the constructors of what one sends."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sessiond.qipc.values import NIL, Atom, Dictionary, List, QType, Table, Value, Vector, count

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_A_DAY = 86_400  # seconds
_NULL_INT32 = -(2**31)
_NULL_INT64 = -(2**63)
_INFINITE_INT64 = 2**63 - 1

NULL_SYMBOL = Atom(QType.SYMBOL, "")
NULL_GUID = Atom(QType.GUID, UUID(int=0))
NULL_INT = Atom(QType.INT, _NULL_INT32)
NULL_LONG = Atom(QType.LONG, _NULL_INT64)
NULL_TIMESTAMP = Atom(QType.TIMESTAMP, _NULL_INT64)
NULL_TIMESPAN = Atom(QType.TIMESPAN, _NULL_INT64)


def boolean(flag: bool) -> Atom:
    return Atom(QType.BOOLEAN, flag)


def int_(number: int) -> Atom:
    """Return a 32-bit int."""
    return Atom(QType.INT, number)


def long(number: int) -> Atom:
    """Return a 64-bit long."""
    return Atom(QType.LONG, number)


def guid(identifier: UUID) -> Atom:
    return Atom(QType.GUID, identifier)


def symbol(text: str) -> Atom:
    """Return a symbol. q never frees one: send only what comes from a small set."""
    return Atom(QType.SYMBOL, text)


def symbols(texts: Iterable[str]) -> Vector:
    return Vector(QType.SYMBOL, tuple(texts))


def string(text: str) -> Vector:
    """Return a char vector, of one character too (q would make that an atom)."""
    return Vector(QType.CHAR, text.encode())


def strings(texts: Mapping[str, str]) -> Dictionary:
    """Return a dictionary of strings; its values are a general list, of none too."""
    return Dictionary(symbols(texts), List(tuple(string(text) for text in texts.values())))


def octets(content: bytes) -> Vector:
    """Return a byte vector."""
    return Vector(QType.BYTE, content)


def timestamp(moment: datetime | None) -> Atom:
    """Return an aware datetime as a timestamp: 0Np for None, 0Wp beyond q's range (2292).

    Raises:
        ValueError: The datetime is naive.
    """
    return Atom(QType.TIMESTAMP, since_2000(moment))


def timespan(span: timedelta) -> Atom:
    """Return a timedelta as a timespan: 0Wn beyond q's range (292 years)."""
    return Atom(QType.TIMESPAN, _nanoseconds(span))


def list_(*items: Value) -> List | Vector:
    """Return the items as q would hold them: atoms of one type collapse to a vector."""
    first, atoms = items[0] if items else NIL, [item for item in items if isinstance(item, Atom)]
    if not isinstance(first, Atom) or len(atoms) < len(items):
        return List(items)
    if any(atom.type is not first.type for atom in atoms):
        return List(items)
    plain = tuple(atom.value for atom in atoms)
    match first.type:
        case QType.CHAR:
            return Vector(QType.CHAR, b"".join(c for c in plain if isinstance(c, bytes)))
        case QType.BYTE:
            return Vector(QType.BYTE, bytes(b for b in plain if isinstance(b, int)))
        case _:
            return Vector(first.type, plain)


def dictionary(entries: Mapping[str, Value]) -> Dictionary:
    """Return a dictionary with symbol keys; its values collapse as in `list_`."""
    return Dictionary(symbols(entries), list_(*entries.values()))


def table(columns: Mapping[str, Value]) -> Table:
    """Return a table.

    Raises:
        ValueError: There is no column, one is no list, or their lengths differ.
    """
    lengths = {count(column) for column in columns.values()}
    if None in lengths or len(lengths) != 1:
        raise ValueError("a table needs columns, all lists of one length")
    return Table(tuple(columns), tuple(columns.values()))


def call(name: str, *arguments: Value) -> List | Vector:
    """Return a call as q sends it: (`name;arg;...), without arguments (`name;::)."""
    return list_(symbol(name), *(arguments or (NIL,)))


def since_2000(moment: datetime | None) -> int:
    """Return what a timestamp holds: see `timestamp`."""
    if moment is None:
        return _NULL_INT64
    if moment.tzinfo is None:
        raise ValueError("a timestamp needs an aware datetime")
    return _nanoseconds(moment - _EPOCH)


def _nanoseconds(span: timedelta) -> int:
    exact = (span.days * _A_DAY + span.seconds) * 10**9 + span.microseconds * 1000
    if -_INFINITE_INT64 <= exact <= _INFINITE_INT64:
        return exact
    return _INFINITE_INT64 if exact > 0 else -_INFINITE_INT64
