"""What the table needs of whatever keeps its rows and events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sessiond.core.events import Event
from sessiond.core.grant import GrantId
from sessiond.core.rows import Row, SecretRow, Write
from sessiond.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a store holds at start."""

    rows: Sequence[Row]
    sequence: int  # the last event's, also when that event is no longer kept


class Store(Protocol):
    """Keeps rows and events. Only the table task calls `commit`, one call at a time."""

    async def load(self) -> Loaded:
        """Return everything that is kept."""
        ...

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        """Make writes and events durable, all or nothing.

        Raises:
            StoreError: Nothing of it is kept.
        """
        ...

    async def refresh_token(self, grant: GrantId) -> Secret | None:
        """Return the refresh token that was last put with a grant; None: it cannot be had.

        It stays where the grant is dropped to be given back, until that is dropped once more.

        Raises:
            StoreError: It could not be read.
        """
        ...

    async def secret(self, row: SecretRow) -> Secret | None:
        """Return the secret that was last put with a row of this key; None: it cannot be had.

        Raises:
            StoreError: It could not be read.
        """
        ...

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        """Return kept events in order, beginning after a sequence number."""
        ...

    async def forget_events(self, *, before: datetime, up_to: int) -> None:
        """Drop the events of before a time, and those up to a sequence number."""
        ...
