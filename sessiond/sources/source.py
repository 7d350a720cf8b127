"""One source: its tokens in memory, each fetched once for all who wait for it."""

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    StoreError,
    UnusableAnswer,
)
from sessiond.gate import Breaker
from sessiond.gate.flight import IS_STOPPING, Flight
from sessiond.log.redaction import harmless
from sessiond.refresher.refresh_issuer import Tokens
from sessiond.sources.answer import Answer, NotGiven, Reason
from sessiond.sources.fetching import Fetching, Key
from sessiond.sources.holding import Holding, Patience
from sessiond.sources.kept_token import KeptToken, kept
from sessiond.sources.source_client import SourceRefused

MAX_KEPT = 10_000  # users' tokens of one source; beyond that the one not asked for longest goes

log = structlog.get_logger()


@dataclass(slots=True)
class SourceHealth:
    """How its calls went, for operators."""

    last_fetched_at: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None
    reason: Reason | None = (
        None  # why the last call brought nothing; None: it did, or there is none
    )


class Source:
    """Owns the tokens of one `[[source]]` table. Whatever its issuer does costs this one alone."""

    def __init__(
        self,
        name: str,
        *,
        fetching: Fetching,
        min_validity: float,
        clock: Clock,
        containment: Containment,
        slow_after: Callable[[], float],
        patience: Patience | None = None,
        note: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Fetch nothing yet.

        Args:
            name: As configured.
            fetching: Gets the next token.
            min_validity: Seconds that a token has left at least when it is given.
            clock: For moments.
            containment: Where exceptions end that no issuer's part may raise.
            slow_after: Seconds after which nobody waits for a call any more, as it is now.
            patience: With an issuer that refuses.
            note: Told what each call came to: "ok", or a reason.
        """
        self.name = name
        self.fetching = fetching
        self.health = SourceHealth()
        self._new = partial(Holding, min_validity, patience or Patience())
        self._clock = clock
        self._contained = containment.around("source", name)
        self._slow_after = slow_after
        self._breaker = Breaker(clock, slow_after=slow_after)
        self._note = note
        self._held = OrderedDict[Key, Holding]()
        self._flights: dict[Key, Flight[Answer]] = {}
        self._scopes: dict[Key, anyio.CancelScope] = {}
        self._tried_at = float("-inf")  # monotonic; a trial call
        self._tasks: TaskGroup | None = None
        self._ahead: Callable[[float, Key], object] = _nothing

    def begin(self, tasks: TaskGroup, ahead: Callable[[float, Key], object]) -> None:
        """Make calls in these tasks; `ahead` has `look_ahead` called in so many seconds."""
        self._tasks, self._ahead = tasks, ahead

    def stop(self) -> None:
        """Make no more calls; those under way that spend nothing are cut."""
        self._tasks = None
        for scope in () if self.fetching.must_finish else tuple(self._scopes.values()):
            scope.cancel()

    def retire(self) -> None:
        """Begin no more calls, since another source has this one's place; finish what is begun.

        One that went on fetching ahead of time would take an earlier text of its file up again.
        """
        self._tasks = None

    async def over(self) -> None:
        """Return when no call is under way."""
        for flight in tuple(self._flights.values()):
            await flight.over()

    @property
    def token(self) -> KeptToken | None:
        """The source's own token, be it given still or not."""
        held = self._held.get(None)
        return None if held is None else held.token

    @property
    def is_given(self) -> bool:
        """Whether the source's own token is in memory, and good for long enough."""
        held = self._held.get(None)
        return held is not None and held.is_given(self._clock.monotonic())

    def find(self, key: Key) -> Answer | None:
        """Return what needs nobody; None: the issuer is to be asked, or is being asked: `join`."""
        now, held = self._clock.monotonic(), self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
            found = held.answer(now)
            if isinstance(found, KeptToken):
                self.look_ahead(key)
            if found is not None:
                return found
        if self._breaker.is_open:
            self._try_out(key, now)
            return self._left_alone()
        flight = self._flights.get(key)
        is_late = flight is not None and now - flight.launched_at > self._slow_after()
        return _slow() if is_late else None

    def join(self, key: Key) -> Flight[Answer]:
        """Return the call for a token that is under way, or begin one; it outlives who waits."""
        self._holding(key).is_waited_for = True
        return self._flights.get(key) or self._launch(key)

    def look_ahead(self, key: Key) -> None:
        """Fetch the next token ahead of time, if this one was asked for and it is time."""
        held, now = self._held.get(key), self._clock.monotonic()
        if held is None or key in self._flights or not held.is_due_ahead(now):
            return
        if self._breaker.is_open:
            self._try_out(key, now)
        else:
            self._launch(key)

    def forget(self, key: Key) -> None:
        """Begin anew for a key: what is held of it, and why there was none, count no more."""
        self.health.reason = None
        held = self._held.get(key)
        if held is not None:
            held.forget()

    def drop(self, key: Key) -> None:
        """Let go of a key that nobody will ask for again."""
        self._held.pop(key, None)

    def _holding(self, key: Key) -> Holding:
        held = self._held.setdefault(key, self._new())
        self._held.move_to_end(key)
        if len(self._held) > MAX_KEPT:
            self._held.popitem(last=False)
        return held

    def _try_out(self, key: Key, now: float) -> None:
        """Make a trial call, for which nobody waits, if it is time for one."""
        is_time = now - self._tried_at >= self._breaker.pause
        if is_time and not self._breaker.is_held and not self._flights:
            self._tried_at = now
            self._launch(key, is_trial=True)

    def _launch(self, key: Key, *, is_trial: bool = False) -> Flight[Answer]:
        flight = Flight[Answer](self._clock, is_timed=False, contained=self._contained)
        if self._tasks is None:
            flight.land(_STOPPING)
            return flight
        self._flights[key] = flight
        self._tasks.start_soon(self._fly, key, flight, is_trial)
        return flight

    async def _fly(self, key: Key, flight: Flight[Answer], is_trial: bool) -> None:
        """Fetch for all who wait; once nobody is to, what need not be finished is cut."""
        outcome, scope = _STOPPING, anyio.CancelScope()
        self._scopes[key] = scope
        try:
            with scope:
                outcome = await self._kept(key, is_trial)
        finally:
            del self._flights[key], self._scopes[key]
            flight.land(outcome)

    async def _kept(self, key: Key, is_trial: bool) -> Answer:
        """Return what comes of it, whatever is raised on the way, and keep it."""
        held, outcome, is_of_no_use = self._holding(key), _UNEXPECTED, True
        with self._contained:
            outcome, is_of_no_use = await self._fetched(key, is_trial)
        now = self._clock.monotonic()
        if isinstance(outcome, KeptToken):
            held.take(outcome)
        else:
            held.fail(outcome, now, is_of_no_use=is_of_no_use)
        self._tell(outcome)
        if held.token is not None and held.ahead_at < math.inf:
            self._ahead(held.ahead_at - now, key)
        return outcome

    async def _fetched(self, key: Key, is_trial: bool) -> tuple[Answer, bool]:
        """Return what came of it, and whether an issuer that answered is to blame."""
        asked_at = self._clock.monotonic()
        try:
            tokens = await self.fetching.tokens(key, partial(self._call, is_trial))
            now, monotonic = self._clock.now(), self._clock.monotonic()
            return kept(tokens, asked_at=asked_at, now=now, monotonic=monotonic), False
        except (SourceRefused, RefreshRefused) as refused:
            return NotGiven(reason=Reason.REFUSED, detail=str(refused)), True
        except IssuerThrottled as throttled:
            wait = throttled.retry_after
            told = NotGiven(reason=Reason.THROTTLED, detail=str(throttled), retry_after=wait)
            return told, False
        except UnusableAnswer as odd:
            told = NotGiven(reason=Reason.UNAVAILABLE, detail=str(odd), retry_after=odd.retry_after)
            return told, True
        except (IssuerUnavailable, StoreError) as error:
            return NotGiven(reason=Reason.UNAVAILABLE, detail=str(error)), False

    async def _call(self, is_trial: bool, ask: Callable[[], Awaitable[Tokens]]) -> Tokens:
        with self._breaker.seeing(is_trial=is_trial):
            return await ask()

    def _tell(self, outcome: Answer) -> None:
        health, now = self.health, self._clock.now()
        if isinstance(outcome, KeptToken):
            health.last_fetched_at, health.reason = now, None
            log.info("source token fetched", source=self.name, seconds=round(outcome.life))
            self._note("ok")
            return
        health.last_error, health.last_error_at = harmless(outcome.detail), now
        health.reason = outcome.reason
        log.warning(
            "source token not fetched",
            source=self.name,
            reason=outcome.reason.value,
            error=outcome.detail,
        )
        self._note(outcome.reason.value)

    def _left_alone(self) -> NotGiven:
        """Return what is told while nobody waits for the issuer."""
        reason = Reason.THROTTLED if self._breaker.is_held else Reason.UNAVAILABLE
        said = self.health.last_error or "it has not answered"
        return NotGiven(reason=reason, detail=said, retry_after=self._breaker.pause)


_STOPPING: Answer = NotGiven(reason=Reason.UNAVAILABLE, detail=IS_STOPPING)
_UNEXPECTED: Answer = NotGiven(
    reason=Reason.UNAVAILABLE,
    detail="a fault that nobody expected, wanted a token: see the log (unexpected failure), and "
    "report it",
)


def _slow() -> NotGiven:
    return NotGiven(
        reason=Reason.UNAVAILABLE,
        detail="the issuer has not answered the call that is under way, wanted a quick answer: see "
        "that issuer; what it says is kept",
    )


def _nothing(*_: object) -> None:
    """Do nothing: it is not begun."""
