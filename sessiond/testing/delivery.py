"""A subscriber, fed as the daemon feeds it, with a clock moved by hand."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Self

import anyio
import msgspec

from sessiond.api import Event, Gap
from sessiond.core.cursor import DeadLetter
from sessiond.extensions.subscribers import DeliveryRules, SubscriberState, child
from sessiond.testing.clock import FakeClock
from sessiond.testing.life import NAME, Disk, Life


class Delivery:
    """Hands events to a subscriber by the daemon's own code and rules, all in this process.

    `async with Delivery(make) as delivery:` starts it. What is sent is acknowledged, tried again,
    set aside and kept exactly as in the daemon; only the subscriber's process is a task here:
    where the daemon kills it, what it is at is cancelled (a thread goes on unheard), and it is
    given no memory limit. Pauses after failures are 1, 2, 4 … 60 seconds of `clock`.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        *,
        clock: FakeClock | None = None,
        max_attempts: int = 10,
        deadline: float = 30.0,
        keep: timedelta = timedelta(days=7),
        release: Callable[[Any], Any] | None = None,
    ) -> None:
        """Make it; entering its block brings it to life.

        Args:
            make: Returns the subscriber, as its entry point does; called at each start of its
                process.
            clock: The test's; else one of its own.
            max_attempts: `[events] max_attempts`.
            deadline: Seconds that one receive may take.
            keep: `[events] keep`: only the warning of who is late depends on it.
            release: Called with the subscriber of a process that was killed, whose `stop` is not
                called, to let go of what the kernel lets go of: locks, files, ports. Often `stop`.
        """
        self.clock = clock or FakeClock()
        self.offered: list[tuple[Event, ...]] = []
        self.received: list[Event] = []
        self.subscriber: Any = None
        self.starts = 0
        self._make = make
        self._deadline = deadline
        self._release = release
        self._rules = DeliveryRules(max_attempts=max_attempts, keep=keep)
        self._disk = Disk(self.clock)
        self._checked: Any = None
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        """Start the daemon; raise what the subscriber refuses its settings with."""
        self._checked = self._make()
        child.batch_of(self._checked)
        await self._tasks.__aenter__()
        self._begin()
        await self.clock.settle()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._life.stop()
        self._life.kill_process()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def set_aside(self) -> list[DeadLetter]:
        """What it refused too often: each with `event`, `attempts` and `error`."""
        found = self._disk.rows.set_aside_of(NAME)
        return sorted(found, key=lambda each: each.event.sequence)

    @property
    def kept_place(self) -> int:
        """The place that is written: what came after it comes again when the daemon crashes."""
        place = self._disk.rows.cursors.get(NAME)
        return 0 if place is None else place.sequence

    @property
    def state(self) -> SubscriberState:
        """How it stands, as `sessionctl subscribers` shows it."""
        return self._life.feeder.state

    async def send(self, *events: Event) -> None:
        """Have events happen at once; return when the subscriber has done what it can now.

        One without a number is given the next. A gap is told as after a daemon that was away for
        longer than events are kept.

        Raises:
            ValueError: The numbers are not consecutive.
        """
        written: list[Event] = []
        for event in events:
            if isinstance(event, Gap):
                self._life.tell(written)
                await self._miss(event)
                written = []
            else:
                written.append(self._written(event))
        self._life.tell(written)
        await self.clock.settle()

    async def kill_subscriber(self) -> None:
        """End its process as SIGKILL does; it is started again a second later."""
        self._life.kill_process()
        await self.clock.settle()

    async def kill_daemon(self) -> None:
        """End all as a power cut does and start again: all that came since the start comes again.

        (After `kill -9` only what was not acknowledged comes again, and perhaps the last batch.)
        """
        self._life.kill_process()
        self._scope.cancel()
        await self._life.ended.wait()
        self._disk.cut_power()
        self._begin()
        await self.clock.settle()

    async def restart(self) -> None:
        """Stop the daemon in good order and start it again."""
        await self._life.stop()
        self._disk.sync()
        self._begin()
        await self.clock.settle()

    async def retry(self) -> int:
        """Send what was set aside once more; return how many events that are."""
        count = self._life.feeder.retry()
        await self.clock.settle()
        return count

    def _begin(self) -> None:
        life = Life(
            self._disk, self.clock, make=self._made, deadline=self._deadline, rules=self._rules
        )
        scope = anyio.CancelScope()

        async def live() -> None:
            with scope:
                await life.run()

        self._life, self._scope = life, scope
        self._tasks.start_soon(live)

    def _made(self, is_killed: Callable[[], bool]) -> "_Noted":
        self.subscriber = self._make() if self._checked is None else self._checked
        self._checked = None
        self.starts += 1
        return _Noted(self.subscriber, self, is_killed, self._release)

    def _written(self, event: Event) -> Event:
        last = self._disk.sequence
        if event.sequence == 0:
            event = msgspec.structs.replace(event, sequence=last + 1)
        if last and event.sequence != last + 1:
            raise ValueError(
                f"event {event.sequence} cannot come after {last}: send all that one EventFactory "
                "makes, in order, or a gap in between"
            )
        self._disk.events.append(event)
        self._disk.sequence = event.sequence
        return event

    async def _miss(self, gap: Gap) -> None:
        if gap.sequence <= self._disk.sequence:
            raise ValueError(f"a gap up to {gap.sequence} cannot come after {self._disk.sequence}")
        await self._life.stop()
        self._disk.events.clear()
        self._disk.sequence = gap.sequence
        self._begin()
        await self.clock.settle()


class _Noted:
    """The subscriber as its process calls it; what it is offered and what it takes is noted."""

    def __init__(
        self,
        of: Any,
        by: Delivery,
        is_killed: Callable[[], bool],
        release: Callable[[Any], Any] | None,
    ) -> None:
        self._of = of
        self._by = by
        self._is_killed = is_killed
        self._release = release
        if callable(getattr(of, "receive_batch", None)):
            self.receive_batch = self._receive_batch
            self.batch = child.batch_of(of)
        elif callable(getattr(of, "receive", None)):
            self.receive = self._receive

    async def start(self) -> None:
        with self._by.clock.holding():
            await child.call(getattr(self._of, "start", None))

    async def stop(self) -> None:
        if self._is_killed():
            if self._release is not None:
                with self._by.clock.holding():
                    await child.call(self._release, self._of)
            return
        with self._by.clock.holding():
            await child.call(getattr(self._of, "stop", None))

    async def _receive(self, event: Event) -> None:
        self._by.offered.append((event,))
        with self._by.clock.holding():
            await child.call(self._of.receive, event)
        self._by.received.append(event)

    async def _receive_batch(self, events: Sequence[Event]) -> None:
        self._by.offered.append(tuple(events))
        with self._by.clock.holding():
            await child.call(self._of.receive_batch, events)
        self._by.received.extend(events)
