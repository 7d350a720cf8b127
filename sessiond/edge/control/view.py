"""What the control socket is shown of the daemon."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sessiond.clock import Clock
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.edge.control.delivery import Delivery
from sessiond.edge.control.watched import IssuerWatch, WatchedStore, WatchedTable
from sessiond.gate import Breaker, Gate, Realm


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerView:
    """One issuer."""

    realm: Realm
    breaker: Breaker
    watch: IssuerWatch


@dataclass(slots=True, kw_only=True)
class View:
    """The parts that operations look at or ask; one for all of them."""

    instance: UUID
    clock: Clock
    table: WatchedTable
    store: WatchedStore
    delivery: Delivery
    gate: Gate
    issuers: Mapping[str, IssuerView]
    proved: Collection[str]  # issuers whose tokens count once a refresh has proved them
    hashed: Callable[[Secret], TokenHash]
    new_id: Callable[[], UUID]
    deadline: float  # seconds that a login may take
    database: Path
    connections: Callable[[], int]
    refused: Callable[[], int]
    ready_at: datetime | None = None  # set when it is
    ready_since: float = 0.0  # the same in monotonic time

    def begin(self) -> None:
        """Note that the daemon is ready."""
        self.ready_at, self.ready_since = self.clock.now(), self.clock.monotonic()

    @property
    def uptime(self) -> float:
        """Seconds since the daemon was ready."""
        return 0.0 if self.ready_at is None else self.clock.monotonic() - self.ready_since
