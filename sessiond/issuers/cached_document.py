"""A document of the issuer's, fetched when it is needed and kept for a while."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

import anyio

from sessiond.clock import Clock
from sessiond.core.errors import IssuerUnavailable

RETRY_AFTER = 30.0  # seconds between two attempts to replace what is still good enough to use
MAX_STALE = 24 * 3600.0  # seconds after which nothing is believed any more, issuer or no issuer

T = TypeVar("T")


class Kept(Generic[T]):
    """The newest copy of one document: fetched once for all who wait for it.

    Called from many tasks at once, any of which may be cancelled: the next one fetches then.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], *, max_age: float, clock: Clock) -> None:
        """Keep nothing yet.

        Args:
            fetch: Gets the document, or raises IssuerUnavailable.
            max_age: Seconds after which to fetch again. Where that fails, the old copy serves.
            clock: Measures the ages.
        """
        self._fetch = fetch
        self._max_age = max_age
        self._clock = clock
        self._one = anyio.Lock()
        self._copy: T | None = None
        self.copied_at = 0.0  # monotonic seconds
        self._tried_at = 0.0
        self._tries = 0  # those that ended, well or not
        self._failure: IssuerUnavailable | None = None  # of the last one

    @property
    def newest(self) -> T | None:
        """What was fetched last, however old; None before the first time."""
        return self._copy

    @property
    def at_hand(self) -> T | None:
        """What `get` would return without waiting, or None where it would fetch."""
        return self._copy if self._age() < self._max_age else None

    @property
    def failure(self) -> IssuerUnavailable | None:
        """Why the last attempt to fetch it failed; None: it did not, or there was none."""
        return self._failure

    @property
    def is_under_way(self) -> bool:
        """Say whether it is being fetched, so that `fetch` would share that."""
        return self._one.locked()

    def take_over(self, other: "Kept[T]") -> None:
        """Go on with another's copy of the same document, as old as it is."""
        self._copy, self.copied_at = other.newest, other.copied_at

    async def get(self) -> T:
        """Return the document, at most MAX_STALE old.

        Raises:
            IssuerUnavailable: It could not be fetched and there is no copy to use instead.
        """
        at_hand = self.at_hand
        if at_hand is not None:
            return at_hand
        if self._copy is None or self._age() >= MAX_STALE:
            return await self.fetch()
        if self._clock.monotonic() - self._tried_at >= RETRY_AFTER:
            self._tried_at = self._clock.monotonic()  # nobody else waits, if this one gives up
            with suppress(IssuerUnavailable):  # the old copy is good enough until MAX_STALE
                return await self.fetch()
        return self._copy

    async def fetch(self) -> T:
        """Fetch now, or share the outcome of the fetch that was under way.

        Raises:
            IssuerUnavailable: It failed; a copy stays.
        """
        tries = self._tries
        async with self._one:
            if self._tries == tries:
                await self._try()
            if self._failure is not None:
                raise self._failure
            assert self._copy is not None  # noqa: S101 - no failure, so there is one
            return self._copy

    async def _try(self) -> None:
        try:
            self._copy = await self._fetch()
            self.copied_at = self._clock.monotonic()
            self._failure = None
        except IssuerUnavailable as error:
            self._failure = error
        self._tries += 1
        self._tried_at = self._clock.monotonic()

    def _age(self) -> float:
        return self._clock.monotonic() - self.copied_at
