"""All locks of the token stores, in memory: who waits is told when it is his turn."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog

from sessiond.clock import Timer, TimerClock
from sessiond.core.principal import shown
from sessiond.racing import first
from sessiond.tokenstores.lock import LONGEST_WAIT, Holder, Lock, Outcome, Taken, Waiter

MAX_WAITING = 64  # requests of one user; a connection each, of which he may have twice as many
MAX_WAITING_IN_ALL = 256
MAX_HELD = 1000  # locks of one user
IDLE = 60.0  # seconds without progress after which a lock makes room for its holder's next one

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LockKey:
    """Which lock: users whose contexts are not shared have locks of their own."""

    uid: int | None  # None: contexts are shared
    context: str
    name: str


@dataclass(frozen=True, slots=True)
class LockState:
    """A lock as operators see it."""

    key: LockKey
    holder: Holder
    waiting: int


@dataclass(slots=True)
class LockCounts:
    """Since the start."""

    taken: int = 0  # those that were taken over included
    taken_over: int = 0


@dataclass(slots=True)
class _Wait:
    """One request that waits."""

    outcome: Outcome | None = None
    is_over: bool = False  # whoever waited has hung up
    told: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class _Kept:
    """A lock that somebody has, and when to look at it again."""

    lock: Lock
    timer: Timer | None = None


class TooManyLocks(Exception):  # noqa: N818 - an answer, not a fault
    """As many wait, or are held, as may."""


class Locks:
    """Owns the locks. A lock that nobody holds is not there."""

    def __init__(self, clock: TimerClock) -> None:
        self._clock = clock
        self._kept: dict[LockKey, _Kept] = {}
        self._waits: dict[int, _Wait] = {}
        self._asked = 0  # so far
        self._fence = 0  # the last that was given
        self._held = Counter[int]()  # locks by their holder's uid
        self._waiting = Counter[int]()  # requests by uid
        self.counts = LockCounts()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waits)

    @property
    def held(self) -> int:
        """How many locks somebody holds."""
        return len(self._kept)

    def begin(self, fence: int) -> None:
        """Give fences above this one from now on."""
        self._fence = max(self._fence, fence)

    async def take(
        self,
        key: LockKey,
        *,
        uid: int,
        pid: int,
        patience: float,
        hung_up: Callable[[], Awaitable[object]],
    ) -> int | None:
        """Wait for the lock and return its fence; None: it took too long, or nobody waits for it.

        Args:
            key: Which one.
            uid: Who asks.
            pid: Who asks.
            patience: Seconds without progress after which the lock is stale for him.
            hung_up: Returns when he has.

        Raises:
            TooManyLocks: He waits, or holds locks, too often already.
        """
        waiter = self._waiter(key, uid=uid, pid=pid, patience=patience)
        wait = self._waits[waiter.number] = _Wait()
        self._waiting[uid] += 1
        is_gone = True

        async def leave() -> None:
            await hung_up()
            wait.is_over = True

        try:
            self._become(key, self._lock(key).asked(waiter))
            if wait.outcome is None:
                await first(wait.told.wait, leave)
            is_gone = wait.is_over
        finally:
            self._end(key, waiter, wait, is_gone=is_gone)
        return wait.outcome.fence if isinstance(wait.outcome, Taken) and not is_gone else None

    def _end(self, key: LockKey, waiter: Waiter, wait: _Wait, *, is_gone: bool) -> None:
        """Forget a request; what came to it is given back where nobody hears of that any more."""
        del self._waits[waiter.number]
        self._waiting[waiter.uid] -= 1
        if not self._waiting[waiter.uid]:
            del self._waiting[waiter.uid]
        if wait.outcome is None:
            self._become(key, self._lock(key).left(waiter.number))
        elif is_gone and isinstance(wait.outcome, Taken):
            self.release(key, wait.outcome.fence, uid=waiter.uid)

    def begin_write(self, key: LockKey, fence: int, *, uid: int) -> Callable[[], None] | None:
        """Count a write that is about to be committed; None: the fence is dead, or another user's.

        Returns:
            What is to be called once when that is over, however it went: until then nobody else
            has the lock.
        """
        lock = self._held_by(key, uid).write_begun(fence, self._clock.monotonic())
        if lock is None:
            return None
        self._become(key, lock)
        return partial(self._end_write, key)

    def _end_write(self, key: LockKey) -> None:
        self._become(key, self._lock(key).write_ended(self._clock.monotonic()))

    def release(self, key: LockKey, fence: int, *, uid: int) -> bool:
        """Let the next one have it. False: the fence is dead, or another user's."""
        lock = self._held_by(key, uid).released(fence)
        if lock is None:
            return False
        self._become(key, lock)
        return True

    def break_all(self, context: str) -> int:
        """Make the fences of a context dead; who waits for one of its locks gets it."""
        broken = [key for key in self._kept if key.context == context]
        for key in broken:
            self._become(key, self._lock(key).broken())
        return len(broken)

    def states(self) -> Iterator[LockState]:
        """Yield each lock that somebody holds."""
        for key, kept in self._kept.items():
            if kept.lock.holder is not None:
                yield LockState(key, kept.lock.holder, len(kept.lock.waiters))

    def _lock(self, key: LockKey) -> Lock:
        kept = self._kept.get(key)
        return Lock() if kept is None else kept.lock

    def _held_by(self, key: LockKey, uid: int) -> Lock:
        """Return the lock that a user holds; a free one where he does not.

        Fences are numbers in a row: whoever shares contexts with others may guess theirs.
        """
        lock = self._lock(key)
        return lock if lock.holder is not None and lock.holder.uid == uid else Lock()

    def _waiter(self, key: LockKey, *, uid: int, pid: int, patience: float) -> Waiter:
        if self._waiting[uid] >= MAX_WAITING or len(self._waits) >= MAX_WAITING_IN_ALL:
            raise TooManyLocks
        if key not in self._kept and self._held[uid] >= MAX_HELD:
            self._make_room(uid)
        self._asked += 1
        until = self._clock.monotonic() + LONGEST_WAIT
        return Waiter(number=self._asked, uid=uid, pid=pid, patience=patience, until=until)

    def _make_room(self, uid: int) -> None:
        """Break the lock of a user that has been without progress for longest."""
        own = (each for each in self.states() if each.holder.uid == uid and not each.waiting)
        idle = [each for each in own if not each.holder.writes]
        oldest = min(idle, key=lambda each: each.holder.progressed_at, default=None)
        if oldest is None or self._clock.monotonic() < oldest.holder.progressed_at + IDLE:
            raise TooManyLocks
        self._become(oldest.key, self._lock(oldest.key).broken())

    def _become(self, key: LockKey, lock: Lock) -> None:
        """Settle a lock that something has happened to, and tell those to whom it matters."""
        kept = self._kept.setdefault(key, _Kept(Lock()))
        before = kept.lock.holder
        kept.lock, outcomes = lock.settled(self._clock.monotonic(), self._fence + 1)
        self._count(before, kept.lock.holder)
        self._set_timer(key, kept)
        if kept.lock.holder is None:
            del self._kept[key]
        for each in outcomes:
            if isinstance(each, Taken):
                self._note_taken(key, each)
            wait = self._waits[each.waiter.number]
            wait.outcome = each
            wait.told.set()

    def _count(self, before: Holder | None, now: Holder | None) -> None:
        for holder, by in ((before, -1), (now, 1)):
            if holder is not None:
                self._held[holder.uid] += by
                if not self._held[holder.uid]:
                    del self._held[holder.uid]

    def _set_timer(self, key: LockKey, kept: _Kept) -> None:
        if kept.timer is not None:
            kept.timer.cancel()
            kept.timer = None
        if kept.lock.waiters:
            now = self._clock.monotonic()
            moment = min(kept.lock.look_at(each, now) for each in kept.lock.waiters)
            kept.timer = self._clock.call_at(moment, partial(self._look, key))

    def _look(self, key: LockKey) -> None:
        self._become(key, self._lock(key))

    def _note_taken(self, key: LockKey, taken: Taken) -> None:
        self._fence = taken.fence
        self.counts.taken += 1
        if taken.was is None:
            return
        self.counts.taken_over += 1
        log.warning(
            "lock taken over",
            uid=taken.waiter.uid,
            pid=taken.waiter.pid,
            context=shown(key.context),
            name=shown(key.name),
            from_uid=taken.was.uid,
            from_pid=taken.was.pid,
            idle=round(self._clock.monotonic() - taken.was.progressed_at, 3),
        )
