"""The token stores at work: values in the table, locks in memory.

Fences are higher in each run of the daemon than in all before it, so a lock that somebody believes
to hold from an earlier one is dead.
"""

from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from anyio import CancelScope

from sessiond.clock import TimerClock
from sessiond.core.changes import NextEpoch, WriteValue
from sessiond.core.queries import FindValue, ListValues
from sessiond.core.secret import Secret
from sessiond.core.stored_value import ContextValues, NotOwner, WriteAnswer
from sessiond.table import Table
from sessiond.tokenstores.lock import patience_of
from sessiond.tokenstores.locks import LockKey, Locks, TooManyLocks
from sessiond.tokenstores.settings import StoresSettings

MAX_VALUE = 65_536  # bytes
EPOCH = "tokenstores"
COUNTED = 32  # bits of a fence that count within an epoch; all of it fits a JSON number (2^53)


class Refused(StrEnum):
    """Why something is not done."""

    UNLOCKED = "unlocked"  # there is no fence
    DEAD = "dead"  # the fence is not that of who holds the lock
    NOTOWNER = "notowner"  # the context is another user's
    FULL = "full"  # there is no room for a context, or a value in it, more
    CROWDED = "crowded"  # too many requests of his wait, or locks are his
    OVER = "over"  # he has waited for as long as a request may


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, by the kernel's word."""

    uid: int
    pid: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is."""

    context: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSeen:
    """A lock as operators see it."""

    context: str
    name: str
    uid: int
    pid: int
    since: datetime
    idle: float  # seconds since the last progress
    waiting: int  # requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """How many there were."""

    values: int
    locks: int


@dataclass(slots=True)
class StoreCounts:
    """Since the start."""

    reads: int = 0
    writes: int = 0


class TokenStores:
    """Reads and writes values for who may, and gives locks."""

    def __init__(
        self, settings: Callable[[], StoresSettings], table: Table, clock: TimerClock
    ) -> None:
        """Make the stores.

        Args:
            settings: Those of now.
            table: Keeps the values.
            clock: For locks.
        """
        self._settings = settings
        self._table = table
        self._clock = clock
        self._is_begun = False  # fences are above those of earlier runs
        self.locks = Locks(clock)
        self.counts = StoreCounts()

    async def read(self, asker: Asker, place: Place) -> bytes | Refused | None:
        """Return a value as it was written; None: there is none.

        Raises:
            StoreError: It could not be read.
        """
        self.counts.reads += 1
        found = await self._table.ask(self._find(asker, place))
        if isinstance(found, NotOwner):
            return Refused.NOTOWNER
        secret = None if found is None else await self._table.secret(found)
        return None if secret is None else secret.reveal().encode("latin-1")

    async def write(
        self, asker: Asker, place: Place, value: bytes, fence: int | None
    ) -> Refused | None:
        """Keep a value in the place of the one before, empty: remove it. Returned when on disk.

        Cancelling does not undo it, and is heard of only afterwards.

        Raises:
            StoreError: It could not be written.
        """
        if fence is None:
            return Refused.UNLOCKED
        end = self.locks.begin_write(self._key(asker, place), fence, uid=asker.uid)
        if end is None:
            return await self._why_dead(asker, place)
        self.counts.writes += 1
        settings = self._settings()
        change = WriteValue(
            context=place.context,
            name=place.name,
            uid=asker.uid,
            is_shared=settings.is_shared,
            value=Secret(value.decode("latin-1")),  # each byte a character: it comes back as it was
            max_contexts=settings.max_contexts,
        )
        try:
            with CancelScope(shield=True):  # the lock is not another's before this is on disk
                answer = await self._table.ask(change)
        finally:
            end()
        match answer:
            case WriteAnswer.NOTOWNER:
                return Refused.NOTOWNER
            case WriteAnswer.FULL:
                return Refused.FULL
            case WriteAnswer.WRITTEN:
                return None

    async def lock(
        self, asker: Asker, place: Place, wait_ms: int, hung_up: Callable[[], Awaitable[object]]
    ) -> int | Refused:
        """Wait for a lock and return its fence.

        Args:
            asker: Who asks.
            place: Of the value that it is for.
            wait_ms: How long it may be without progress before it is taken over.
            hung_up: Returns when he has.

        Raises:
            StoreError: This run's fences could not be told from those of earlier ones.
        """
        if isinstance(await self._table.ask(self._find(asker, place)), NotOwner):
            return Refused.NOTOWNER
        if not self._is_begun:
            epoch = await self._table.ask(NextEpoch(name=EPOCH))  # twice does no harm
            self.locks.begin(epoch << COUNTED)
            self._is_begun = True
        try:
            fence = await self.locks.take(
                self._key(asker, place),
                uid=asker.uid,
                pid=asker.pid,
                patience=patience_of(wait_ms),
                hung_up=hung_up,
            )
        except TooManyLocks:
            return Refused.CROWDED
        return Refused.OVER if fence is None else fence

    async def release(self, asker: Asker, place: Place, fence: int | None) -> Refused | None:
        """Give a lock back."""
        if fence is None:
            return Refused.UNLOCKED
        if self.locks.release(self._key(asker, place), fence, uid=asker.uid):
            return None
        return await self._why_dead(asker, place)

    async def listed(self, *, after: str = "", limit: int | None = None) -> list[ContextValues]:
        """Return contexts with what is in them, without any value, in the order of their names."""
        return await self._table.ask(ListValues(after=after, limit=limit))

    def locked(self) -> set[str]:
        """Return the contexts in which a lock is held."""
        return {each.key.context for each in self.locks.states()}

    def locks_seen(self, contexts: Container[str]) -> list[LockSeen]:
        """Return the locks that are held in these contexts."""
        now, moment = self._clock.now(), self._clock.monotonic()
        return [
            LockSeen(
                context=each.key.context,
                name=each.key.name,
                uid=each.holder.uid,
                pid=each.holder.pid,
                since=now - timedelta(seconds=moment - each.holder.since),
                idle=moment - each.holder.progressed_at,
                waiting=each.waiting,
            )
            for each in self.locks.states()
            if each.key.context in contexts
        ]

    async def drop(self, context: str) -> Dropped:
        """Break the locks of a context and remove its values.

        Raises:
            StoreError: They could not all be removed.
        """
        broken = self.locks.break_all(context)
        # What was being written under those locks was asked of the table before this.
        found = [each for each in await self.listed() if each.context.context == context]
        dropped = 0
        for kept in found:
            for value in kept.values:
                await self._table.ask(
                    WriteValue(
                        context=context,
                        name=value.name,
                        uid=kept.context.owner,
                        is_shared=False,
                        value=None,
                        max_contexts=self._settings().max_contexts,
                    )
                )
                dropped += 1
        return Dropped(values=dropped, locks=broken)

    async def _why_dead(self, asker: Asker, place: Place) -> Refused:
        """Return what is wrong with a fence: whose context it is may be the reason."""
        found = await self._table.ask(self._find(asker, place))
        return Refused.NOTOWNER if isinstance(found, NotOwner) else Refused.DEAD

    def _find(self, asker: Asker, place: Place) -> FindValue:
        return FindValue(
            context=place.context,
            name=place.name,
            uid=asker.uid,
            is_shared=self._settings().is_shared,
        )

    def _key(self, asker: Asker, place: Place) -> LockKey:
        uid = None if self._settings().is_shared else asker.uid
        return LockKey(uid, place.context, place.name)
