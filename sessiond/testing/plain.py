"""q's values in Python's terms, for tests to compare."""

from datetime import datetime
from typing import Any

from sessiond.qipc import (
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    mapping,
    moment,
    texts,
)


def plain(value: Value) -> Any:
    """Return a value as text, a number, a UUID, or a list or dictionary of them.

    A timestamp is a number, see `instant`.
    """
    match value:
        case Atom():
            return value.value
        case Vector(items=bytes() as content):
            return content.decode()
        case Vector():
            return list(value.items)
        case List():
            return [plain(item) for item in value.items]
        case Dictionary():
            return dict(zip(texts(value.keys), plain(value.values), strict=True))
        case _:
            return value


def plain_dict(value: Value) -> dict[str, Any]:
    """Return a dictionary with symbol keys."""
    return {name: plain(entry) for name, entry in mapping(value).items()}


def plain_rows(table: Value) -> list[dict[str, Any]]:
    """Return a table's rows, a dictionary each."""
    if not isinstance(table, Table):
        raise TypeError(f"no table but {table!r}")
    rows = zip(*map(plain, table.values), strict=True)
    return [dict(zip(table.columns, row, strict=True)) for row in rows]


def instant(nanoseconds: int) -> datetime | None:
    """Return a timestamp, which kdb+ counts from 2000, as aware UTC; None for 0Np."""
    return moment(Atom(QType.TIMESTAMP, nanoseconds))
