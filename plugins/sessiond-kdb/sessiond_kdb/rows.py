"""Events as the columns of a table, typed as kdb+ stores them.

time      timestamp, or timespan since midnight UTC
sym       symbol: the user; null where nobody has proved to be one, or an order covers none
event     symbol: session.opened, login.refused, ...
session   guid
handle    int
process   symbol: its name
issuer    symbol
roles     a symbol vector in each row
expires   timestamp
reason    symbol; null where an operator has written it
sequence  long
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sessiond.api import Event, LoginRefused, SessionEvent, SourceIssued
from sessiond.qipc import Atom, List, QType, Value, Vector, symbols, timespan, timestamp
from sessiond_kdb.settings import Time

_NO_SESSION: Final = UUID(int=0)


def columns(
    events: Sequence[Event], time: Time, process: Callable[[Event], str] | None = None
) -> List:
    """Return the columns of so many rows.

    They are time, sym, event, session, handle, process, issuer, roles, expires, reason, sequence.

    Args:
        events: What happened.
        time: The type of the first column.
        process: The name that an event's process has there; None: its own.
    """
    values: list[Value] = [
        _symbols(events, _user),
        _symbols(events, lambda event: event.kind),
        Vector(QType.GUID, tuple(event.session or _NO_SESSION for event in events)),
        Vector(QType.INT, tuple(event.handle for event in events)),
        _symbols(events, process or _process),
        _symbols(events, lambda event: event.issuer),
        List(tuple(symbols(_plain(role) for role in _roles(event)) for event in events)),
        _vector(QType.TIMESTAMP, [_expires(event) for event in events]),
        _symbols(events, _reason),
        Vector(QType.LONG, tuple(event.sequence for event in events)),
    ]
    return List((*_time(events, time), *values))


def _time(events: Sequence[Event], kind: Time) -> list[Value]:
    match kind:
        case "timestamp":
            return [_vector(QType.TIMESTAMP, [timestamp(event.at) for event in events])]
        case "timespan":
            return [_vector(QType.TIMESPAN, [_since_midnight(event) for event in events])]
        case "none":
            return []


def _since_midnight(event: Event) -> Atom:
    at = event.at
    return timespan(
        timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
    )


def _user(event: Event) -> str:
    """Return the verified user. Who was refused is whatever anybody typed: null instead.

    q never frees a symbol, so whoever may knock could fill the tickerplant's memory, and that of
    each of its subscribers.
    """
    return "" if isinstance(event, LoginRefused) else event.user


def _process(event: Event) -> str:
    return event.process.name if event.process else ""


def _roles(event: Event) -> tuple[str, ...]:
    return event.roles if isinstance(event, SessionEvent) else ()


def _expires(event: Event) -> Atom:
    return timestamp(event.expires_at if isinstance(event, SessionEvent) else None)


def _reason(event: Event) -> str:
    """Return one of the few reasons that there are; free words are no symbol, nor is a gap's."""
    if isinstance(event, SourceIssued):
        return event.source
    return event.reason if isinstance(event, SessionEvent | LoginRefused) else ""


def _symbols(events: Sequence[Event], text_of: Callable[[Event], str]) -> Vector:
    return symbols(_plain(text_of(event)) for event in events)


def _plain(text: str) -> str:
    """Return text that a symbol can hold: a NUL would end it."""
    return text.replace("\0", "")


def _vector(kind: QType, atoms: Sequence[Atom]) -> Vector:
    return Vector(kind, tuple(atom.value for atom in atoms))
