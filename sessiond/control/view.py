"""What the control socket is shown of the daemon."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sessiond.clock import Clock
from sessiond.control.instrumented import InstrumentedStore
from sessiond.core.access import AccessRules
from sessiond.core.claims import ClaimRules
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.eventlog import EventLog
from sessiond.extensions.roles import AskedSource
from sessiond.extensions.subscribers import Subscribers
from sessiond.gate import Breaker, Gate, IssuerRoute
from sessiond.issuers.health import IssuerHealth
from sessiond.kdb.connected import ConnectedProcesses
from sessiond.metrics import Metrics
from sessiond.sources.settings import RunningSource
from sessiond.sources.sources import Sources
from sessiond.system.peer import AllowList
from sessiond.table import Table
from sessiond.tickets.tickets import Tickets
from sessiond.tokenstores.settings import StoresSettings
from sessiond.tokenstores.stores import TokenStores


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerView:
    """One issuer, and the role sources that are asked for its users."""

    route: IssuerRoute
    breaker: Breaker
    health: IssuerHealth
    keys_trouble: Callable[[], str] = lambda: ""  # why its keys were not fetched at last
    roles: Sequence[AskedSource] = ()
    waiting: Callable[[], int] = lambda: 0  # logins that wait for their turn at it
    claims: ClaimRules | None = None  # how they are read; None: as its plugin does
    introspects_as: str = ""  # our client there, where it is asked about each token (RFC 7662)

    @property
    def trouble(self) -> str:
        """Why logins or refreshes at it cannot all go well now; empty: they can."""
        if self.breaker.is_open:
            return self.health.last_error or "it has asked to be left alone"
        return self.health.trouble or self.keys_trouble()


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSettings:
    """What operations go by."""

    issuers: Mapping[str, IssuerView]
    proved: frozenset[str]  # issuers whose tokens count once a refresh has proved them
    deadline: float  # seconds that a login may take
    access: AccessRules = field(default_factory=AccessRules)
    exchangers: AllowList | None = None  # who may exchange tokens for tickets; None: nobody
    stores: StoresSettings = field(default_factory=StoresSettings)


@dataclass(slots=True)
class ConfigurationView:
    """Which configuration is applied, and what became of the newest file."""

    loaded_at: datetime | None = None  # when the one that is applied was read
    generation: int = 1  # one more for each that was applied
    last_error: str = ""  # why the newest file changed nothing; a line for each problem
    last_error_at: datetime | None = None
    needs_restart: Sequence[str] = ()  # changed keys that count from the next start on

    def applied(self, now: datetime, *, needs_restart: Sequence[str]) -> None:
        """Note that a file was applied, so that nothing is wrong any more."""
        self.loaded_at, self.generation = now, self.generation + 1
        self.last_error, self.last_error_at = "", None
        self.needs_restart = needs_restart

    def refused(self, error: str, now: datetime) -> None:
        """Note that a file was wrong, and nothing has changed."""
        self.last_error, self.last_error_at = error, now


class ReloadOutcome(Protocol):
    """What came of the newest file, or would come of it."""

    @property
    def applied(self) -> bool:
        """Whether it counts now."""
        ...

    @property
    def errors(self) -> tuple[str, ...]:
        """Why it is refused, one for each problem; empty: it is good."""
        ...

    @property
    def needs_restart(self) -> tuple[str, ...]:
        """The changed keys that count from the next start on."""
        ...

    @property
    def would_end(self) -> Mapping[str, int]:
        """By issuer, how many live sessions end because it is gone or has changed so."""
        ...

    @property
    def ended(self) -> int:
        """How many live sessions were ended."""
        ...


class Reload(Protocol):
    """Reads the configuration again, one time after the other."""

    async def __call__(self, *, dry_run: bool) -> ReloadOutcome:
        """Return what came of it; `dry_run`: what would, and nothing changes."""
        ...


@dataclass(slots=True, kw_only=True)
class View:
    """The parts that operations look at or ask; one for all of them."""

    instance: UUID
    clock: Clock
    table: Table
    store: InstrumentedStore
    events: EventLog
    connected: ConnectedProcesses
    gate: Gate
    tickets: Tickets
    settings: Callable[[], ViewSettings]  # those of now
    hashed: Callable[[Secret], TokenHash]
    new_id: Callable[[], UUID]
    database: Path
    refused: Callable[[], int]  # connections to q's socket, since the start
    metrics: Metrics = field(default_factory=Metrics)
    failures: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by task, and whose
    subscribers: Subscribers
    stores: TokenStores
    sources: Sources
    ready_at: datetime | None = None  # set when it is
    ready_since: float = 0.0  # the same in monotonic time
    configuration: ConfigurationView = field(default_factory=ConfigurationView)
    reload: Reload | None = None  # set when there is something to reload

    @property
    def issuers(self) -> Mapping[str, IssuerView]:
        """The issuers of now, by their configured names."""
        return self.settings().issuers

    @property
    def sources_now(self) -> Mapping[str, RunningSource]:
        """The data sources of now, by their names."""
        return self.sources.now

    def begin(self) -> None:
        """Note that the daemon is ready."""
        self.ready_at, self.ready_since = self.clock.now(), self.clock.monotonic()
        self.configuration.loaded_at = self.ready_at

    @property
    def uptime(self) -> float:
        """Seconds since the daemon was ready."""
        return 0.0 if self.ready_at is None else self.clock.monotonic() - self.ready_since
