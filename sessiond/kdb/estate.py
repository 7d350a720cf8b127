"""Processes that follow: told of everybody's roles, and then of whatever changes in them.

A follower is told what differs from what it was told last, and nothing else. While nobody follows
nothing is kept, and a login costs nothing here.
"""

from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from weakref import WeakValueDictionary

import anyio
import anyio.lowlevel
import structlog

from sessiond.clock import TimerClock
from sessiond.containment import Containment
from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.errors import CallError
from sessiond.core.present import Present
from sessiond.core.session import ProcessAbout
from sessiond.core.standing import Spellings, Standing
from sessiond.kdb import replies
from sessiond.kdb.audience import Answering, Audience, Follower
from sessiond.notifier import Notifier
from sessiond.qipc import MessageKind
from sessiond.table import Committed, Table

AT_ONCE = 64  # names looked at, or rows encoded, in one turn of the loop: a millisecond
COPIED_AT_ONCE = 1 << 19  # bytes
READ_WITHIN = 10.0  # seconds: q waits for its answer and does nothing else, so it reads at once
LINGER = 60.0  # seconds that what nobody follows is kept: whoever was late or cut comes back

log = structlog.get_logger()


class Estate:
    """Who has a session on this host, for those who may know."""

    def __init__(
        self,
        table: Table,
        rules: Callable[[], AccessRules],
        clock: TimerClock,
        containment: Containment | None = None,
    ) -> None:
        """Begin with nobody who follows; `run` does what takes long.

        Args:
            table: Has the sessions. Its batches are to be given to `take` before their answers.
            rules: Those of now.
            clock: Says when what nobody follows is dropped.
            containment: Where faults of this program end.
        """
        self._table = table
        self._rules = rules
        self._clock = clock
        self._containment = containment or Containment()
        self._audiences: list[Audience] = []
        self._present: Present | None = None  # None: nobody follows, or the first has just asked
        self._spellings = Spellings()
        self._news = Notifier()
        self._encoding = anyio.Lock()  # however many ask: one piece a turn of the loop
        self._turns = WeakValueDictionary[int, anyio.Lock]()  # by uid, while any is asked for

    @property
    def followers(self) -> int:
        """How many processes follow."""
        return sum(len(each.followers) for each in self._audiences)

    def ask(self, follower: Follower, about: ProcessAbout) -> Answering:
        """Begin to answer a process that asks to follow.

        Raises:
            CallError: It may not; the text says what to do.
        """
        ceiling = self._rules().ceiling_of(about)
        if ceiling is None or not ceiling.estate:
            raise CallError(
                f"follow: {about.name} of type {about.type} is not told of everybody, wanted "
                "estate = true in the [[access.process]] that matches it: set it there, with peers"
            )
        audience = self._audience(ceiling, about)
        answering = Answering(audience, follower, about)
        audience.answering[answering] = None
        self._news.notify()
        return answering

    def _audience(self, ceiling: Ceiling, about: ProcessAbout) -> Audience:
        found = next((each for each in self._audiences if each.ceiling == ceiling), None)
        if found is None:
            found = Audience(ceiling, about)
            self._audiences.append(found)
        return found

    def turn_of(self, uid: int) -> anyio.Lock:
        """Return what a user's process holds from before its answer is sent until it is read."""
        return self._turns.setdefault(uid, anyio.Lock())

    async def answer(self, answering: Answering) -> bytes:
        """Return the answer as a message, one for all who ask before it is begun."""
        await self._news.wait_for(lambda: answering.audience.is_whole)
        async with self._encoding:
            return answering.message or await self._make(answering)

    async def _make(self, answering: Answering) -> bytes:
        """Make an answer some rows at a time, for whoever has none by now."""
        audience = answering.audience
        waiting = {answering, *(each for each in audience.answering if each.message is None)}
        given: dict[str, Standing] = {}
        for each in waiting:
            each.given = given
            each.changed.clear()
        names, table = list(audience.told), replies.standings()
        for start in range(0, len(names), AT_ONCE):
            of_them = [(each, audience.told.get(each)) for each in names[start : start + AT_ONCE]]
            rows = {name: of for name, of in of_them if of is not None}
            table.add((name, of.name, of.roles, of.attributes) for name, of in rows.items())
            given.update(rows)
            await anyio.lowlevel.checkpoint()
        message = await _copied(table.parts(MessageKind.RESPONSE))
        for each in waiting:
            each.message = message
        return message

    async def deliver(self, answering: Answering) -> None:
        """Let a process read its answer, in a bounded time; tell it what is new from then on."""
        audience, follower = answering.audience, answering.follower
        audience.replace(answering)
        cut = partial(follower.cut, "it does not read the answer to its follow")
        timer = self._clock.call_at(self._clock.monotonic() + READ_WITHIN, cut)
        try:
            await follower.taken()
        finally:
            timer.cancel()
        while not audience.begin(answering, count=AT_ONCE):
            await anyio.lowlevel.checkpoint()
        if follower in audience.followers:
            log.info("process follows", process=follower.label)

    def give_up(self, answering: Answering) -> None:
        """Answer it no more. Where its process follows by an earlier one, it goes on."""
        answering.audience.answering.pop(answering, None)
        self._linger(answering.audience)

    def leave(self, follower: Follower) -> None:
        """Tell a process nothing more: its connection is over."""
        for audience in self._audiences:
            audience.leave(follower)
            self._linger(audience)

    def take(self, batch: Committed) -> None:
        """Tell of those whom a batch concerns, before whoever logs in by it is answered."""
        if self._present is None:
            return
        with self._containment.around("push", "followers"):
            self._take(self._present, batch)
            return
        self._end()

    def _take(self, present: Present, batch: Committed) -> None:
        put, left = present.take(batch.writes)
        now, later = put + left[:AT_ONCE], left[AT_ONCE:]
        for audience in tuple(self._audiences):  # one that does not read is cut, and leaves
            audience.due.update(later)
            audience.look(present, self._rules(), names=now)
        if later:
            self._news.notify()

    def reload(self) -> None:
        """Go by the rules of now: tell what differs by them, and end what they do not allow."""
        with self._containment.around("push", "followers"):
            self._reload()
            return
        self._end()

    def _reload(self) -> None:
        for audience in tuple(self._audiences):
            rules = self._rules()
            ceiling = rules.ceiling_of(audience.about)
            for follower, about in dict(audience.members).items():
                if ceiling is None or not ceiling.estate or rules.ceiling_of(about) != ceiling:
                    follower.cut("what it may follow is configured otherwise: it is to ask again")
            if ceiling is None or not ceiling.estate:
                self._drop(audience)
            else:
                audience.ceiling = ceiling
                audience.look_anew()
        self._news.notify()

    async def run(self) -> None:
        """Look at many, so many a turn of the loop, whenever there are many to be looked at."""
        while True:
            await self._news.wait_for(lambda: any(each.is_behind for each in self._audiences))
            with self._containment.around("push", "followers"):
                await self._look_at_some()
                continue
            self._end()

    async def _look_at_some(self) -> None:
        present = self._present
        if present is None:
            await self._begin()
        elif not present.is_whole:
            present.fill(AT_ONCE)
        else:
            behind = next(each for each in self._audiences if each.is_behind)
            behind.look_through(present, self._rules(), count=AT_ONCE)
            self._news.notify()
        await anyio.lowlevel.checkpoint()

    async def _begin(self) -> None:
        """Take in who is there: all that is on disk, as every batch is from this turn on."""
        rows = await self._table.rows()
        if self._audiences:
            self._present = Present(list(rows.sessions.values()), self._spellings.told_as)

    def _end(self) -> None:
        """Begin anew after a fault: nobody knows what was told. Who follows comes back and asks."""
        for audience in tuple(self._audiences):
            for follower in dict(audience.members):
                follower.cut("a fault of sessiond itself: see unexpected failure")
            self._drop(audience)

    def _linger(self, audience: Audience) -> None:
        """Keep for a while what nobody follows."""
        if any(audience.members) or audience.is_lingering:
            return
        audience.is_lingering = True
        at = self._clock.monotonic() + LINGER
        self._clock.call_at(at, partial(self._drop_if_left, audience))

    def _drop_if_left(self, audience: Audience) -> None:
        audience.is_lingering = False
        if not any(audience.members):
            self._drop(audience)

    def _drop(self, audience: Audience) -> None:
        if audience in self._audiences:
            self._audiences.remove(audience)
        if not self._audiences:
            self._present = None


async def _copied(parts: Iterable[bytes]) -> bytes:
    """Return the parts as one, some at a time."""
    whole, copied = BytesIO(), 0  # gives what was written without another copy
    for part in parts:
        whole.write(part)
        if whole.tell() - copied > COPIED_AT_ONCE:
            copied = whole.tell()
            await anyio.lowlevel.checkpoint()
    return whole.getvalue()
