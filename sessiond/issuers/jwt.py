"""Checks signed access tokens with the issuer's keys: no call to the issuer for each token."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from sessiond.core.claims import ClaimRules, verdict_of
from sessiond.core.errors import Refusal, TokenRejected, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.issuers.keys import Keys
from sessiond.jwt.access import AccessToken, TokenRules, read_access_token
from sessiond.jwt.header import Signers
from sessiond.jwt.keyset import KeySet, UnknownKeyError, newer_name
from sessiond.jwt.signature import names_key, signing_key

WHAT_TO_DO = "see that the token is whole and of this issuer, and jwks_uri"


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at the signature of a token has shown that names no key."""

    token: bytes  # SHA-256
    signers: Signers  # of which each was tried
    found: Signers | str  # the one that fits, or why none does


class JwtVerifier:
    """A Verifier (sessiond.api) that believes what the issuer has signed."""

    is_online = False

    def __init__(self, *, keys: Keys, tokens: TokenRules, claims: ClaimRules) -> None:
        """Fetch nothing yet.

        Args:
            keys: The issuer's.
            tokens: What an access token must be.
            claims: How to read what it says.
        """
        self.keys = keys
        self._tokens = tokens
        self._claims = claims
        self._signers: Signers | None = None  # of the keys that were used last
        self._looked: _Look | None = None  # so that several questions about one token cost one look

    def take_keys_of(self, other: "JwtVerifier") -> None:
        """Go on with the keys of another verifier of this issuer."""
        self.keys.take_over(other.keys)

    async def run(self) -> NoReturn:
        """Keep the keys fresh until cancelled."""
        await self.keys.run()

    def needs_call(self, token: Secret) -> bool:
        """Say whether keys must be fetched: there are none, or none that can have signed the token.

        Where the header names no key, that takes a look at the signature.
        """
        keys = self.keys.at_hand
        if keys is None:
            return True
        signers = self._signers_of(keys)
        try:  # only a header that is in order is worth a fetch
            if names_key(token, signers):
                return False
        except UnknownKeyError as unknown:
            return self.keys.may_be_newer(_missed(token, unknown))
        except TokenRejected:
            return False
        is_worth_it = self.keys.may_be_newer(_digest(token.reveal()))
        return is_worth_it and isinstance(self._look(token, signers).found, str)

    def verify_now(
        self, token: Secret, *, now: datetime, generation: int, expires_in: float | None = None
    ) -> Verdict | None:
        """Return what the token proves by the keys at hand; see `sessiond.gate.ReadyVerifier`."""
        keys = self.keys.at_hand
        if keys is None:
            return None
        signers = self._signers_of(keys)
        try:
            read = read_access_token(token, self._narrowed(token, signers), self._tokens, now=now)
        except UnknownKeyError as unknown:
            missed, saw = _missed(token, unknown), str(unknown)
            if not unknown.is_named:  # of which `needs_call` will be asked next
                self._looked = _Look(missed, signers, saw)
        else:
            return self._verdict(read, now=now, generation=generation, expires_in=expires_in)
        if self.keys.newer_at_hand(missed) is None:
            return None
        raise TokenRejected(Refusal.BADSIGNATURE, f"{saw}: {WHAT_TO_DO}")

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the token proves; see `sessiond.api.Verifier`."""
        read = await self._read(token, now=now)
        return self._verdict(read, now=now, expires_in=expires_in)

    def _verdict(
        self,
        read: AccessToken,
        *,
        now: datetime,
        expires_in: float | None = None,
        generation: int = 0,
    ) -> Verdict:
        return verdict_of(
            read.claims,
            self._claims,
            times=read.times,
            now=now,
            expires_in=expires_in,
            key_id=read.key_id,
            generation=generation,
        )

    def still_valid(self, verdict: Verdict) -> bool:
        """Say whether the key that signed is still among those the issuer publishes."""
        return verdict.key_id is not None and self.keys.holds(verdict.key_id)

    async def probe(self) -> None:
        """Fetch the keys, and see that one of them can be used."""
        keys = await self.keys.fetch()
        allowed = frozenset(map(newer_name, self._tokens.algorithms))
        if not keys.algorithms & allowed:
            raise UnusableAnswer(
                f"the issuer's keys are for {', '.join(sorted(keys.algorithms))}, wanted "
                f"{', '.join(sorted(allowed))}: mend algorithms, or see jwks_uri"
            )

    async def _read(self, token: Secret, *, now: datetime) -> AccessToken:
        keys = await self.keys.current()
        signers = self._signers_of(keys)
        try:
            return read_access_token(token, self._narrowed(token, signers), self._tokens, now=now)
        except UnknownKeyError as unknown:  # the issuer may have begun to use a new one
            missed, saw = _missed(token, unknown), str(unknown)
        newer = await self.keys.newer(missed)
        if newer is not keys:
            try:
                return read_access_token(token, self._signers_of(newer), self._tokens, now=now)
            except UnknownKeyError as unknown:
                saw = str(unknown)
        raise TokenRejected(Refusal.BADSIGNATURE, f"{saw}: {WHAT_TO_DO}")

    def _signers_of(self, keys: KeySet) -> Signers:
        """Return these keys by this issuer's rules; what was judged by others is forgotten."""
        if self._signers is None or self._signers.keys is not keys:
            self._signers = self._tokens.signers(keys)
        return self._signers

    def _look(self, token: Secret, signers: Signers) -> _Look:
        """Look which of the keys has signed a token whose header is in order and names none."""
        digest, looked = _digest(token.reveal()), self._looked
        if looked is None or looked.signers is not signers or looked.token != digest:
            try:
                found: Signers | str = signers.only(signing_key(token, signers))
            except UnknownKeyError as unknown:
                found = str(unknown)
            looked = self._looked = _Look(digest, signers, found)
        return looked

    def _narrowed(self, token: Secret, signers: Signers) -> Signers:
        """Return the one key that was seen to fit, where that was just looked for; else all.

        Raises:
            UnknownKeyError: None was.
        """
        looked, self._looked = self._looked, None
        if (
            looked is None
            or looked.signers is not signers
            or looked.token != _digest(token.reveal())
        ):
            return signers
        if isinstance(looked.found, str):
            raise UnknownKeyError(looked.found, is_named=False)
        return looked.found


def _missed(token: Secret, unknown: UnknownKeyError) -> bytes:
    """Return by what a missing key is known: all tokens that name one key have one header."""
    text = token.reveal()
    return _digest(text.partition(".")[0] if unknown.is_named else text)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
