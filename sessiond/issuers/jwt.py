"""Checks signed access tokens with the issuer's keys: no call to the issuer for each token."""

from datetime import datetime
from typing import NoReturn

from sessiond.core.claims import ClaimRules, verdict_of
from sessiond.core.errors import Refusal, TokenRejected, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.issuers.keys import Keys
from sessiond.jwt.access import AccessToken, TokenRules, read_access_token
from sessiond.jwt.keyset import UnknownKeyError, newer_name
from sessiond.jwt.signature import media_type, possible_keys


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

    def take_keys_of(self, other: "JwtVerifier") -> None:
        """Go on with the keys of another verifier of this issuer."""
        self.keys.take_over(other.keys)

    async def run(self) -> NoReturn:
        """Keep the keys fresh until cancelled."""
        await self.keys.run()

    def needs_call(self, token: Secret) -> bool:
        """Say whether keys must be fetched: there are none, or none that the token names."""
        keys = self.keys.at_hand
        if keys is None:
            return True
        try:  # only a header that is in order is worth a fetch
            possible_keys(
                token,
                keys,
                algorithms=self._tokens.algorithms,
                types=frozenset(media_type(typ) for typ in self._tokens.types),
            )
        except UnknownKeyError:
            return self.keys.may_be_newer(_header(token))
        except TokenRejected:
            pass
        return False

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the token proves; see `sessiond.api.Verifier`."""
        read = await self._read(token, now=now)
        return verdict_of(
            read.claims,
            self._claims,
            times=read.times,
            now=now,
            expires_in=expires_in,
            key_id=read.key_id,
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
        try:
            return read_access_token(token, keys, self._tokens, now=now)
        except UnknownKeyError:  # the issuer may have begun to use a new one
            keys = await self.keys.newer(_header(token))
        try:
            return read_access_token(token, keys, self._tokens, now=now)
        except UnknownKeyError as unknown:
            detail = f"{unknown}: see that the token is of this issuer, and jwks_uri"
            fault = TokenRejected(Refusal.BADSIGNATURE, detail)
        raise fault


def _header(token: Secret) -> str:
    """Return the header as it stands in the token: the same for all that one key has signed."""
    return token.reveal().partition(".")[0]
