"""A clock that is moved by hand: an hour in a millisecond, and nothing happens in between."""

import asyncio  # noqa: TID251 - anyio cannot say whether anything is about to run
import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PATIENCE = 5.0  # real seconds


async def idle() -> None:
    """Return when every other task waits for something.

    What a thread or another process does is not seen: wait for its event instead.
    """
    try:
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # noqa: SLF001
    except (RuntimeError, AttributeError):  # not asyncio's own loop
        await anyio.wait_all_tasks_blocked()  # which naps a tenth of a second between two looks
        return
    quiet = 0
    while quiet < 2:  # what one task writes to a socket is there for another a turn later
        await asyncio.sleep(0)
        quiet = 0 if ready else quiet + 1


@dataclass(frozen=True, slots=True, order=True)
class _Wake:
    """What happens at a moment; of two at one moment, what was asked for first."""

    at: timedelta
    number: int
    wake: Callable[[], object] = field(compare=False)
    is_sleeper: bool = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Timer:
    """Fulfils `sessiond.clock.Timer`."""

    wake: _Wake
    forget: Callable[[_Wake], None]

    def cancel(self) -> None:
        self.forget(self.wake)


class FakeClock:
    """Fulfils `sessiond.clock.Clock`; its time passes only in `advance`."""

    def __init__(self, start: datetime = START, *, patience: float = PATIENCE) -> None:
        """Stop at a time.

        Args:
            start: Aware, UTC.
            patience: Real seconds that work outside the event loop (see `holding`) may hold the
                clock; what takes longer is taken to hang, and time passes it by.
        """
        self._wall = start
        self._elapsed = timedelta(hours=5)  # a machine is not booted by starting a program
        self._wakes: list[_Wake] = []
        self._asked = 0  # breaks ties: who slept first wakes first
        self._patience = patience
        self._held: list[anyio.Event] = []  # set when the work is done

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._elapsed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        slept = anyio.Event()
        wake = self._wake_at(self._elapsed + timedelta(seconds=seconds), slept.set, is_sleeper=True)
        try:
            await slept.wait()
        finally:
            self._forget(wake)  # cancelled

    def call_at(self, moment: float, callback: Callable[[], None]) -> _Timer:
        """Call back as time reaches a moment; one that is over already, as it next passes."""
        wake = self._wake_at(timedelta(seconds=moment), callback, is_sleeper=False)
        return _Timer(wake, self._forget)

    @property
    def sleepers(self) -> int:
        """How many tasks sleep."""
        return sum(each.is_sleeper for each in self._wakes)

    async def advance(self, by: timedelta | float) -> None:
        """Let time pass (a bare number is seconds), and what it wakes run until all wait again.

        Sleepers wake one at a time, in order, each at its own moment: one that sleeps anew for a
        moment within the span is woken again.
        """
        end = self._elapsed + (by if isinstance(by, timedelta) else timedelta(seconds=by))
        await self.settle()
        while self._wakes and self._wakes[0].at <= end:
            next_ = heapq.heappop(self._wakes)
            self._pass_until(max(next_.at, self._elapsed))
            next_.wake()
            await self.settle()
        self._pass_until(end)

    async def settle(self) -> None:
        """Return when every other task waits, and nothing holds the clock. No time passes."""
        await idle()
        while self._held:
            oldest = self._held[0]
            with anyio.move_on_after(self._patience):
                await oldest.wait()
            if oldest in self._held:  # it hangs
                self._held.remove(oldest)
            await idle()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the clock for a block that waits for a thread, a file or the network."""
        done = anyio.Event()
        self._held.append(done)
        try:
            yield
        finally:
            done.set()
            if done in self._held:
                self._held.remove(done)

    def step_wall(self, by: timedelta) -> None:
        """Set the wall clock forth or back, as an administrator or NTP does; nobody wakes."""
        self._wall += by

    def _wake_at(self, at: timedelta, wake: Callable[[], object], *, is_sleeper: bool) -> _Wake:
        self._asked += 1
        asked = _Wake(at, self._asked, wake, is_sleeper)
        heapq.heappush(self._wakes, asked)
        return asked

    def _forget(self, wake: _Wake) -> None:
        if wake in self._wakes:
            self._wakes.remove(wake)
            heapq.heapify(self._wakes)

    def _pass_until(self, elapsed: timedelta) -> None:
        self._wall += elapsed - self._elapsed
        self._elapsed = elapsed
