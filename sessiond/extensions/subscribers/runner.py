"""Feeds one subscriber from its place, whatever becomes of its process."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import anyio
import structlog

from sessiond.clock import Clock
from sessiond.config import SubscriberConfig
from sessiond.core.errors import StoreError
from sessiond.core.events import Event, to_json
from sessiond.eventlog import EventLog
from sessiond.extensions.subscribers.cursor import KeptCursor
from sessiond.extensions.subscribers.patience import retry_in
from sessiond.extensions.subscribers.state import Record, SubscriberState
from sessiond.extensions.subscribers.subprocesses import Child, Gone, NotStartedError, Start
from sessiond.extensions.subscribers.wire import (
    Batch,
    Failed,
    FromChild,
    Ready,
    Received,
    Refused,
    Setup,
    one_line,
)
from sessiond.notifier import Notifier
from sessiond.racing import first

START_WITHIN = 30.0  # seconds for a plugin to be ready
MAX_BATCH_BYTES = 1_048_576  # bytes of events at a time, one event in any case
LATE_AFTER = 0.8  # of the time that events are kept
WARN_EVERY = 600.0  # seconds between warnings of one subscriber that is late

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """The `[events]` table, as subscribers need it."""

    max_attempts: int
    keep: timedelta


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events on their way; `is_again`: one that had been set aside."""

    events: Sequence[Event]
    is_again: bool = False


def setup_of(config: SubscriberConfig, *, is_check: bool = False) -> Setup:
    """Return what a subscriber's process is told at first."""
    return Setup(
        plugin=config.plugin,
        name=config.name,
        settings=config.settings,
        memory=config.memory,
        is_check=is_check,
    )


class SubscriberRunner:
    """Keeps one subscriber's process alive and hands it every event after its place, in order.

    One batch is under way at a time. Its place moves when the events were received, never
    before: each is received at least once.
    """

    def __init__(
        self,
        config: SubscriberConfig,
        *,
        events: EventLog,
        place: KeptCursor,
        start: Start,
        clock: Clock,
        draw: Callable[[], float],
        rules: Callable[[], DeliveryRules],
    ) -> None:
        self._config = config
        self._events = events
        self._place = place
        self._start = start
        self._clock = clock
        self._draw = draw
        self._rules = rules
        self._record = Record()
        self._batch = 1  # events that the child takes at a time
        self._careful_until = 0  # up to this event they go one by one: a batch with it failed
        self._trying, self._attempts = 0, 0  # the event that failed, and how often
        self._failures = 0  # in a row
        self._warned_at = float("-inf")  # monotonic
        self._again: deque[int] = deque()  # set-aside events to send once more
        self._nudge = Notifier()  # something other than an event is to be looked at
        self._stopping, self._cut = anyio.Event(), anyio.Event()
        self._last = 0  # the event to stop after

    @property
    def state(self) -> SubscriberState:
        """The subscriber as it stands."""
        record = self._record
        return SubscriberState(
            name=self._config.name,
            plugin=self._config.plugin,
            state=record.state,
            pid=record.pid,
            place=self._place.sequence,
            lag=max(0, self._events.sequence - self._place.sequence),
            set_aside=len(self._place.set_aside),
            restarts=record.restarts,
            last_error=record.last_error,
            last_error_at=record.last_error_at,
            last_received_at=record.last_received_at,
        )

    def retry(self) -> int:
        """Send what was set aside once more, oldest first; return how many events that are."""
        self._again = deque(sorted(self._place.set_aside))
        self._nudge.notify()
        return len(self._again)

    async def drop(self) -> int:
        """Give up what was set aside; return how many events that were."""
        self._again.clear()
        given_up = [
            await self._place.drop_dead_letter(each) for each in sorted(self._place.set_aside)
        ]
        return sum(given_up)

    def finish(self, last: int) -> None:
        """Stop after this event, or at the first failure."""
        self._last = last
        self._stopping.set()
        self._nudge.notify()

    def cut(self) -> None:
        """Stop now, after `finish`."""
        self._cut.set()
        self._nudge.notify()

    async def run(self) -> None:
        """Feed until finished; its place is kept by then."""
        await self._place.take_up(now=self._events.sequence)
        while not self._stopping.is_set():
            self._record.state = "starting"
            try:
                async with self._start(setup_of(self._config)) as child:
                    self._record.pid = child.pid
                    await self._live(child)
            except NotStartedError as error:
                self._note_failure(str(error))
            self._record.pid = None
            await self._place.keep()
            if not self._stopping.is_set():
                await self._warn_if_late()
                self._failures = max(1, self._failures)  # whoever has died does not come at once
                await self._rest(self._stopping.wait)
                self._record.restarts += 1
        self._record.state = "stopped"

    async def _live(self, child: Child) -> None:
        """Feed one process, until it is to stop, or must be ended."""
        if not await self._is_ready(child):
            return
        self._record.state = "running"
        while True:
            batch = await self._next(child)
            if batch is None:
                await self._place.keep()
                await child.stop()
                return
            if isinstance(batch, Gone):
                self._note_failure(batch.error)
                return
            if not await self._hand_over(child, batch):
                return

    async def _is_ready(self, child: Child) -> bool:
        answer = await self._heard(
            child, partial(self._clock.sleep, START_WITHIN), self._stopping.wait
        )
        match answer:
            case Ready(batch=batch):
                self._batch = batch
                return True
            case Refused(problems=problems):
                self._note_failure("; ".join(problems))
            case Gone(error):
                self._note_failure(error)
            case None if not self._stopping.is_set():
                self._note_failure(f"it was not ready within {START_WITHIN:g} s")
            case None:
                pass
            case _:
                self._note_failure("it talks nonsense before it is ready")
        return False

    async def _next(self, child: Child) -> _Batch | Gone | None:
        """Wait for something to send. None: it is time to stop."""
        while not self._cut.is_set():
            while self._again and not self._stopping.is_set():
                event = self._place.set_aside.get(self._again.popleft())
                if event is not None:
                    return _Batch((event,), is_again=True)
            place, nudges = self._place.sequence, self._nudge.count
            if self._stopping.is_set() and place >= self._last:
                return None
            wait: Callable[[], Awaitable[object]] = partial(self._events.wait_beyond, place)
            try:
                events, _ = await self._events.read(place, limit=self._limit)
            except StoreError as error:
                self._note_failure(f"events cannot be read: {error}")
                wait = partial(self._clock.sleep, self._pause())
                events = []
            if events:
                self._warn_if_old(events[0])
                return _Batch(_bounded(events[: self._limit]))
            heard = await self._heard(
                child, wait, partial(self._nudge.wait_beyond, nudges), *self._when_due()
            )
            if heard is not None:
                return heard if isinstance(heard, Gone) else Gone("it spoke without being asked")
            await self._place.keep_when_due()
        return None

    async def _hand_over(self, child: Child, batch: _Batch) -> bool:
        """Send a batch and act on what becomes of it. False: the process must go."""
        deadline = self._config.deadline

        async def send() -> None:
            await child.send(Batch(events=tuple(batch.events)))
            await anyio.sleep_forever()  # its answer ends this, or its deadline

        answer = await self._heard(
            child, send, partial(self._clock.sleep, deadline), self._cut.wait
        )
        event = batch.events[0]
        numbers = [each.sequence for each in batch.events]
        match answer:
            case Received(sequence=sequence) if sequence == numbers[-1]:
                await self._note_received(batch)
                return True
            case Failed(sequence=sequence, error=error, is_outage=is_outage) if sequence in numbers:
                at = numbers.index(sequence)
                if at:
                    await self._note_received(_Batch(batch.events[:at]))
                left = _Batch(batch.events[at:], batch.is_again)
                await self._note_attempt(left, error, is_outage=is_outage)
                return await self._is_rested(child)
            case None if self._cut.is_set():
                await self._place.keep()
                await child.stop()
                return False
            case None:
                error = f"it took longer than {deadline:g} s over event {event.sequence}"
            case Gone(error):
                pass
            case _:
                error = "it talks nonsense"
        await self._note_attempt(batch, error)
        return False

    async def _note_received(self, batch: _Batch) -> None:
        self._record.last_received_at = self._clock.now()
        self._failures = 0
        last = batch.events[-1].sequence
        if batch.is_again:
            if await self._place.drop_dead_letter(last):
                log.info("set-aside event received", subscriber=self._config.name, sequence=last)
            return
        self._place.sequence = last
        await self._place.keep_when_due()

    async def _note_attempt(self, batch: _Batch, error: str, *, is_outage: bool = False) -> None:
        """Count a failure against the event that failed; set it aside when that is enough.

        Of a batch nobody knows which event it was: they go one by one from now on. An outage is
        no event's fault.
        """
        event = batch.events[0]
        self._note_failure(error, sequence=event.sequence)
        if batch.is_again:
            self._failures = 0  # it stays aside, and the others wait for nothing
            return
        if is_outage:
            return
        if len(batch.events) > 1:
            self._careful_until = batch.events[-1].sequence
            return
        if self._trying != event.sequence:
            self._trying, self._attempts = event.sequence, 0
        self._attempts += 1
        if self._attempts < self._rules().max_attempts:
            return
        if await self._place.keep_dead_letter(
            event, attempts=self._attempts, error=one_line(error)
        ):
            self._failures = 0
            log.error(
                "event set aside",
                subscriber=self._config.name,
                sequence=event.sequence,
                kind=event.kind,
                attempts=self._attempts,
                error=one_line(error),
            )

    def _note_failure(self, error: str, **facts: int) -> None:
        self._failures += 1
        self._record.last_error = one_line(error)
        self._record.last_error_at = self._clock.now()
        log.warning(
            "subscriber failed",
            subscriber=self._config.name,
            error=self._record.last_error,
            failures=self._failures,
            **facts,
        )

    async def _is_rested(self, child: Child) -> bool:
        """Wait after a failure that the process has survived. False: it has not, after all."""
        if not self._failures:
            return True
        self._record.state = "waiting"
        heard = await self._heard(child, partial(self._rest, self._stopping.wait))
        self._record.state = "running"
        if self._stopping.is_set():
            self._cut.set()  # what failed just now is not tried again before the next start
        if heard is None:
            return True
        self._note_failure(heard.error if isinstance(heard, Gone) else "it talks nonsense")
        return False

    async def _rest(self, *ends: Callable[[], Awaitable[object]]) -> None:
        self._record.state = "waiting"
        await first(partial(self._clock.sleep, self._pause()), *ends)

    def _pause(self) -> float:
        return retry_in(max(1, self._failures), spread=self._draw())

    async def _heard(
        self, child: Child, *waits: Callable[[], Awaitable[object]]
    ) -> FromChild | Gone | None:
        """Return what the child says, or None when one of the waits is over first."""
        heard: list[FromChild | Gone] = []

        async def hear() -> None:
            heard.append(await child.receive())

        await first(hear, *waits)
        return heard[0] if heard else None

    def _when_due(self) -> list[Callable[[], Awaitable[object]]]:
        due = self._place.due_in
        return [] if due is None else [partial(self._clock.sleep, due)]

    @property
    def _limit(self) -> int:
        return 1 if self._place.sequence < self._careful_until else self._batch

    async def _warn_if_late(self) -> None:
        """Look at the oldest event that is still to come, where none is being sent."""
        try:
            events = await self._events.after(self._place.sequence, limit=1)
        except StoreError:
            return
        if events:
            self._warn_if_old(events[0])

    def _warn_if_old(self, event: Event) -> None:
        age, now = self._clock.now() - event.at, self._clock.monotonic()
        if age > LATE_AFTER * self._rules().keep and now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            log.warning(
                "subscriber is late, and will miss events when they are dropped",
                subscriber=self._config.name,
                oldest_seconds=round(age.total_seconds()),
                lag=self.state.lag,
            )


def _bounded(events: Sequence[Event]) -> Sequence[Event]:
    """Return as many of the events as go into one batch, at least one."""
    if len(events) == 1:
        return events
    size = 0
    for number, event in enumerate(events):
        size += len(to_json(event))
        if size > MAX_BATCH_BYTES and number:
            return events[:number]
    return events
