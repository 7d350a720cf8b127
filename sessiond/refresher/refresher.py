"""Refreshes grants ahead of time, and asks again for those that cannot be refreshed."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial
from typing import NamedTuple

import anyio
import anyio.lowlevel
import structlog
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.changes import BeginRefresh, Forsake
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    StoreError,
    UnusableAnswer,
)
from sessiond.core.events import SessionRevoked
from sessiond.core.grant import Grant, GrantId, TokenHash
from sessiond.core.queries import FindGrant
from sessiond.core.rows import Drop, Put
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey
from sessiond.due import DueQueue
from sessiond.refresher.access_tokens import AccessTokens
from sessiond.refresher.asking_again import AskingAgain
from sessiond.refresher.giving_back import GivingBack
from sessiond.refresher.one_refresh import OneRefresh, Outcome, Place
from sessiond.refresher.pace import retry_in
from sessiond.refresher.refresh_issuer import RefreshIssuer, RefreshIssuers, RefreshSettings
from sessiond.table import Committed, Table

AT_ONCE = 64  # grants looked at in one go

log = structlog.get_logger()


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
    why: str = ""  # it was put off


class _Why(Enum):
    """Why a grant is attended to."""

    DUE = auto()  # it may be
    PROOF = auto()  # its refresh token is to be proved, due or not, by who has a place for it
    WANTED = auto()  # its access token is, due or not


class Refresher:
    """Owns the queue of what is due. The table says what really is."""

    def __init__(
        self,
        settings: Callable[[], RefreshSettings],
        table: Table,
        *,
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
            clock: Wall time decides what is due.
            hashed: Turns a token into what it is known by.
            draw: Gives numbers uniform in [0, 1).
            note_late: Told how many seconds after it was due each refresh begins.
            containment: Where exceptions end that no issuer's part may raise.
        """
        self._settings = settings
        self._issuers = RefreshIssuers(settings)
        self._containment = containment or Containment()
        self._table = table
        self._clock = clock
        self._draw = draw
        self._one_refresh = OneRefresh(
            table,
            self._issuers,
            clock=clock,
            hashed=hashed,
            draw=draw,
            note_late=note_late,
            is_stopping=lambda: self._watching.cancel_called,
            keep_access=self.keep_access,
        )
        self._access = AccessTokens()
        self._due = DueQueue[_Key](clock)
        self._held: dict[GrantId, _Held] = {}
        self._asking_again = AskingAgain(table, clock)
        self._giving_back = GivingBack(table, self._issuers.get, self._containment, clock)
        self._proving = Counter[GrantId]()  # how many logins wait for the proof
        self._busy: dict[GrantId, anyio.Event] = {}
        self._tasks: TaskGroup | None = None
        self._watching = anyio.CancelScope()
        self._closed = anyio.Event()  # the table has told of its last batch

    def follow(self, grant: Grant) -> None:
        """Look at a grant when it is due."""
        if grant.refresh_at is not None:
            self._due.add(grant.refresh_at, _key(grant))

    def follow_all(self, grants: Iterable[Grant]) -> None:
        """Look at each of very many grants when it is due."""
        self._due.add_all((each.refresh_at, _key(each)) for each in grants if each.refresh_at)

    def hold(self, grant: GrantId, *, issuer: str, access: Secret) -> None:
        """Keep an access token in memory, to ask the issuer for it again from time to time."""
        recheck, asked = self._settings().recheck, self._issuers.get(issuer)
        is_asked_again = asked is not None and recheck > 0 and asked.verifier.is_online
        if is_asked_again and self._asking_again.keep(grant, access):  # else it is queued already
            self._due.add_in(recheck, _Key(grant, issuer))

    def keep_access(self, grant: GrantId, access: Secret, *, until: datetime) -> None:
        """Keep an access token in memory until its end, where anybody may ask for it."""
        if self._settings().keeps_access:
            self._access.keep(grant, access, until=until, now=self._clock.now())
        elif self._access:
            self._access.clear()

    def access_token(self, grant: GrantId) -> Secret | None:
        """Return a grant's access token, if it is in memory and good still."""
        return self._access.find(grant, now=self._clock.now())

    async def refresh_for(self, grant: GrantId) -> None:
        """Have a grant's access token in memory: refresh it now, or wait until it is refreshed.

        Raises:
            IssuerUnavailable: There is none to be had: for now, or without a refresh token.
            StoreError: Nobody knows.
        """
        found = await self._table.ask(FindGrant(grant=grant))
        if found is None or not found.has_refresh_token:
            raise IssuerUnavailable(
                "the session came without a refresh token and its access token is not in memory "
                "any more (sessiond was started anew), wanted one: have the session renewed"
            )
        if grant not in self._busy and not self._is_too_early(_key(found)):
            self._start(_key(found), lambda: None, why=_Why.WANTED)
        if grant in self._busy:
            await self._busy[grant].wait()
        if self.access_token(grant) is None:
            held = self._held.get(grant)
            raise IssuerUnavailable(
                "the user's access token could not be refreshed, wanted a new one: "
                f"{(held and held.why) or 'see the log (refresh refused, refresh put off)'}"
            )

    async def run(self) -> None:
        """Refresh what is due until closed; a call under way is then still finished."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._watch)
            await self._closed.wait()
            self._watching.cancel()

    def take(self, batch: Committed) -> None:
        """Follow new and changed grants, let go of dropped ones, give back what they leave."""
        left: dict[GrantId, Grant] = {}  # of a grant only how the batch leaves it counts
        for write in batch.writes:
            match write:
                case Put(Grant() as grant):
                    left[grant.id] = grant
                case Drop(Grant() as grant, give_back=is_owed):
                    left.pop(grant.id, None)
                    self._held.pop(grant.id, None)
                    self._asking_again.drop(grant.id)
                    self._access.drop(grant.id)
                    self._one_refresh.forget(grant.id)
                    if is_owed and grant.has_refresh_token and self._tasks is not None:
                        self._giving_back.owe(grant, self._tasks)
                case _:
                    pass
        for grant in left.values():
            if grant.in_flight_since is None or grant.id not in self._busy:
                self.follow(grant)  # else how it ends says what is due next
        _tell_of_others(batch)

    def close(self) -> None:
        """End `run` when every token that is owed to an issuer is given back: nothing comes now."""
        self._closed.set()

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
        issuer = self._issuers.get(grant.issuer)
        if issuer is None or self._is_too_early(_key(grant)):
            return
        self._proving[grant.id] += 1
        try:
            await issuer.unproved.take(process, grant.subject)
        except anyio.get_cancelled_exc_class():
            if self._proving[grant.id] == 1 and self._tasks is not None:
                self._tasks.start_soon(self._forsake, grant.id)
            raise
        finally:
            self._proving[grant.id] -= 1
            if not self._proving[grant.id]:
                del self._proving[grant.id]
        self._start(_key(grant), issuer.unproved.give, why=_Why.PROOF)
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
        issuer = self._issuers.get(key.issuer)
        if issuer is None:
            self._start(key, lambda: None)
            return
        begun = issuer.begun_unproved if key.is_unproved else issuer.begun
        begun.when_free(partial(self._start, key, begun.give), None, key.subject)

    def _is_too_early(self, key: _Key) -> bool:
        """Say whether it was put off, whatever else says that it is due."""
        held = self._held.get(key.grant)
        later = None if held is None else held.not_before
        if later is None or later <= self._clock.now():
            return False
        self._due.add(later, key)
        return True

    def _start(self, key: _Key, leave: Callable[[], None], *, why: _Why = _Why.DUE) -> None:
        """Attend to a grant on a place that is then left, if nobody does already."""
        if key.grant in self._busy or self._tasks is None or self._watching.cancel_called:
            leave()
            return
        self._busy[key.grant] = anyio.Event()
        self._tasks.start_soon(self._attend, key, leave, why)

    async def _attend(self, key: _Key, leave: Callable[[], None], why: _Why) -> None:
        """Do what is due for one grant: at most one task at a time does."""
        issuer = self._issuers.get(key.issuer)
        try:
            with self._containment.around("refresh", key.issuer):
                await self._do(key, issuer, why)
                return
            self._begin_again(key)
        finally:
            self._busy.pop(key.grant).set()
            leave()

    async def _do(self, key: _Key, issuer: RefreshIssuer | None, why: _Why) -> None:
        try:
            grant = await self._table.ask(
                BeginRefresh(
                    grant=key.grant, at_once=why is _Why.PROOF, is_wanted=why is _Why.WANTED
                )
            )
            if grant is None:
                await self._ask_again(key, issuer)
            elif issuer is not None:
                await self._refresh(grant, issuer, _place(grant, issuer, why))
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

    async def _refresh(self, grant: Grant, begun_on: RefreshIssuer, place: Place) -> None:
        outcome = await self._one_refresh.of(grant, begun_on, place)
        match outcome:
            case Outcome.REFRESHED:
                self._held.pop(grant.id, None)
            case Outcome.OVER:
                pass
            case datetime():
                self._put_off(grant, outcome)
            case IssuerUnavailable():
                self._retry_later(grant, outcome)

    def _retry_later(self, grant: Grant, unavailable: IssuerUnavailable) -> None:
        """Try again with backoff, moved by a draw; the lease's end ends it all."""
        pause = self._pause(grant.id)
        if isinstance(unavailable, UnusableAnswer | IssuerThrottled):
            pause = max(pause, unavailable.retry_after)
        if isinstance(unavailable, IssuerThrottled):  # a wish for all like it, not for this alone
            until = self._clock.now() + timedelta(seconds=unavailable.retry_after)
            self._issuers.pace(grant).close(grant, until)
        self._put_off(grant, self._clock.now() + timedelta(seconds=pause))
        self._held[grant.id].why = str(unavailable)
        log.warning(
            "refresh put off", issuer=grant.issuer, error=str(unavailable), seconds=round(pause, 1)
        )

    def _put_off(self, grant: Grant, until: datetime) -> None:
        self._held.setdefault(grant.id, _Held()).not_before = until
        if until < grant.lease.expires_at:
            self._due.add(until, _key(grant))

    async def _ask_again(self, key: _Key, begun_on: RefreshIssuer | None) -> None:
        """Ask the issuer whether it still accepts a token that cannot be refreshed."""
        issuer = None if begun_on is None else self._issuers.now(begun_on, key.issuer)
        if issuer is None or not self._settings().recheck:
            self._asking_again.drop(key.grant)
        elif await self._asking_again.ask(
            key.grant, issuer, partial(self._issuers.is_newest, issuer, key.issuer)
        ):
            self._due.add_in(self._settings().recheck, key)
        self._held.pop(key.grant, None)


def _place(grant: Grant, issuer: RefreshIssuer, why: _Why) -> Place:
    """Return where a grant gets its places at an issuer; what is to be proved at once has one."""
    if why is _Why.PROOF:
        return nullcontext
    if grant.is_unproved:
        return partial(issuer.unproved.place, None, grant.subject)
    return lambda: issuer.limiter


def _tell_of_others(batch: Committed) -> None:
    """Log whose session has ended since the issuer takes the user for another, or renamed him."""
    for notice in batch.notices:
        match notice.event:
            case SessionRevoked(reason=Refusal.USERMISMATCH.value) as ended:
                log.warning(
                    "the user is another now, session ended",
                    issuer=ended.issuer,
                    user=ended.user,
                    session=str(ended.session),
                )
            case _:
                pass
