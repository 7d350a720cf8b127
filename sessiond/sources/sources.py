"""The sources at work: who asks is told, and what is given is on record."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from functools import partial

import anyio
import anyio.lowlevel
import structlog
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.changes import RecordEvents
from sessiond.core.errors import IssuerUnavailable, StoreError, TokenRejected
from sessiond.core.grant import Grant
from sessiond.core.principal import shown
from sessiond.core.queries import FindSession
from sessiond.core.rows import Drop
from sessiond.due import DueQueue
from sessiond.notifier import Notifier
from sessiond.sources.answer import Answer, NotGiven, Reason
from sessiond.sources.asking import Asking
from sessiond.sources.authorizing import Authorizing
from sessiond.sources.fetching import Key
from sessiond.sources.issued_tally import Asker, IssuedTally, Taken
from sessiond.sources.kept_token import KeptToken
from sessiond.sources.settings import RunningSource, SourceSettings
from sessiond.sources.source import Source
from sessiond.table import Committed, Table

AT_ONCE = 64  # keys looked at in one go
TELL_EVERY = 5.0  # seconds
TOLD_AT_ONCE = 200  # events of one decision
AGAIN_IN = 1.0  # seconds, for whoever has too many that wait

_ENDED = NotGiven(
    reason=Reason.NOTALLOWED,
    detail="the session has ended since the token was asked for, wanted a live one",
)

log = structlog.get_logger()


class Sources:
    """Answers who asks. Tokens are fetched in its tasks, for all who wait."""

    def __init__(
        self,
        settings: Callable[[], SourceSettings],
        table: Table,
        *,
        clock: Clock,
        containment: Containment,
        random: Callable[[], str],
        note: Callable[[str, str], object] = lambda _source, _outcome: None,
    ) -> None:
        """Make it; `run` gives it tasks.

        Args:
            settings: Those of now.
            table: Records who was given what.
            clock: For moments.
            containment: Where exceptions end that no issuer's part may raise.
            random: Gives 256 random bits as text.
            note: Told of each asking: the source, and "given" or the reason why not.
        """
        self.authorizing = Authorizing(clock, containment, random=random)
        self._settings = settings
        self._table = table
        self._clock = clock
        self._note = note
        self._tasks: TaskGroup | None = None
        self._due = DueQueue[tuple[Source, Key]](clock)
        self._waiting = Counter[Hashable]()
        self._tally = IssuedTally()
        self._writing: dict[Asker, anyio.Event] = {}
        self._stopping = anyio.Event()
        self._news = Notifier()  # there are sources, which there were not

    @property
    def now(self) -> Mapping[str, RunningSource]:
        """The sources of now, by their names."""
        return self._settings().sources

    def begin(self) -> None:
        """Have the sources of now make calls: at the start, and after each reload."""
        if self._tasks is None:
            return
        self._news.notify()
        for running in self.now.values():
            source = running.source
            source.begin(self._tasks, partial(self._look_ahead_in, source))

    async def run(self) -> None:
        """Fetch, and tell who was given what, until stopped; calls under way are finished."""
        async with anyio.create_task_group() as self._tasks:
            self.authorizing.begin(self._tasks)
            self.begin()
            async with anyio.create_task_group() as attending:
                attending.start_soon(self._attend)
                attending.start_soon(self._tell)
                await self._stopping.wait()
                attending.cancel_scope.cancel()
            self.authorizing.stop()
            for running in self.now.values():
                running.source.stop()
        await self._told(self._tally.take_all())

    def stop(self) -> None:
        """End `run`: nobody asks any more."""
        self._stopping.set()

    def take(self, batch: Committed) -> None:
        """Let go of the tokens of users whose grants are gone."""
        sources = self.now.values()
        if not sources:  # nothing is looked through where there are none
            return
        gone = [w.row.id for w in batch.writes if isinstance(w, Drop) and isinstance(w.row, Grant)]
        for running in sources if gone else ():
            if running.config.grant != "on_behalf_of":
                continue  # of a thousand sources few hold anything of users
            for grant in gone:
                running.source.drop(grant)

    def find(self, asking: Asking) -> Answer | None:
        """Return the answer that needs nobody; None: ask `answer`."""
        judged = asking.judged(self.now)
        if isinstance(judged, NotGiven):
            return self._noted(asking, judged)
        running, key = judged
        found = running.source.find(key)
        if isinstance(found, NotGiven):
            return self._noted(asking, found)
        if found is None or not self._is_repeat(asking):
            return None
        return self._noted(asking, found)

    async def answer(self, asking: Asking) -> Answer:
        """Return the answer. Who is cancelled leaves; the call goes on, and its token is kept."""
        judged = asking.judged(self.now)
        if isinstance(judged, NotGiven):
            return self._noted(asking, judged)
        source, key = judged[0].source, judged[1]
        found = source.find(key)
        if found is None:
            found = await self._waited(asking.who, source, key)
        if isinstance(found, KeptToken):
            try:
                if await self._has_ended(asking):
                    return self._noted(asking, _ENDED)
                await self._recorded(asking)
            except StoreError as error:
                found = NotGiven(reason=Reason.UNAVAILABLE, detail=str(error))
        return self._noted(asking, found)

    async def _has_ended(self, asking: Asking) -> bool:
        """Say whether the session ended while the issuer was asked on its behalf."""
        if asking.session is None:
            return False
        session = asking.session.session
        find = FindSession(process=session.process, session=session.id)
        return await self._table.ask(find) is None

    def late(self, asking: Asking) -> NotGiven:
        """Return what is told whose time is over."""
        told = NotGiven(
            reason=Reason.UNAVAILABLE,
            detail="the issuer has not answered in time, wanted it to: what it says is kept, so "
            "ask again in a moment",
        )
        self._noted(asking, told)
        return told

    async def _waited(self, who: Hashable, source: Source, key: Key) -> Answer:
        if self._waiting[who] >= self._settings().waiting:
            return NotGiven(
                reason=Reason.THROTTLED,
                detail="too many askings of yours wait for issuers, wanted fewer: wait for them",
                retry_after=AGAIN_IN,
            )
        self._waiting[who] += 1
        try:
            return await source.join(key).answer()
        except (IssuerUnavailable, TokenRejected) as stopping:
            return NotGiven(reason=Reason.UNAVAILABLE, detail=str(stopping))
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]

    def _is_repeat(self, asking: Asking) -> bool:
        return self._tally.repeat(asking.asker, asking.issue, self._clock.monotonic())

    async def _recorded(self, asking: Asking) -> None:
        """Return when who was given what is on disk, or counted with what is."""
        asker = asking.asker
        while not self._is_repeat(asking):
            writing = self._writing.get(asker)
            if writing is None:
                await self._write_first(asking)
                return
            await writing.wait()

    async def _write_first(self, asking: Asking) -> None:
        asker, issue = asking.asker, asking.issue
        written = self._writing[asker] = anyio.Event()
        try:
            first = issue.event(1, self._clock.now())
            await self._table.ask(RecordEvents(events=(first,)))
            self._tally.open(asker, issue, self._clock.monotonic())
        finally:
            del self._writing[asker]
            written.set()

    async def _attend(self) -> None:
        await self._news.wait_for(lambda: bool(self.now))
        while True:
            for source, key in await self._due.take(AT_ONCE):
                running = self.now.get(source.name)
                if running is not None and running.source is source:  # else it was replaced
                    source.look_ahead(key)
            await anyio.lowlevel.checkpoint()

    async def _tell(self) -> None:
        await self._news.wait_for(lambda: bool(self.now))
        while True:
            await self._clock.sleep(TELL_EVERY)
            await self._told(self._tally.take(self._clock.monotonic()))

    async def _told(self, taken: Taken) -> None:
        """Tell of them, some at a time: one decision is not to hold the loop for all of them."""
        while taken:
            now = self._clock.now()
            events = tuple(issue.event(count, now) for issue, count in taken[:TOLD_AT_ONCE])
            try:
                await self._table.ask(RecordEvents(events=events))
            except StoreError as error:
                log.warning("issued tokens not told of yet", error=str(error))
                self._tally.put_back(taken)
                return
            taken = taken[TOLD_AT_ONCE:]

    def _look_ahead_in(self, source: Source, seconds: float, key: Key) -> None:
        self._due.add_in(max(seconds, 0.0), (source, key))

    def _noted(self, asking: Asking, answer: Answer) -> Answer:
        is_known = asking.source in self.now
        outcome = "given" if isinstance(answer, KeptToken) else answer.reason.value
        self._note(asking.source if is_known else "", outcome)
        if isinstance(answer, NotGiven):
            log.info(
                "source token not given",
                source=shown(asking.source),
                process="" if asking.process is None else asking.process.name,
                uid=None if asking.by is None else asking.by.uid,
                reason=answer.reason.value,
                detail=answer.detail,
            )
        return answer
