"""Refreshes grants ahead of time, and asks again for those that cannot be refreshed."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

import anyio
import anyio.lowlevel
import structlog
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from sessiond.bus import Committed
from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.changes import BeginRefresh, Change, Forsake, Refresh, Refuse, Rotate
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    StoreError,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.grant import Grant, GrantId, TokenHash
from sessiond.core.rows import Drop, Put
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey
from sessiond.due import DueQueue
from sessiond.refresher.asking_again import AskingAgain
from sessiond.refresher.giving_back import GivingBack, give_back
from sessiond.refresher.pace import FIRST_RETRY, Pace, retry_in
from sessiond.refresher.refresh_issuer import RefreshIssuer, RefreshSettings, Tokens, TokenSource
from sessiond.table import Table

# What time alone may mend in a fresh token: the issuer's clock is ahead, or its key not here yet.
NOT_YET_GOOD = frozenset({Refusal.NOTYET, Refusal.BADSIGNATURE})
AT_ONCE = 64  # grants looked at in one go

log = structlog.get_logger()
A = TypeVar("A")

__all__ = ["RefreshIssuer", "RefreshSettings", "Refresher", "TokenSource", "Tokens"]


class _Key(NamedTuple):
    """What is due."""

    grant: GrantId
    issuer: str
    subject: str = ""
    is_unproved: bool = False  # as it was when this was noted


def _key(grant: Grant) -> _Key:
    return _Key(grant.id, grant.issuer, grant.subject, grant.is_unproved)


@dataclass(slots=True)
class _Held:
    """What the refresher alone knows of a grant."""

    failures: int = 0
    not_before: datetime | None = None  # when the issuer may be asked for it again


class Refresher:
    """Owns the queue of what is due. The table says what really is."""

    def __init__(
        self,
        settings: Callable[[], RefreshSettings],
        table: Table,
        *,
        news: MemoryObjectReceiveStream[Committed],
        clock: Clock,
        hashed: Callable[[Secret], TokenHash],
        draw: Callable[[], float],
        note_late: Callable[[float], object] = lambda _: None,
        containment: Containment | None = None,
    ) -> None:
        """Make a refresher.

        Args:
            settings: Those of now. What is under way ends on its own, but is judged by them.
            table: Asked to record each step.
            news: What the table has committed: new and changed grants.
            clock: Wall time decides what is due.
            hashed: Turns a token into what it is known by.
            draw: Gives numbers uniform in [0, 1).
            note_late: Told how many seconds after it was due each refresh begins.
            containment: Where exceptions end that no issuer's part may raise.
        """
        self._settings = settings
        self._containment = containment or Containment()
        self._table = table
        self._news = news
        self._clock = clock
        self._hashed = hashed
        self._draw = draw
        self._note_late = note_late
        self._due = DueQueue[_Key](clock)
        self._held: dict[GrantId, _Held] = {}
        self._asking_again = AskingAgain(table, clock)
        self._giving_back = GivingBack(self._issuer, self._containment, clock)
        self._proving = Counter[GrantId]()  # how many logins wait for the proof
        self._busy: dict[GrantId, anyio.Event] = {}
        self._begun = Counter[str]()  # by issuer; what is due beyond its budget waits in a queue
        self._waiting: defaultdict[str, deque[_Key]] = defaultdict(deque)
        self._tasks: TaskGroup | None = None
        self._watching = anyio.CancelScope()

    def forget_gone(self) -> None:
        """Forget what waits for issuers that are not there any more: their grants end."""
        for issuer in self._waiting.keys() - self._settings().issuers.keys():
            del self._waiting[issuer]

    def follow(self, grant: Grant) -> None:
        """Look at a grant when it is due."""
        if grant.refresh_at is not None:
            self._due.add(grant.refresh_at, _key(grant))

    def hold(self, grant: GrantId, *, issuer: str, access: Secret) -> None:
        """Keep an access token in memory, to ask the issuer for it again from time to time."""
        recheck, refresh_issuer = self._settings().recheck, self._issuer(issuer)
        is_asked_again = (
            refresh_issuer is not None and recheck > 0 and refresh_issuer.verifier.is_online
        )
        if is_asked_again and self._asking_again.keep(grant, access):  # else it is queued already
            self._due.add_in(recheck, _Key(grant, issuer))

    async def run(self) -> None:
        """Refresh what is due until the news ends; a call under way is then still finished."""
        async with self._news, anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._watch)
            async for batch in self._news:
                for write in batch.writes:
                    match write:
                        case Put(Grant() as grant):
                            self.follow(grant)
                        case Drop(Grant() as grant, give_back=is_owed):
                            self._held.pop(grant.id, None)
                            self._asking_again.drop(grant.id)
                            if is_owed and grant.refresh_token is not None:
                                self._giving_back.owe(grant, self._tasks)
                        case _:
                            pass
            self._watching.cancel()

    async def settle(self) -> None:
        """Begin nothing more, and return when every call under way is over and recorded."""
        self._watching.cancel()
        for over in tuple(self._busy.values()):
            await over.wait()

    async def prove(self, grant: Grant, *, process: ProcessKey) -> None:
        """Refresh in turn and return when that is over, whatever came of it.

        Cancelled before its turn it is not sent, and the grant goes if nobody else waits for it.

        Args:
            grant: One that is not proved, as the table has just said.
            process: Turns go round by it, and within it by subject.
        """
        refresh_issuer = self._issuer(grant.issuer)
        if refresh_issuer is None or self._is_too_early(_key(grant)):
            return
        self._proving[grant.id] += 1
        try:
            await refresh_issuer.unproved.take(process, grant.subject)
        except anyio.get_cancelled_exc_class():
            if self._proving[grant.id] == 1 and self._tasks is not None:
                self._tasks.start_soon(self._forsake, grant.id)
            raise
        finally:
            self._proving[grant.id] -= 1
            if not self._proving[grant.id]:
                del self._proving[grant.id]
        self._start(_key(grant), refresh_issuer.unproved.give, at_once=True)
        if grant.id in self._busy:
            await self._busy[grant.id].wait()

    async def _forsake(self, grant: GrantId) -> None:
        with suppress(StoreError):  # it goes when it is due, then
            await self._table.ask(Forsake(grant=grant))

    async def _watch(self) -> None:
        with self._watching:
            while True:
                for key in await self._due.take(AT_ONCE):
                    self._begin(key)
                await anyio.lowlevel.checkpoint()  # when all are due at once, let logins go between

    def _begin(self, key: _Key) -> None:
        if self._is_too_early(key) or key.grant in self._busy:
            return
        refresh_issuer = self._issuer(key.issuer)
        if key.is_unproved and refresh_issuer is not None:
            begin = partial(self._start, key, refresh_issuer.unproved.give)
            refresh_issuer.unproved.when_free(begin, None, key.subject)
        elif self._has_place(key.issuer):
            self._begun[key.issuer] += 1
            self._start(key, partial(self._leave_place, key.issuer))
        else:
            self._waiting[key.issuer].append(key)

    def _is_too_early(self, key: _Key) -> bool:
        """Say whether it was put off, whatever else says that it is due."""
        held = self._held.get(key.grant)
        later = None if held is None else held.not_before
        if later is None or later <= self._clock.now():
            return False
        self._due.add(later, key)
        return True

    def _start(self, key: _Key, leave: Callable[[], None], *, at_once: bool = False) -> None:
        """Attend to a grant on a place that is then left, if nobody does already."""
        if key.grant in self._busy or self._tasks is None or self._watching.cancel_called:
            leave()
            return
        self._busy[key.grant] = anyio.Event()
        self._tasks.start_soon(self._attend, key, leave, at_once)

    def _has_place(self, issuer: str) -> bool:
        refresh_issuer = self._issuer(issuer)
        return refresh_issuer is None or self._begun[issuer] < refresh_issuer.limiter.total_tokens

    def _leave_place(self, issuer: str) -> None:
        self._begun[issuer] -= 1
        waiting = self._waiting[issuer]
        while waiting and not self._watching.cancel_called and self._has_place(issuer):
            self._begin(waiting.popleft())

    async def _attend(self, key: _Key, leave: Callable[[], None], at_once: bool) -> None:
        """Do what is due for one grant: at most one task at a time does."""
        refresh_issuer = self._issuer(key.issuer)
        try:
            with self._containment.around("refresh", key.issuer):
                await self._do(key, refresh_issuer, at_once)
                return
            self._begin_again(key)
        finally:
            self._busy.pop(key.grant).set()
            leave()

    async def _do(self, key: _Key, refresh_issuer: RefreshIssuer | None, at_once: bool) -> None:
        try:
            grant = await self._table.ask(BeginRefresh(grant=key.grant, at_once=at_once))
            if grant is None:
                await self._ask_again(key, refresh_issuer)
            elif key.is_unproved and refresh_issuer is not None:
                await self._refresh(grant, refresh_issuer)
            elif refresh_issuer is not None:
                async with refresh_issuer.limiter:
                    await self._refresh(grant, refresh_issuer)
        except StoreError as error:
            log.warning("refresh not recorded", error=str(error))
            self._begin_again(key)

    def _begin_again(self, key: _Key) -> None:
        """Look at a grant again soon, and later each time that this does not end as it should."""
        until = self._clock.now() + timedelta(seconds=self._pause(key.grant))
        self._held[key.grant].not_before = until
        self._due.add(until, key)

    def _pause(self, grant: GrantId) -> float:
        """Return the seconds to wait after one more failure."""
        held = self._held.setdefault(grant, _Held())
        held.failures += 1
        return retry_in(held.failures - 1, self._draw())

    async def _refresh(self, grant: Grant, begun_on: RefreshIssuer) -> None:
        refresh_issuer, is_over = (
            self._now(begun_on, grant),
            grant.lease.expires_at <= self._clock.now(),
        )
        if refresh_issuer is None or grant.refresh_token is None or is_over:
            return
        if (
            refresh_issuer.client != grant.client
        ):  # sent for another client it would count as stolen
            self._retry_later(grant, IssuerUnavailable("the refresh token is another client's"))
            return
        closed_until = self._pace(grant).not_before(grant, self._clock.now())
        if closed_until is not None:
            self._put_off(grant, closed_until + timedelta(seconds=FIRST_RETRY * self._draw()))
            return
        if grant.refresh_at is not None and grant.refresh_at <= self._clock.now():
            self._note_late((self._clock.now() - grant.refresh_at).total_seconds())
        try:
            tokens = await refresh_issuer.source.refresh(grant.refresh_token)
        except RefreshRefused as refused:
            log.info("refresh refused", issuer=grant.issuer, error=refused.error)
            self._pace(grant).note_refusal(grant, self._clock.now())
            await self._persist(Refuse(grant=grant.id, reason="refused"))
        except IssuerUnavailable as unavailable:
            self._retry_later(grant, unavailable)
        else:
            await self._take(grant, tokens, refresh_issuer)

    async def _take(self, grant: Grant, tokens: Tokens, given_on: RefreshIssuer) -> None:
        """Keep the new refresh token first: after a crash it is all there is."""
        renewed = tokens.refresh_token
        known_by = None if renewed is None else self._hashed(renewed)
        rotate = Rotate(grant=grant.id, refresh=known_by, refresh_token=renewed)
        known = await self._persist(rotate)
        refresh_issuer = self._now(given_on, grant)
        if not known:
            log.info("refresh thrown away", issuer=grant.issuer)
            if renewed is not None and refresh_issuer is not None:
                await give_back(grant.issuer, renewed, refresh_issuer)
        elif refresh_issuer is not None:
            await self._verify(grant, refresh_issuer, tokens)

    async def _verify(self, grant: Grant, refresh_issuer: RefreshIssuer, tokens: Tokens) -> None:
        """Give the sessions what the new access token says."""
        try:
            verdict = await refresh_issuer.verify(
                tokens.access_token, now=self._clock.now(), expires_in=tokens.expires_in
            )
        except TokenRejected as rejected:
            log.warning("refreshed token rejected", issuer=grant.issuer, reason=rejected.reason)
            if rejected.reason in NOT_YET_GOOD or not self._is_newest(refresh_issuer, grant.issuer):
                self._retry_later(grant, IssuerUnavailable(str(rejected)))
            else:
                await self._persist(Refuse(grant=grant.id, reason=rejected.reason.value))
        except IssuerUnavailable as unavailable:
            self._retry_later(grant, unavailable)
        else:
            refresh = Refresh(grant=grant.id, verdict=verdict, draw=self._draw())
            kept = await self._table.ask(refresh)
            if not kept and not self._is_newest(refresh_issuer, grant.issuer):
                self._retry_later(grant, IssuerUnavailable("its configuration has changed"))
                return
            self._held.pop(grant.id, None)
            if kept:
                self._pace(grant).note_proof(grant)
            log.info("refreshed" if kept else "refresh thrown away", issuer=grant.issuer)

    def _issuer(self, name: str) -> RefreshIssuer | None:
        """Return the issuer that has the name now; None: no one has."""
        return self._settings().issuers.get(name)

    def _pace(self, grant: Grant) -> Pace:
        """Return the pace of the issuer that has the name now; of one that is gone none is kept."""
        return issuer.pace if (issuer := self._issuer(grant.issuer)) else Pace()

    def _is_newest(self, refresh_issuer: RefreshIssuer, issuer: str) -> bool:
        return self._issuer(issuer) is refresh_issuer

    def _now(self, refresh_issuer: RefreshIssuer, of: Grant | _Key) -> RefreshIssuer | None:
        """Return the issuer that has taken an earlier one's place; None: its issuer is gone."""
        newest = self._issuer(of.issuer)
        return newest if newest is not None and newest.iss == refresh_issuer.iss else None

    async def _persist(self, change: Change[A]) -> A:
        """Write what the issuer said of a refresh token, however long it takes.

        A new one exists nowhere else, and a refused one is not to be sent again.
        """
        while True:
            try:
                return await self._table.ask(change)
            except StoreError as error:
                log.error("issuer's answer not on disk yet", error=str(error))
                await self._clock.sleep(FIRST_RETRY)

    def _retry_later(self, grant: Grant, unavailable: IssuerUnavailable) -> None:
        """Try again with backoff, moved by a draw; the lease's end ends it all."""
        pause = self._pause(grant.id)
        if isinstance(unavailable, UnusableAnswer | IssuerThrottled):
            pause = max(pause, unavailable.retry_after)
        if isinstance(unavailable, IssuerThrottled):  # a wish for all like it, not for this alone
            until = self._clock.now() + timedelta(seconds=unavailable.retry_after)
            self._pace(grant).close(grant, until)
        self._put_off(grant, self._clock.now() + timedelta(seconds=pause))
        log.warning(
            "refresh put off", issuer=grant.issuer, error=str(unavailable), seconds=round(pause, 1)
        )

    def _put_off(self, grant: Grant, until: datetime) -> None:
        self._held.setdefault(grant.id, _Held()).not_before = until
        if until < grant.lease.expires_at:
            self._due.add(until, _key(grant))

    async def _ask_again(self, key: _Key, begun_on: RefreshIssuer | None) -> None:
        """Ask the issuer whether it still accepts a token that cannot be refreshed."""
        refresh_issuer = None if begun_on is None else self._now(begun_on, key)
        if refresh_issuer is None or not self._settings().recheck:
            self._asking_again.drop(key.grant)
        elif await self._asking_again.ask(
            key.grant, refresh_issuer, partial(self._is_newest, refresh_issuer, key.issuer)
        ):
            self._due.add_in(self._settings().recheck, key)
        self._held.pop(key.grant, None)
