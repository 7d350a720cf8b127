"""Tokens by a refresh token, which is spent as carefully as any user's.

That it is about to be sent is on disk before it is, and the next one before anybody uses what came
with it. One that the issuer refuses is never sent again. After a crash between, the old one is
tried once more: what the issuer then says decides.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import structlog

from sessiond.clock import Clock
from sessiond.core.changes import (
    BeginSourceRefresh,
    Change,
    KeepSourceGrant,
    RecordEvents,
    RefuseSource,
    RotateSource,
)
from sessiond.core.errors import RefreshRefused, StoreError, TableClosed, UnusableAnswer
from sessiond.core.events import Event
from sessiond.core.grant import TokenHash
from sessiond.core.queries import FindSourceGrant
from sessiond.core.secret import Secret
from sessiond.core.source_grant import SourceGrant
from sessiond.refresher.refresh_issuer import Tokens
from sessiond.sources.fetching import Call, Key
from sessiond.sources.source_client import SourceClient, SourceRefused
from sessiond.table import Table

RETRY_IN = 2.0  # seconds, while the disk takes nothing

A = TypeVar("A")

log = structlog.get_logger()


class Seeded:
    """By the refresh token in the store: from a file at first, or from an operator's sign-in."""

    must_finish = True

    def __init__(
        self,
        name: str,
        *,
        client: SourceClient,
        table: Table,
        seed: Secret | None,
        hashed: Callable[[Secret], TokenHash],
        clock: Clock,
        alone: anyio.Lock,
    ) -> None:
        """Read nothing yet.

        Args:
            name: The source's.
            client: Whose refresh tokens they are.
            table: Asked to record each step.
            seed: What the file holds now; None: there is none.
            hashed: Turns a token into what it is known by.
            clock: Waits for the disk.
            alone: Held while one is spent: an earlier configuration's call may be under way.
        """
        self._name = name
        self._client = client
        self._table = table
        self._seed = seed
        self._hashed = hashed
        self._clock = clock
        self._alone = alone

    @property
    def seed(self) -> TokenHash | None:
        """What the file's text is known by."""
        return None if self._seed is None else self._hashed(self._seed)

    async def tokens(self, key: Key, call: Call) -> Tokens:
        """Return the next; see `sessiond.sources.fetching.Fetching`."""
        async with self._alone:
            await self._take_seed()
            grant = await self._table.ask(BeginSourceRefresh(name=self._name))
            return await self._spend(await self._usable(grant), call)

    async def keep(self, refresh_token: Secret, told: Event) -> None:
        """Keep what an operator's sign-in has brought; the file as it is counts no more.

        Args:
            refresh_token: The new one.
            told: Tells of it, in the same transaction.

        Raises:
            StoreError: It is not on disk.
        """
        async with self._alone:
            found = await self.standing()
            # The text that was in the file last is spent, also where the file is empty by now.
            seed = self.seed or (None if found is None else found.seed)
            kept = self._kept(refresh_token, seed)
            for answer in await self._table.ask_all([kept, RecordEvents(events=(told,))]):
                if isinstance(answer, StoreError):
                    raise answer

    async def is_authorized(self) -> bool:
        """Say whether there is a refresh token to send, or will be."""
        found = await self.standing()
        if self._seed is not None and (found is None or found.seed != self.seed):
            return True
        is_ours = found is not None and found.client == self._client.identity
        return is_ours and found is not None and not found.is_refused

    async def standing(self) -> SourceGrant | None:
        """Return what there is to refresh with."""
        return await self._table.ask(FindSourceGrant(name=self._name))

    async def _take_seed(self) -> None:
        """Take what is new in the file: a text there is used once, whatever became of it."""
        found = await self.standing()
        if self._seed is not None and (found is None or found.seed != self.seed):
            await self._table.ask(self._kept(self._seed, self.seed))
            log.info("source seed taken", source=self._name)

    def _kept(self, refresh_token: Secret, seed: TokenHash | None) -> KeepSourceGrant:
        return KeepSourceGrant(
            name=self._name,
            client=self._client.identity,
            seed=seed,
            refresh_token=refresh_token,
        )

    async def _usable(self, grant: SourceGrant | None) -> Secret:
        """Return the refresh token that may be sent.

        Raises:
            SourceRefused: There is none.
        """
        advice = f"sign in with sessionctl sources authorize {self._name}, or put another there"
        if grant is None:
            found = await self.standing()
            said = "was refused" if found is not None and found.is_refused else "is missing"
            raise SourceRefused(f"the refresh token {said}, wanted one that is good: {advice}")
        if grant.client != self._client.identity:
            raise SourceRefused(
                f"the refresh token is of {grant.client}, wanted one of {self._client.identity}: "
                f"{advice}"
            )
        token = await self._table.secret(grant)
        if token is None:
            raise SourceRefused(
                f"the refresh token does not open with the store's key, wanted one: {advice}"
            )
        return token

    async def _spend(self, token: Secret, call: Call) -> Tokens:
        try:
            tokens = await call(partial(self._client.refresh, token))
        except RefreshRefused:
            await self._persist(RefuseSource(name=self._name))
            raise
        rotated = RotateSource(name=self._name, refresh_token=tokens.refresh_token)
        if not await self._persist(rotated):
            raise UnusableAnswer(
                "another refresh token took the place of the one that was sent, wanted its token: "
                "ask again"
            )
        return tokens

    async def _persist(self, change: Change[A]) -> A:
        """Write what the issuer said of a refresh token, however long it takes.

        A new one exists nowhere else, and a refused one is not to be sent again.
        """
        while True:
            try:
                return await self._table.ask(change)
            except TableClosed:
                raise
            except StoreError as error:
                log.error("issuer's answer not on disk yet", error=str(error))
                await self._clock.sleep(RETRY_IN)
