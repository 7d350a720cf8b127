"""All subscribers: checked, started, changed and stopped together."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.config import SubscriberConfig
from sessiond.core.errors import ConfigError, StoreError
from sessiond.core.queries import Ping
from sessiond.eventlog import EventLog
from sessiond.extensions.subscribers import subprocesses
from sessiond.extensions.subscribers.checking import check_each
from sessiond.extensions.subscribers.cursor import Asking, KeptCursor
from sessiond.extensions.subscribers.runner import DeliveryRules, SubscriberRunner
from sessiond.extensions.subscribers.state import SubscriberState
from sessiond.extensions.subscribers.subprocesses import Start
from sessiond.racing import first

GRACE = 2.0  # seconds for the last events, once the daemon stops
STOP_WITHIN = GRACE + subprocesses.STOP_WITHIN + subprocesses.LAST_OUTPUT  # seconds, at most

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberSettings:
    """Which subscribers there are to be, and by which rules events are delivered."""

    wanted: tuple[SubscriberConfig, ...]
    rules: DeliveryRules


@dataclass(slots=True, kw_only=True)
class _Fed:
    config: SubscriberConfig
    feeder: SubscriberRunner
    ended: anyio.Event = field(default_factory=anyio.Event)


class Subscribers:
    """Owns one process for each `[[subscriber]]`. Nobody else waits for any of them."""

    def __init__(
        self,
        settings: Callable[[], SubscriberSettings],
        events: EventLog,
        table: Asking,
        clock: Clock,
        *,
        start: Start,
        draw: Callable[[], float],
    ) -> None:
        """Make them; `run` brings them to life.

        Args:
            settings: Those of now; other rules count at once, other subscribers from `apply` on.
            events: Where each reads from its place.
            table: Keeps the places.
            clock: Measures deadlines and pauses.
            start: Starts a process.
            draw: Uniform in [0, 1): spreads the pauses.
        """
        self._settings = settings
        self._events = events
        self._table = table
        self._clock = clock
        self._start = start
        self._draw = draw
        self._fed: dict[str, _Fed] = {}
        self._tasks: TaskGroup | None = None  # while running
        self._stopped = anyio.Event()

    async def check(self, configs: Sequence[SubscriberConfig], *, at_start: bool = False) -> None:
        """Find out whether every plugin is there and accepts its settings.

        Those that run, or have been tried already, are not tried again.

        Args:
            configs: Those that are to run.
            at_start: One that is not `required` keeps nobody from logging in: it is told of, and
                tried again and again, from its place.

        Raises:
            ConfigError: A plugin is not installed or refuses its settings, with the keys' names.
        """
        fed = {name: each.config for name, each in self._fed.items()}
        new = [config for config in configs if fed.get(config.name) != config]
        fatal: list[str] = []
        for each in await check_each(new, start=self._start, clock=self._clock):
            if each.config.required or not at_start:
                fatal += each.problems
                continue
            for problem in each.problems:
                log.error("subscriber left out", subscriber=each.config.name, problem=problem)
        if fatal:
            raise ConfigError("\n".join(fatal))

    async def apply(self) -> None:
        """Have those that are wanted now; one whose table has changed is started anew.

        Who is removed keeps its place, and goes on from there when it is wanted again.
        """
        if self._tasks is None or self._stopped.is_set():
            return
        wanted = {config.name: config for config in self._settings().wanted}
        await self._end(
            [each for name, each in self._fed.items() if wanted.get(name) != each.config], last=0
        )
        for name in [name for name in self._fed if self._fed[name].ended.is_set()]:
            del self._fed[name]
        for name, config in wanted.items():
            if name not in self._fed:
                self._begin(config, self._tasks)

    async def run(self) -> None:
        """Feed them until `stop`."""
        async with anyio.create_task_group() as self._tasks:
            for config in self._settings().wanted:
                self._begin(config, self._tasks)
            await self._stopped.wait()

    async def stop(self) -> None:
        """Offer what is on disk for a short while, keep the places, and end the processes.

        To be called when the table has written what was accepted, and before it is closed: it
        keeps the places. What is committed later, such as the last refused logins, is received
        after the next start.
        """
        self._stopped.set()
        with suppress(StoreError):
            await self._table.ask(Ping())  # when this is answered, the log has all that was asked
        await self._end(list(self._fed.values()), last=self._events.sequence)

    def states(self) -> list[SubscriberState]:
        """Return how each subscriber stands, in the configuration's order."""
        order = {config.name: number for number, config in enumerate(self._settings().wanted)}
        states = [each.feeder.state for each in self._fed.values()]
        return sorted(states, key=lambda each: order.get(each.name, len(order)))

    def retry(self, name: str) -> int:
        """Send what was set aside for a subscriber once more; return how many events that are.

        Raises:
            KeyError: There is no such subscriber.
        """
        return self._fed[name].feeder.retry()

    async def drop(self, name: str) -> int:
        """Give up what was set aside for a subscriber; return how many events that were.

        Raises:
            KeyError: There is no such subscriber.
        """
        return await self._fed[name].feeder.drop()

    def _begin(self, config: SubscriberConfig, tasks: TaskGroup) -> None:
        feeder = SubscriberRunner(
            config,
            events=self._events,
            place=KeptCursor(config.name, self._table, self._clock),
            start=self._start,
            clock=self._clock,
            draw=self._draw,
            rules=lambda: self._settings().rules,
        )
        fed = self._fed[config.name] = _Fed(config=config, feeder=feeder)

        async def feed() -> None:
            await feeder.run()
            fed.ended.set()

        tasks.start_soon(feed)

    async def _end(self, ending: Sequence[_Fed], *, last: int) -> None:
        for each in ending:
            each.feeder.finish(last)

        async def all_ended() -> None:
            for each in ending:
                await each.ended.wait()

        await first(all_ended, partial(self._clock.sleep, GRACE))
        for each in ending:
            each.feeder.cut()
        await all_ended()
