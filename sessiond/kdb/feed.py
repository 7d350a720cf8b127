"""What `.u.sub` gives a q process: the events as rows of a table, from now on."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import anyio
import structlog

from sessiond.core.errors import StoreError, TableClosed
from sessiond.core.events import (
    Event,
    Gap,
    LoginRefused,
    OperatorEvent,
    SessionEvent,
    SourceIssued,
)
from sessiond.core.principal import folded
from sessiond.eventlog import EventLog
from sessiond.kdb.calls import TABLE
from sessiond.kdb.tasks import Work
from sessiond.qipc import (
    List,
    MessageKind,
    Table,
    call,
    encode_message,
    symbol,
    symbols,
    table,
    timestamp,
)
from sessiond.qipc.values import QType, Vector

NO_SESSION = UUID(int=0)  # 0Ng
AT_ONCE = 64  # rows in one message, which takes two milliseconds
BEHIND = 4096  # events that wait for a process that does not read; with more it is cut off
PATIENCE = 5.0  # seconds between two looks at how far behind it is

Names = frozenset[str]

log = structlog.get_logger()


class Reader(Protocol):
    """The connection that the rows go out on."""

    label: str  # what logs call the process

    def push(self, *messages: bytes) -> None:
        """Send encoded async messages. Never waits."""
        ...

    async def taken(self) -> None:
        """Return when the socket has taken everything."""
        ...

    def cut(self, why: str = "") -> None:
        """End the connection now, and log why."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Discretion:
    """What one reader may be told."""

    may_listen: Callable[[], bool]  # now
    known: Callable[[Names], Awaitable[Names]]  # which of these folded names belong to somebody
    may_name: Callable[[str], bool]  # whether a process's name may become a symbol


class Feed:
    """One connection's subscription. It reads on only when what it gave was taken."""

    def __init__(self, events: EventLog, discretion: Discretion, reader: Reader) -> None:
        """Make a feed of every event; `follow` begins it."""
        self._events = events
        self._discretion = discretion
        self._reader = reader
        self._users: Names | None = None
        self._place: int | None = None

    def follow(self, users: Names | None, begin: Callable[[Work], object]) -> None:
        """Give rows of these users (folded names; None = of all) from now on, and no others."""
        self._users = users
        if self._place is None:
            self._place = self._events.sequence
            begin(self._run)

    async def _run(self) -> None:
        try:
            while await self._give():
                pass
            log.warning("subscription ended: not allowed any more", process=self._reader.label)
            self._place = None
        except TableClosed:
            pass  # the daemon is stopping
        except StoreError as error:
            self._reader.cut(f"its events cannot be read: {error}")

    async def _give(self) -> bool:
        """Give the next rows; return False when the reader may have none any more."""
        place = self._place or 0
        await self._events.wait_beyond(place)
        if not self._discretion.may_listen():
            return False
        events, self._place = await self._events.read(place, limit=AT_ONCE)
        typed = frozenset(folded(each.user) for each in events if isinstance(each, LoginRefused))
        known = await self._discretion.known(typed) if typed else typed
        wanted = [each for each in events if self._is_wanted(each, known)]
        if wanted:
            given = rows(wanted, known, self._discretion.may_name)
            upd = call("upd", symbol(TABLE), given)
            self._reader.push(encode_message(MessageKind.ASYNC, upd))
        await self._taken()
        return True

    def _is_wanted(self, event: Event, known: Names) -> bool:
        if self._users is None or isinstance(event, Gap):
            return True
        return folded(name_of(event, known)) in self._users

    async def _taken(self) -> None:
        """Wait until the process has read what it was given, for as long as little else waits."""
        while True:
            with anyio.move_on_after(PATIENCE) as time:
                await self._reader.taken()
            if not time.cancelled_caught:
                return
            behind = self._events.sequence - (self._place or 0)
            if behind > BEHIND:
                self._reader.cut(f"{behind} events behind")


def name_of(event: Event, known: Names) -> str:
    """Return whose event it is, as a name that may become a symbol; empty when there is none.

    The name of a refused login was typed by somebody who proved nothing, and q never frees a
    symbol. So it is given only when it belongs to somebody, and folded: a name has many spellings.
    """
    match event:
        case LoginRefused(user=user):
            return folded(user) if folded(user) in known else ""
        case _:
            return event.user


def rows(
    events: Sequence[Event],
    known: Names = frozenset(),
    may_name: Callable[[str], bool] = lambda _: True,
) -> Table:
    """Return events as rows.

    Args:
        events: What happened.
        known: The folded names that belong to somebody.
        may_name: Whether a process's name may become a symbol; it is empty otherwise.
    """
    sessions = [each.session or NO_SESSION for each in events]
    return table(
        {
            "time": _timestamps([each.at for each in events]),
            "sym": symbols(name_of(each, known) for each in events),
            "event": symbols(each.kind for each in events),
            "session": Vector(QType.GUID, tuple(sessions)),
            "handle": Vector(QType.INT, tuple(each.handle for each in events)),
            "process": symbols(_process(each, may_name) for each in events),
            "issuer": symbols(each.issuer for each in events),
            "roles": List(tuple(symbols(_roles(each)) for each in events)),
            "expires": _timestamps([_expires_at(each) for each in events]),
            "reason": symbols(_reason(each) for each in events),
            "sequence": Vector(QType.LONG, tuple(each.sequence for each in events)),
        }
    )


def _process(event: Event, may_name: Callable[[str], bool]) -> str:
    name = event.process.name if event.process else ""
    return name if may_name(name) else ""


def _roles(event: Event) -> tuple[str, ...]:
    return event.roles if isinstance(event, SessionEvent) else ()


def _expires_at(event: Event) -> datetime | None:
    return event.expires_at if isinstance(event, SessionEvent) else None


def _reason(event: Event) -> str:
    """Return a reason that is one of few; what an operator wrote is no symbol either.

    Of a token for a data source it is the source.
    """
    if isinstance(event, SourceIssued):
        return event.source
    return "" if isinstance(event, Gap | OperatorEvent) else event.reason


def _timestamps(moments: Sequence[datetime | None]) -> Vector:
    return Vector(QType.TIMESTAMP, tuple(timestamp(moment).value for moment in moments))
