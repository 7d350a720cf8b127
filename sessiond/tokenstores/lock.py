"""One lock of a token store: who holds it, who waits, and who gets it next. Pure.

A moment (`now`) is in seconds of monotonic time, passed in. What happens makes another lock of the
one before; `settled` then says what came of it, and is to be called after each, and at `look_at`.
Progress is taking the lock, and a write that begins or ends under it.
"""

from dataclasses import dataclass, field, replace

LEAST_PATIENCE = 0.25  # seconds
LONGEST_WAIT = 60.0  # seconds of one request


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """One who asks for the lock."""

    number: int  # its own, of all who ever asked
    uid: int
    pid: int
    patience: float  # seconds without progress after which, for it, the lock is stale
    until: float  # the moment when it is told to ask again


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One who has the lock."""

    fence: int  # nobody else ever had it
    uid: int
    pid: int
    since: float
    progressed_at: float
    writes: int = 0  # that are being committed
    is_over: bool = False  # released or broken; what it writes is still being committed


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Somebody has it now."""

    waiter: Waiter
    fence: int
    was: Holder | None = None  # whose it was, where it was taken over from him


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitedTooLong:
    """Somebody waits no more: his request is over, and he may ask again."""

    waiter: Waiter


Outcome = Taken | WaitedTooLong


def patience_of(wait_ms: int) -> float:
    """Return the seconds that a caller's milliseconds count as."""
    return max(wait_ms / 1000, LEAST_PATIENCE)


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as it stands."""

    holder: Holder | None = None
    waiters: tuple[Waiter, ...] = field(default=())  # in the order in which they asked

    def is_held_by(self, fence: int) -> bool:
        """Say whether a fence may write, and release."""
        return self.holder is not None and self.holder.fence == fence and not self.holder.is_over

    def asked(self, waiter: Waiter) -> "Lock":
        return replace(self, waiters=(*self.waiters, waiter))

    def left(self, number: int) -> "Lock":
        """Without one who hung up: his turn is lost."""
        return replace(self, waiters=tuple(w for w in self.waiters if w.number != number))

    def write_begun(self, fence: int, now: float) -> "Lock | None":
        """With one write more that is being committed; None: the fence is dead."""
        if self.holder is None or not self.is_held_by(fence):
            return None
        writes = self.holder.writes + 1
        return replace(self, holder=replace(self.holder, writes=writes, progressed_at=now))

    def write_ended(self, now: float) -> "Lock":
        """With one write less, whatever came of it: nobody but the holder had begun one."""
        if self.holder is None or not self.holder.writes:
            raise ValueError("no write is under way")
        writes = self.holder.writes - 1
        return replace(self, holder=replace(self.holder, writes=writes, progressed_at=now))

    def released(self, fence: int) -> "Lock | None":
        """Without its holder, as soon as his writes have ended; None: the fence is dead."""
        return self.broken() if self.is_held_by(fence) else None

    def broken(self) -> "Lock":
        """Without its holder, whoever that is, as soon as his writes have ended."""
        if self.holder is None:
            return self
        return replace(self, holder=replace(self.holder, is_over=True))

    def settled(self, now: float, fence: int) -> "tuple[Lock, tuple[Outcome, ...]]":
        """Give the lock to whom it is due, and send those away who have waited for too long.

        Args:
            now: The moment.
            fence: For who gets the lock, if anybody does: higher than all before.
        """
        outcomes, lock = list[Outcome](), self
        if lock.holder is not None and lock.holder.is_over and not lock.holder.writes:
            lock = replace(lock, holder=None)
        heir = next((each for each in lock.waiters if _is_due(lock, each, now)), None)
        if heir is not None:
            outcomes.append(Taken(waiter=heir, fence=fence, was=lock.holder))
            holder = Holder(fence=fence, uid=heir.uid, pid=heir.pid, since=now, progressed_at=now)
            lock = replace(lock.left(heir.number), holder=holder)
        for each in lock.waiters:
            if now >= each.until:
                outcomes.append(WaitedTooLong(waiter=each))
                lock = lock.left(each.number)
        return lock, tuple(outcomes)

    def look_at(self, waiter: Waiter, now: float) -> float:
        """Return the moment by which to settle again, for a waiter to be in time.

        While a write is being committed it may be too early, and is to be asked for again then.
        """
        if self.holder is None:
            return now
        last = now if self.holder.writes else self.holder.progressed_at
        return min(last + waiter.patience, waiter.until)


def _is_due(lock: Lock, waiter: Waiter, now: float) -> bool:
    if lock.holder is None:
        return True
    # Who takes it over while a write is being committed might read what was there before.
    return not lock.holder.writes and now >= lock.holder.progressed_at + waiter.patience
