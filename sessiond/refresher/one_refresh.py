"""One refresh token spent, and what came of it kept: each step on disk before the next."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol, TypeVar

import structlog

from sessiond.clock import Clock
from sessiond.core.changes import Change, Refresh, Refuse, Rotate, StopRefreshing
from sessiond.core.errors import (
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    StoreError,
    TableClosed,
    TokenRejected,
)
from sessiond.core.grant import Grant, GrantId, TokenHash
from sessiond.core.secret import Secret
from sessiond.refresher.giving_back import give_back
from sessiond.refresher.pace import FIRST_RETRY
from sessiond.refresher.refresh_issuer import RefreshIssuer, RefreshIssuers, Tokens
from sessiond.table import Table

MAX_TRIES = 3  # to verify one token that nothing is known of, before another is asked for

A = TypeVar("A")
# What gives a place at an issuer, which is asked so many things at a time.
Place = Callable[[], AbstractAsyncContextManager[object]]

log = structlog.get_logger()


class KeepAccess(Protocol):
    """Keeps the newest access token of a grant."""

    def __call__(self, grant: GrantId, access: Secret, /, *, until: datetime) -> object: ...


class Outcome(Enum):
    """How a refresh ended that needs no other try."""

    REFRESHED = auto()  # or thrown away: the table has it in any case
    OVER = auto()  # refused, or there was nothing to ask


@dataclass(frozen=True, slots=True)
class _Unverified:
    """What an issuer has given that cannot be verified yet: in memory only."""

    tokens: Tokens
    given_on: RefreshIssuer
    given_at: float  # monotonic
    tries: int = 0  # that did not get it verified

    def at(self, monotonic: float) -> Tokens:
        """Return the tokens as they are by now: some of their time is over."""
        stated = self.tokens.expires_in
        if stated is None:
            return self.tokens
        return replace(self.tokens, expires_in=stated - (monotonic - self.given_at))


class OneRefresh:
    """Asks an issuer for the next access token of a grant, and has the table take it."""

    def __init__(
        self,
        table: Table,
        issuers: RefreshIssuers,
        *,
        clock: Clock,
        hashed: Callable[[Secret], TokenHash],
        draw: Callable[[], float],
        note_late: Callable[[float], object],
        is_stopping: Callable[[], bool],
        keep_access: KeepAccess,
    ) -> None:
        """Ask nothing yet.

        Args:
            table: Asked to record each step.
            issuers: Those of now: what was begun on an earlier one is judged by them.
            clock: Wall time.
            hashed: Turns a token into what it is known by.
            draw: Gives numbers uniform in [0, 1).
            note_late: Told how many seconds after it was due a refresh begins.
            is_stopping: Whether the issuer is asked nothing more.
            keep_access: Given each new access token that counts, and when it ends.
        """
        self._table = table
        self._issuers = issuers
        self._clock = clock
        self._hashed = hashed
        self._draw = draw
        self._note_late = note_late
        self._is_stopping = is_stopping
        self._keep_access = keep_access
        self._unverified: dict[GrantId, _Unverified] = {}
        self._under_way: set[GrantId] = set()  # less those that are gone meanwhile

    def forget(self, grant: GrantId) -> None:
        """Let go of what is kept for a grant that is gone, and keep nothing more for it."""
        self._unverified.pop(grant, None)
        self._under_way.discard(grant)

    async def of(
        self, grant: Grant, begun_on: RefreshIssuer, place: Place
    ) -> Outcome | datetime | IssuerUnavailable:
        """Spend the grant's refresh token, which the table has noted to be in flight.

        Where the last one has brought what could not be verified yet, that is tried again instead.
        Of one grant not twice at a time. What the issuer answers is recorded without a place at it,
        so that it may be asked for the next grant meanwhile.

        Args:
            grant: As the table has it now.
            begun_on: The issuer that it was noted for.
            place: One is held for as long as the issuer is asked, another for each time.

        Returns:
            How it ended; or not before when it may be tried; or why it is to be tried again.

        Raises:
            StoreError: What the verified token says could not be written; the token itself was.
        """
        self._under_way.add(grant.id)
        try:
            token = None
            if grant.id not in self._unverified:
                token = await self._table.refresh_token(grant.id)
            async with place():
                given = await self._ask(grant, begun_on, token)
            if isinstance(given, _Unverified):
                return await self._take(grant, given, place)
            return given
        finally:
            self._under_way.discard(grant.id)

    async def _ask(
        self, grant: Grant, begun_on: RefreshIssuer, token: Secret | None
    ) -> Outcome | datetime | IssuerUnavailable | _Unverified:
        issuer = self._issuers.now(begun_on, grant.issuer)
        if issuer is None or not grant.has_refresh_token or self._is_needless(grant):
            return Outcome.OVER
        source = issuer.sources.get(grant.client)
        if source is None:  # sent for another client it would count as stolen
            return IssuerUnavailable(
                "the refresh token is another client's, wanted one of a configured client: have "
                "the user sign in again, or set that client back"
            )
        closed_until = self._issuers.pace(grant).not_before(grant, self._clock.now())
        if closed_until is not None:
            return closed_until + timedelta(seconds=FIRST_RETRY * self._draw())
        kept = self._unverified.pop(grant.id, None)
        if kept is not None:
            return kept
        if token is None:
            await self._table.ask(StopRefreshing(grant=grant.id))
            return Outcome.OVER
        if grant.refresh_at is not None and grant.refresh_at <= self._clock.now():
            self._note_late((self._clock.now() - grant.refresh_at).total_seconds())
        try:
            tokens = await source.refresh(token)
        except RefreshRefused as refused:
            log.info("refresh refused", issuer=grant.issuer, error=refused.said)
            self._issuers.pace(grant).note_refusal(grant, self._clock.now())
            await self._persist(Refuse(grant=grant.id, reason="refused"))
            return Outcome.OVER
        except IssuerUnavailable as unavailable:
            return unavailable.with_traceback(None)
        return _Unverified(tokens, issuer, self._clock.monotonic())

    def _is_needless(self, grant: Grant) -> bool:
        """Say whether it came to nothing while it waited for its place at the issuer."""
        if self._is_stopping() or grant.lease.expires_at <= self._clock.now():
            return True
        return grant.id not in self._under_way  # it was revoked, or nobody is left

    async def _take(
        self, grant: Grant, given: _Unverified, place: Place
    ) -> Outcome | IssuerUnavailable:
        """Keep the new refresh token first: after a crash it is all there is.

        A verdict that needs nobody goes with it, in one batch behind it. Whatever a verifier makes
        of the access token, and be it a bug, the refresh token is written.
        """
        renewed = given.tokens.refresh_token
        known_by = None if renewed is None else self._hashed(renewed)
        rotate = Rotate(grant=grant.id, refresh=known_by, refresh_token=renewed)
        verified: list[Refresh] = []
        issuer = self._issuers.now(given.given_on, grant.issuer)
        try:
            verified = self._verified_now(grant, issuer, given)
        finally:
            known, *kept = await self._persist_first([rotate, *verified])
        if known and issuer is not None and kept:
            return self._refreshed(grant, issuer, given, verified[0], kept=kept[0])
        issuer = self._issuers.now(given.given_on, grant.issuer)
        if known and issuer is not None:
            return await self._verify(grant, issuer, given, place)
        if not known:
            log.info("refresh thrown away", issuer=grant.issuer)
            if renewed is not None and issuer is not None:
                await give_back(renewed, issuer.sources.get(grant.client), issuer=grant.issuer)
        return Outcome.OVER

    def _verified_now(
        self, grant: Grant, issuer: RefreshIssuer | None, given: _Unverified
    ) -> list[Refresh]:
        """Return what the new access token says; nothing where that is not known at once.

        What speaks against it is heard again in `_verify`, and acted upon there.
        """
        tokens = given.at(self._clock.monotonic())
        try:
            verdict = (
                None
                if issuer is None
                else issuer.verify_now(
                    tokens.access_token, now=self._clock.now(), expires_in=tokens.expires_in
                )
            )
        except (TokenRejected, IssuerUnavailable):
            return []
        if verdict is None:
            return []
        return [Refresh(grant=grant.id, verdict=verdict, draw=self._draw())]

    async def _verify(
        self, grant: Grant, issuer: RefreshIssuer, given: _Unverified, place: Place
    ) -> Outcome | IssuerUnavailable:
        """Give the sessions what the new access token says."""
        tokens = given.at(self._clock.monotonic())
        try:
            needs_call = issuer.verifier.needs_call(tokens.access_token)
            async with place() if needs_call else nullcontext():
                verdict = await issuer.verify(
                    tokens.access_token, now=self._clock.now(), expires_in=tokens.expires_in
                )
        except TokenRejected as rejected:
            log.warning("refreshed token rejected", issuer=grant.issuer, reason=rejected.reason)
            return await self._rejected(grant, issuer, given, rejected)
        except IssuerUnavailable as unavailable:
            self._keep(grant, given)
            return unavailable.with_traceback(None)
        refresh = Refresh(grant=grant.id, verdict=verdict, draw=self._draw())
        kept = await self._table.ask(refresh)
        return self._refreshed(grant, issuer, given, refresh, kept=kept)

    def _refreshed(
        self,
        grant: Grant,
        issuer: RefreshIssuer,
        given: _Unverified,
        refresh: Refresh,
        *,
        kept: bool | StoreError,
    ) -> Outcome | IssuerUnavailable:
        """Say how it ended whose verdict the table was asked to take."""
        if isinstance(kept, StoreError):
            raise kept
        if not kept and not self._issuers.is_newest(issuer, grant.issuer):
            return IssuerUnavailable(
                "the issuer's configuration changed meanwhile, wanted a token judged by the new "
                "one: wait, the next try is"
            )
        if kept:
            self._issuers.pace(grant).note_proof(grant)
            if grant.id in self._under_way:  # else it was dropped meanwhile
                ends_at = refresh.verdict.lease.expires_at
                self._keep_access(grant.id, given.tokens.access_token, until=ends_at)
        log.info("refreshed" if kept else "refresh thrown away", issuer=grant.issuer)
        return Outcome.REFRESHED

    async def _rejected(
        self, grant: Grant, issuer: RefreshIssuer, given: _Unverified, rejected: TokenRejected
    ) -> Outcome | IssuerUnavailable:
        """End the sessions, unless time may mend this token or another one may be good."""
        match rejected.reason:
            case Refusal.NOTYET:  # the issuer's clock is ahead, and so will the next token's be
                self._keep(grant, given, at_most=None)
                return IssuerUnavailable(str(rejected))
            case Refusal.BADSIGNATURE:  # its key may not be among the published ones yet
                self._keep(grant, given)
                return IssuerUnavailable(str(rejected))
            case Refusal.EXPIRED if given.tries:
                return IssuerUnavailable(
                    "the new token ran out before it could be verified, wanted a verdict in time: "
                    "see why the earlier tries failed in the log (refreshed token rejected)"
                )
        if not self._issuers.is_newest(issuer, grant.issuer):
            return IssuerUnavailable(str(rejected))
        await self._persist(Refuse(grant=grant.id, reason=rejected.reason.value))
        return Outcome.OVER

    def _keep(self, grant: Grant, given: _Unverified, *, at_most: int | None = MAX_TRIES) -> None:
        """Verify what was given again next time, without another refresh, a few times."""
        if grant.id not in self._under_way:  # it was revoked while its token was verified
            return
        if at_most is None or given.tries < at_most:
            self._unverified[grant.id] = replace(given, tries=given.tries + 1)

    async def _persist_first(self, changes: Sequence[Change[bool]]) -> list[bool | StoreError]:
        """Write the first of these however long it takes, and the rest with it if at once."""
        answers = await self._table.ask_all(changes)
        if not isinstance(answers[0], StoreError):
            return answers
        await self._wait_for_disk(answers[0])
        return [await self._persist(changes[0])]

    async def _persist(self, change: Change[A]) -> A:
        """Write what the issuer said of a refresh token, however long it takes.

        A new one exists nowhere else, and a refused one is not to be sent again.
        """
        while True:
            try:
                return await self._table.ask(change)
            except StoreError as error:
                await self._wait_for_disk(error)

    async def _wait_for_disk(self, error: StoreError) -> None:
        if isinstance(error, TableClosed):
            raise error
        log.error("issuer's answer not on disk yet", error=str(error))
        await self._clock.sleep(FIRST_RETRY)
