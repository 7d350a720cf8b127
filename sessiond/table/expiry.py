"""Knows when rows are over, and asks then that they end."""

from collections.abc import Awaitable, Callable, Iterable

from sessiond.clock import Clock
from sessiond.core.changes import Expire
from sessiond.core.errors import StoreError, TableClosed
from sessiond.core.grant import Grant, KnownToken
from sessiond.core.rows import Row, RowsView
from sessiond.core.session import Session
from sessiond.core.ticket import SpentTicket
from sessiond.core.web_login import UsedState
from sessiond.due import DueQueue
from sessiond.table.ends import ends_of

MAX_DUE = 512  # rows looked at in one go when their time is there
RETRY_IN = 1.0  # seconds, when writing failed


class Expiry:
    """Owns the queue of what ends in time. The rows decide whether it really is over."""

    def __init__(self, clock: Clock, ask: Callable[[Expire], Awaitable[object]]) -> None:
        self._due = DueQueue[Expire](clock)
        self._ask = ask

    def note(self, rows: Iterable[Row]) -> None:
        """Look at each of these when it is over."""
        for row in rows:
            match row:
                case Session(until=until) if until is not None:
                    self._due.add(until, Expire(sessions=(row.id,)))
                case Grant():
                    self._due.add(row.lease.expires_at, Expire(grants=(row.id,)))
                case KnownToken(grant=None):
                    self._due.add(row.keep_until, Expire(tokens=(row.hash,)))
                case UsedState():
                    self._due.add(row.keep_until, Expire(states=(row.hash,)))
                case SpentTicket():
                    self._due.add(row.keep_until, Expire(tickets=(row.id,)))
                case _:
                    pass

    def note_all(self, rows: RowsView) -> None:
        """Look at all that a start has found when it is over."""
        self._due.add_all(ends_of(rows))

    async def watch(self) -> None:
        """Ask, as long as the table is there."""
        while True:
            due = await self._due.take(MAX_DUE)
            over = Expire(
                sessions=tuple(key for each in due for key in each.sessions),
                grants=tuple(key for each in due for key in each.grants),
                tokens=tuple(key for each in due for key in each.tokens),
                states=tuple(key for each in due for key in each.states),
                tickets=tuple(key for each in due for key in each.tickets),
            )
            try:
                await self._ask(over)
            except TableClosed:
                return
            except StoreError:
                self._due.add_in(RETRY_IN, over)
