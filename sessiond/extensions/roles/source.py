"""One role source as the daemon asks it: once for all who wait, bounded in time, kept a while."""

import inspect
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

import anyio
import anyio.to_thread
import structlog

from sessiond.api import RoleSource
from sessiond.clock import Clock
from sessiond.config import RoleSourceConfig
from sessiond.core.errors import ConfigError, IssuerThrottled, IssuerUnavailable, TokenRejected
from sessiond.core.granted import Granted
from sessiond.core.principal import Principal
from sessiond.extensions import entry_points
from sessiond.extensions.plugin_guard import answering, built, stopped
from sessiond.extensions.plugin_results import checked_granted
from sessiond.gate import Breaker

THREADS = 16  # calls of a plain `roles` at a time
MOST_KEPT = 100_000  # answers

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source has said of one user, and until when that is news enough."""

    granted: Granted
    until: float  # monotonic


Outcome = Answer | TokenRejected | IssuerUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How a role source does, for operators."""

    name: str
    plugin: str
    is_sick: bool  # nobody waits for it until a trial call went well
    last_success_at: datetime | None
    last_error: str  # what the daemon made of it, nothing of the answer
    last_error_at: datetime | None


class _Flight:
    """One call under way, for all who wait for it."""

    def __init__(self) -> None:
        self._landed = anyio.Event()
        self._outcome: Outcome = IssuerUnavailable("whoever asked the role source has left")

    def land(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._landed.set()

    async def outcome(self) -> Outcome:
        await self._landed.wait()
        return self._outcome


class AskedSource:
    """A role source with its own breaker: three failures in a row, and nobody waits for it.

    Then one call at a time, a login's or a trial's, finds out when it is well.
    """

    def __init__(
        self,
        source: RoleSource,
        *,
        name: str,
        plugin: str,
        deadline: float,
        cache: float,
        clock: Clock,
    ) -> None:
        """Ask nothing yet.

        Args:
            source: The plugin's.
            name: The configured one, for logs and errors.
            plugin: The entry point's name.
            deadline: Seconds for one call.
            cache: Seconds that an answer is used again, from when it was asked for; 0 = never.
            clock: For the ages of answers.
        """
        self._source = source
        self.name = name
        self._plugin = plugin
        self._deadline = deadline
        self._cache = cache
        self._clock = clock
        self._breaker = Breaker(clock, slow_after=deadline)
        self._kept: OrderedDict[Principal, Answer] = OrderedDict()
        self._flights: dict[Principal, _Flight] = {}
        self._fell_sick = anyio.Event()
        self._is_tried = False  # a trial call is under way
        self._try_at = float("-inf")  # monotonic; when the next one may be
        self._last: Principal | None = None  # whom the last bad call was about
        # Apart, since a call that is late is given up while its thread runs on.
        self._turns = anyio.CapacityLimiter(THREADS)
        self._running = threading.BoundedSemaphore(THREADS)
        self._last_success_at: datetime | None = None
        self._last_error = ""
        self._last_error_at: datetime | None = None

    @property
    def state(self) -> SourceState:
        return SourceState(
            name=self.name,
            plugin=self._plugin,
            is_sick=self._breaker.is_open,
            last_success_at=self._last_success_at,
            last_error=self._last_error,
            last_error_at=self._last_error_at,
        )

    async def answer(self, principal: Principal, *, now: datetime) -> Answer:
        """Return what the source says of a user, at most `cache` seconds old.

        Raises:
            TokenRejected: It wants the user kept out.
            IssuerUnavailable: It did not answer, or is not asked since it is sick.
        """
        kept = self._kept.get(principal)
        if kept is not None and kept.until > self._clock.monotonic():
            return kept
        flight = self._flights.get(principal)
        if flight is not None:
            return _answered(await flight.outcome())
        flight = self._flights[principal] = _Flight()
        outcome: Outcome = IssuerUnavailable("whoever asked the role source has left")
        try:
            outcome = await self._try(principal, now)
        finally:
            del self._flights[principal]
            flight.land(outcome)
        return _answered(outcome)

    async def run(self) -> NoReturn:
        """Make trial calls whenever it is sick, until cancelled."""
        while True:
            await self._fell_sick.wait()
            while self._breaker.is_open:
                await self._clock.sleep(self._breaker.pause)
                await self.probe()

    async def probe(self) -> None:
        """Make the trial call of a sick source, about the user whom it failed last."""
        if self._breaker.is_open and self._last is not None:
            await self._try(self._last, self._clock.now())

    async def stop(self) -> None:
        """Have the plugin let go of what it holds, once no call is under way."""
        for flight in tuple(self._flights.values()):
            await flight.outcome()
        await stopped(self._source, plugin=self.name)

    async def _try(self, principal: Principal, now: datetime) -> Outcome:
        is_trial = self._breaker.is_open
        if is_trial and (self._is_tried or self._clock.monotonic() < self._try_at):
            return IssuerUnavailable(f"role source {self.name!r} is sick, nobody waits for it")
        self._is_tried = is_trial
        call, until = self._breaker.start(), self._clock.monotonic() + self._cache
        outcome: Outcome
        try:
            outcome = Answer(await self._ask(principal, now), until)
        except TokenRejected as rejected:
            outcome = rejected
        except IssuerUnavailable as unavailable:
            outcome = unavailable
        except BaseException:
            self._breaker.forget(call)
            raise
        finally:
            if is_trial:
                self._is_tried = False
        self._breaker.finish(call, ok=not isinstance(outcome, IssuerUnavailable))
        self._note(principal, outcome)
        return outcome

    async def _ask(self, principal: Principal, now: datetime) -> Granted:
        with answering(self.name, "roles", seconds=self._deadline):
            if inspect.iscoroutinefunction(self._source.roles):
                granted = await self._source.roles(principal, now=now)
            else:
                granted = await anyio.to_thread.run_sync(
                    self._in_thread, principal, now, abandon_on_cancel=True, limiter=self._turns
                )
            return checked_granted(granted)

    def _in_thread(self, principal: Principal, now: datetime) -> object:
        if not self._running.acquire(blocking=False):
            raise IssuerUnavailable(f"all {THREADS} threads of the role source hang")
        try:
            return self._source.roles(principal, now=now)
        finally:
            self._running.release()

    def _note(self, principal: Principal, outcome: Outcome) -> None:
        match outcome:
            case Answer() if self._cache > 0:
                self._kept[principal] = outcome
                self._kept.move_to_end(principal)
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            case IssuerUnavailable():
                if isinstance(outcome, IssuerThrottled):
                    self._breaker.hold(outcome.retry_after)
                self._last = principal
                self._last_error, self._last_error_at = str(outcome), self._clock.now()
            case _:
                pass
        if not isinstance(outcome, IssuerUnavailable):
            self._last_success_at = self._clock.now()
        self._tell()

    def _tell(self) -> None:
        is_sick = self._breaker.is_open
        if is_sick:
            self._try_at = self._clock.monotonic() + self._breaker.pause
        if is_sick and not self._fell_sick.is_set():
            log.error("role source is sick", role_source=self.name, error=self._last_error)
            self._fell_sick.set()
        if self._fell_sick.is_set() and not is_sick:
            log.info("role source is well", role_source=self.name)
            self._fell_sick = anyio.Event()


async def asked_source(config: RoleSourceConfig, clock: Clock) -> AskedSource:
    """Return the role source that a table names.

    Raises:
        ConfigError: There is no such plugin, or it refuses its settings.
    """
    where = f"role_source[{config.name}]"
    source = await built(
        entry_points.ROLE_SOURCES,
        config.plugin,
        where=where,
        settings_at=where,
        members=("roles",),
        keywords=config.settings,
    )
    if not callable(source.roles):
        raise ConfigError(f"{where}.plugin: {config.plugin!r} has `roles`, but cannot be asked")
    return AskedSource(
        source,
        name=config.name,
        plugin=config.plugin,
        deadline=config.deadline,
        cache=config.cache,
        clock=clock,
    )


def _answered(outcome: Outcome) -> Answer:
    """Return the answer, or raise a fresh copy of the error: many may wait for one."""
    match outcome:
        case TokenRejected():
            raise TokenRejected(outcome.reason, outcome.detail)
        case IssuerThrottled():
            raise IssuerThrottled(str(outcome), retry_after=outcome.retry_after)
        case IssuerUnavailable():
            raise IssuerUnavailable(str(outcome))
        case Answer():
            return outcome
