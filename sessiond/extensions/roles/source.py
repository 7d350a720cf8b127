"""One role source as the daemon asks it: once for all who wait, bounded in time, kept a while."""

import inspect
import threading
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from sessiond.api import RoleSource
from sessiond.clock import Clock
from sessiond.config import RoleSourceConfig
from sessiond.containment import Containment
from sessiond.core.errors import (
    ConfigError,
    IssuerUnavailable,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.granted import Granted
from sessiond.core.principal import Principal
from sessiond.extensions import entry_points
from sessiond.extensions.plugin_guard import answering, built, one_line, stopped
from sessiond.extensions.plugin_results import checked_granted
from sessiond.extensions.roles.known import Answer, KnownAnswers
from sessiond.gate import AskOnce, Breaker
from sessiond.log.redaction import harmless

THREADS = 16  # calls of a plain `roles` at a time
EARLY = 0.005  # seconds by which a loop may end a call before its time

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How a role source does, for operators."""

    name: str
    plugin: str
    is_open: bool  # its breaker is: nobody waits until a trial call is answered
    last_success_at: datetime | None
    last_error: str  # what the daemon made of it, nothing of the answer
    last_error_at: datetime | None
    stood_in: int  # answers from before that stood in while it was away
    last_stood_in_at: datetime | None


class AskedSource:
    """A role source with its own breaker: three failures in a row, and nobody waits for it.

    Quick ones count only once a trial call has failed too, which is about another user where it
    can be: what users can write of themselves, in a directory say, may be why the source failed.
    Trial calls also find out when it answers again.
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
        containment: Containment,
        stale: float = 0.0,
        absent: str = "",
    ) -> None:
        """Ask nothing yet, until `begin`.

        Args:
            source: The plugin's.
            name: The configured one, for logs and errors; `plugin` is the entry point's.
            deadline: Seconds for one call.
            cache: Seconds that an answer is used again, from when it was asked for; 0 = never.
            clock: For the ages of answers.
            containment: Where exceptions end that nobody expected.
            stale: Seconds after `cache` that an answer may stand in while the source is away.
            absent: Why the plugin could not be started; empty: it was.
        """
        self._source = source
        self.name = name
        self._plugin = plugin
        self._deadline = deadline
        self._cache = cache
        self._clock = clock
        self._breaker = Breaker(clock, slow_after=self._slow_after, doubts=True, note=self._tell)
        self._once = AskOnce[Principal, Answer](
            f"role source {name!r}",
            task="role source",
            whose=name,
            breaker=self._breaker,
            probe=self._probe,
            keep_until=lambda said: said.until if isinstance(said, Answer) else float("-inf"),
            clock=clock,
            containment=containment,
        )
        self._known = KnownAnswers(stale, clock)
        self._wanted: Principal | None = None  # whom it was to be asked about last
        self._answered: Principal | None = None  # whom it has answered about last
        self._turns = anyio.CapacityLimiter(THREADS)
        self._running = threading.BoundedSemaphore(THREADS)  # late ones run on when given up
        self._last_success_at: datetime | None = None
        self._absent = self._last_error = absent
        self._last_error_at: datetime | None = None

    def _slow_after(self) -> float:
        return self._deadline - EARLY

    @property
    def is_absent(self) -> bool:
        """Whether its plugin could not be started."""
        return bool(self._absent)

    @property
    def state(self) -> SourceState:
        return SourceState(
            name=self.name,
            plugin=self._plugin,
            is_open=self._breaker.is_open or bool(self._absent),
            last_success_at=self._last_success_at,
            last_error=self._last_error,
            last_error_at=self._last_error_at,
            stood_in=self._known.stood_in,
            last_stood_in_at=self._known.last_stood_in_at,
        )

    def begin(self, tasks: TaskGroup) -> None:
        """Ask the source in these tasks from now on: what is asked outlives whoever asked."""
        self._once.begin(tasks)

    async def answer(self, principal: Principal, *, now: datetime) -> Answer:
        """Return what the source says of a user, at most `cache` seconds old.

        While it is away what it said last may stand in, at most `stale` seconds older. Such an
        answer is not kept: who comes next asks again.

        Raises:
            TokenRejected: It wants the user kept out.
            IssuerUnavailable: It did not answer, or is not asked since its breaker is open.
        """
        kept = self._once.find(principal)
        if kept is not None:
            return kept
        self._wanted = principal
        ask = partial(self._once.call, partial(self._ask, principal, now))
        try:
            return await self._once.join(principal, lambda _: ask()).answer()
        except IssuerUnavailable:
            known = self._known.stand_in(principal)
            if known is None:
                raise
            self._tell_of(principal, known)
            return known

    async def stop(self) -> None:
        """Have the plugin let go of what it holds, once no call is under way."""
        self._once.retire()
        await self._once.over()
        await stopped(self._source, plugin=self.name)

    async def _probe(self) -> None:
        principal = self._answered or self._wanted
        if principal is not None:
            await self._ask(principal, self._clock.now())

    async def _ask(self, principal: Principal, now: datetime) -> Answer:
        """Ask the plugin, and note how that went before the breaker does."""
        until = self._clock.monotonic() + self._cache
        try:
            answer = Answer(await self._granted(principal, now), until)
        except IssuerUnavailable as unavailable:
            if isinstance(unavailable, UnusableAnswer):  # it is there, and no longer says that
                self._known.drop(principal)
            self._last_error, self._last_error_at = harmless(str(unavailable)), self._clock.now()
            if principal == self._answered:  # the next trial call is about another
                self._answered = None
            if isinstance(unavailable, UnusableAnswer):  # a failure too, once it is confirmed
                raise IssuerUnavailable(str(unavailable)) from None
            raise
        except TokenRejected:
            self._known.drop(principal)
            self._note_answer(principal)
            raise
        self._known.keep(principal, answer)
        self._note_answer(principal)
        return answer

    def _note_answer(self, principal: Principal) -> None:
        self._answered, self._last_success_at = principal, self._clock.now()

    async def _granted(self, principal: Principal, now: datetime) -> Granted:
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
            raise IssuerUnavailable(
                f"all {THREADS} threads of role source {self.name!r} hang, wanted a free one: see "
                "what its plugin waits for, then restart sessiond"
            )
        try:
            return self._source.roles(principal, now=now)
        finally:
            self._running.release()

    def _tell_of(self, principal: Principal, known: Answer) -> None:
        log.warning(
            "role source answer stands in",
            role_source=self.name,
            user=principal.name,
            age=round(self._clock.monotonic() - (known.until - self._cache), 3),
            error=self._last_error,
        )

    def _tell(self, is_open: bool) -> None:
        if is_open:
            log.error("role source breaker open", role_source=self.name, error=self._last_error)
        else:
            log.info("role source breaker closed", role_source=self.name)


class _Absent:
    """In the place of a plugin that could not be started: nobody gets in without its word."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def roles(self, principal: Principal, *, now: datetime) -> Granted:
        raise IssuerUnavailable(self._why)


async def asked_source(
    config: RoleSourceConfig, clock: Clock, containment: Containment, *, lenient: bool = False
) -> AskedSource:
    """Return the role source that a table names.

    Args:
        config: The table.
        clock: For the ages of answers.
        containment: Where exceptions end that nobody expected.
        lenient: Where the plugin cannot be started, return one that never answers: logins that
            need it are unavailable, as with one that is away. No role is granted, and none dropped.

    Raises:
        ConfigError: There is no such plugin, or it refuses its settings.
    """
    absent, source = "", None
    try:
        source = await _source(config)
    except ConfigError as error:
        if not lenient:
            raise
        absent = one_line(error)
        log.error("role source left out", role_source=config.name, problem=absent)
    return AskedSource(
        source or _Absent(absent),
        name=config.name,
        plugin=config.plugin,
        deadline=config.deadline,
        cache=config.cache,
        stale=config.stale,
        clock=clock,
        containment=containment,
        absent=absent,
    )


async def _source(config: RoleSourceConfig) -> RoleSource:
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
        raise ConfigError(
            f"{where}.plugin: the roles of {config.plugin!r} cannot be called, wanted a method: "
            "mend the plugin"
        )
    made: RoleSource = source
    return made
