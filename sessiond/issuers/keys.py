"""The keys an issuer publishes (RFC 7517, 5), kept and fetched again when a token needs it."""

import math
from typing import NoReturn

import structlog
from anyio.lowlevel import checkpoint

from sessiond.clock import Clock
from sessiond.core.errors import IssuerUnavailable, UnusableAnswer
from sessiond.issuers.cached_document import MAX_STALE, RETRY_AFTER, Kept
from sessiond.issuers.discovery import Discovery, Endpoint
from sessiond.issuers.http import IssuerHttp
from sessiond.issuers.missed_keys import MissedKeys
from sessiond.jwt.keyset import KeySet, entries, verification_key
from sessiond.jwt.unusable import why_none_is_usable

FETCH_EVERY = 300.0  # seconds: how long a withdrawn key is believed, while the issuer answers

log = structlog.get_logger()


class Keys:
    """One issuer's signature keys. A login waits for them only when they are needed for it."""

    def __init__(self, *, http: IssuerHttp, discovery: Discovery, clock: Clock, name: str) -> None:
        """Know none yet.

        Args:
            http: Asks the issuer.
            discovery: Knows where the keys are.
            clock: Measures their age.
            name: The issuer's, for the log.
        """
        self._http = http
        self._discovery = discovery
        self._clock = clock
        self._name = name
        self.kept = Kept(self._fetch, max_age=MAX_STALE, clock=clock)
        self._missed = MissedKeys(clock)

    def take_over(self, other: "Keys") -> None:
        """Go on with the keys that another has fetched from the same place."""
        self.kept.take_over(other.kept)

    async def run(self) -> NoReturn:
        """Fetch the keys now and from time to time, until cancelled.

        So no login waits for a fetch that is only due by age, and an issuer that is down for
        less than MAX_STALE keeps nobody out.
        """
        while True:
            pause = FETCH_EVERY
            try:
                await self.kept.fetch()
            except IssuerUnavailable as error:
                log.warning("keys not fetched", issuer=self._name, error=str(error))
                pause = RETRY_AFTER
            await self._clock.sleep(pause)

    @property
    def at_hand(self) -> KeySet | None:
        """What `current` returns without waiting; None where it would fetch."""
        return self.kept.at_hand

    def may_be_newer(self, missed: bytes) -> bool:
        """Say whether `newer` would ask the issuer, or share what it is being asked."""
        if self._missed.is_answered(missed):
            return False
        return self.kept.is_under_way or not self._missed.pause

    def newer_at_hand(self, missed: bytes) -> KeySet | None:
        """Return what `newer` returns without waiting; None where it would ask, or wait for that.

        Raises:
            UnusableAnswer: As `newer`.
        """
        if self._missed.is_answered(missed):
            return self.at_hand
        if not self.kept.is_under_way:
            self._check_pause()
        return None

    async def current(self) -> KeySet:
        """Return the keys; raise IssuerUnavailable where none can be had."""
        return await self.kept.get()

    async def newer(self, missed: bytes) -> KeySet:
        """Return the keys as they are now, for a token whose key is not among those at hand.

        Args:
            missed: A digest of what is known of the key, the same for tokens of which one is
                answered for all.

        Raises:
            IssuerUnavailable: They could not be fetched.
            UnusableAnswer: Nobody was asked: too many others have had them fetched.
        """
        if self._missed.is_answered(missed):
            return await self.current()
        if not self.kept.is_under_way:
            self._check_pause()
            self._missed.spend()
        keys = await self.kept.fetch()
        self._missed.note_answer(missed)
        return keys

    def _check_pause(self) -> None:
        pause = self._missed.pause
        if pause:
            unknown = "the token's key is unknown, wanted one of the key set: try again"
            raise UnusableAnswer(
                f"{self.kept.failure or unknown}; the key set is fetched again in "
                f"{math.ceil(pause)} s",
                retry_after=pause,
            )

    async def fetch(self) -> KeySet:
        """Return the keys, fetched now."""
        return await self.kept.fetch()

    def holds(self, key_id: str) -> bool:
        """Say whether the newest keys have this one: False once it was withdrawn."""
        newest = self.kept.newest
        return newest is not None and newest.holds(key_id)

    async def _fetch(self) -> KeySet:
        place = await self._discovery.need(Endpoint.KEYS)
        reply = await self._http.get(place.url)
        if reply.status != 200:
            raise reply.trouble(f"the key set: {reply.status}, wanted 200: see jwks_uri")
        try:
            found, jwks = [], entries(reply.read())
            for jwk in jwks:
                found.append(verification_key(jwk))
                await checkpoint()  # a hundred keys take longer than a login may wait for its turn
            if not any(found):
                raise UnusableAnswer(why_none_is_usable(jwks))
            return KeySet.of(found)
        except IssuerUnavailable as fault:  # it answered
            raise reply.trouble(str(fault)) from None
