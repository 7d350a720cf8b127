"""Whether an ID token is good, and for this sign-in (OpenID Connect Core 1.0, 3.1.3.7)."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from sessiond_login.clock import Clock
from sessiond_login.errors import IssuerUnavailable, NotSignedIn
from sessiond_login.issuers.keys import IssuerKeys
from sessiond_login.issuers.words import printable, said
from sessiond_login.secret import Secret

LEEWAY = 300.0  # seconds that two clocks may be apart
MAX_TIME = 253_000_000_000.0  # Unix seconds, in the year 9987
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class IdTokens:
    """The ID tokens that one issuer gives one client."""

    def __init__(self, *, keys: IssuerKeys, clock: Clock, issuer: str, client_id: str) -> None:
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._client_id = client_id

    def claims(
        self, token: Secret, *, access: Secret, nonce: str | None, max_age: int | None
    ) -> Mapping[str, object]:
        """Return the claims of an ID token that is good.

        Args:
            token: It.
            access: The access token that came with it.
            nonce: What the request had; None where there was no request in a browser.
            max_age: Seconds since the person was last asked, where that was wanted.

        Raises:
            IssuerUnavailable: It is not the issuer's, or not for us.
            NotSignedIn: It is over, or not yet good: one of the clocks is wrong; or the person
                was asked too long ago.
        """
        claims = self._keys.signed_claims(token)
        if claims.get("iss") != self._issuer:
            raise _wrong("iss", claims.get("iss"), self._issuer)
        self._check_audience(claims)
        if nonce is not None and not _same(claims.get("nonce"), nonce):
            raise IssuerUnavailable(
                "the ID token is for another sign-in (its nonce), wanted this one's: sign in again"
            )
        self._check_times(claims, max_age)
        _check_access_token(claims, access)
        return claims

    def _check_audience(self, claims: Mapping[str, object]) -> None:
        """Hold that the token is for us, and given to us where it is for others too."""
        audience, party = claims.get("aud"), claims.get("azp")
        audiences = audience if isinstance(audience, list) else [audience]
        if self._client_id not in audiences:
            raise _wrong("aud", audience, self._client_id)
        if party not in (None, self._client_id) or (party is None and len(audiences) > 1):
            raise _wrong("azp", party, self._client_id)

    def _check_times(self, claims: Mapping[str, object], max_age: int | None) -> None:
        now, begun, over = self._clock.now(), _time(claims, "iat"), _time(claims, "exp")
        if begun - now > LEEWAY:
            raise NotSignedIn(
                f"this computer's clock is {_span(begun - now)} behind the issuer's: set it, and "
                "sign in again"
            )
        if now - over >= LEEWAY:
            raise NotSignedIn(
                f"this computer's clock is {_span(now - begun)} ahead of the issuer's, by whose "
                "ID token the sign-in is over already: set it, and sign in again"
            )
        if max_age is not None and now - _time(claims, "auth_time") > max_age + LEEWAY:
            raise NotSignedIn(
                f"the issuer asked you {_span(now - _time(claims, 'auth_time'))} ago, wanted at "
                f"most {_span(max_age)} (the profile's max_age): sign out there, and sign in again"
            )


def _check_access_token(claims: Mapping[str, object], access: Secret) -> None:
    """Hold that the access token is the one that the ID token came with (3.1.3.6)."""
    if "at_hash" not in claims:
        return
    digests = (hash_(access.reveal().encode()).digest() for hash_ in _HASHES.values())
    halves = [urlsafe_b64encode(each[: len(each) // 2]).rstrip(b"=").decode() for each in digests]
    if not any(_same(claims["at_hash"], half) for half in halves):
        raise IssuerUnavailable(
            "the ID token is for another access token (its at_hash), wanted the one that came "
            "with it: sign in again"
        )


def _same(value: object, wanted: str) -> bool:
    return isinstance(value, str) and hmac.compare_digest(value.encode(), wanted.encode())


def _time(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TIME:
        raise IssuerUnavailable(
            f"the ID token has no time {name}, wanted one: ask who runs the issuer"
        )
    return float(value)


def _wrong(name: str, seen: object, wanted: str) -> IssuerUnavailable:
    shown = said(seen) or ("none" if seen is None else "no text")
    return IssuerUnavailable(
        f"the ID token's {name} is {shown}, wanted {printable(wanted)}: see the profile, or ask "
        "who runs the issuer"
    )


def _span(seconds: float) -> str:
    """Return a length of time as people say it: its two largest parts."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (whole % 60, "s")]
    return " ".join([f"{count} {unit}" for count, unit in parts if count][:2]) or "0 s"
