"""Whether an ID token is of the sign-in that was begun (OpenID Connect Core 1.0, 3.1.3.7).

Only for one that the token endpoint itself has answered with: TLS shows whose it is then, and so
its signature is not looked at (the same, 6).
"""

import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sessiond.core.claim_values import Claims
from sessiond.core.claims import check_times, times_of
from sessiond.core.compact import CompactToken
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import MAX_PASSWORD_SIZE, is_encrypted
from sessiond.core.principal import is_name
from sessiond.core.printable import any_of, seen

MAX_SIZE = MAX_PASSWORD_SIZE  # characters
MAX_AGE = timedelta(minutes=10)  # since `iat`; it was made for the code, a moment ago

# Its last part is empty where nobody has signed it, which none need have (Core, 2).
_PARTS = re.compile(r"([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]*+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenRules:
    """What the ID tokens of one client at one issuer must be."""

    issuers: Collection[str]  # `iss`, exactly one of these
    client_id: str  # which `aud` must have
    leeway: timedelta  # of clock skew, for `iat` only


def read_id_token(text: object, rules: IdTokenRules, *, nonce: str, now: datetime) -> Claims:
    """Return what an ID token says, once all of it was checked.

    Args:
        text: The token endpoint's member `id_token`; None where there is none.
        rules: What it must be.
        nonce: What was sent with the authorization request.
        now: The wall time to judge by.

    Raises:
        TokenRejected: MALFORMED, TOOLARGE, WRONGISSUER, WRONGAUDIENCE, EXPIRED or NOTYET;
            USERMISMATCH: its nonce is not ours, so the code may be somebody else's.
    """
    claims = _claims(text)
    _check_issuer(claims, rules)
    _check_audience(claims, rules.client_id)
    _check_times(claims, rules.leeway, now=now)
    _check_nonce(claims, nonce)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_name(subject):
        raise _malformed(claims, "sub", "1 to 255 ASCII characters (OpenID Connect Core, 2)")
    return claims


def _claims(text: object) -> Claims:
    if text is None:
        raise TokenRejected(
            Refusal.MALFORMED,
            "the token endpoint's answer has no id_token, wanted one, as the scope has openid: see "
            "the client at the issuer, or leave openid out of scope",
        )
    if not isinstance(text, str) or not text.isascii():
        raise TokenRejected(
            Refusal.MALFORMED, "the id_token is no ASCII text, wanted a JWT: see the issuer"
        )
    if len(text) > MAX_SIZE:
        raise TokenRejected(
            Refusal.TOOLARGE,
            f"the id_token is longer than {MAX_SIZE} bytes, wanted that at most: have fewer claims "
            "put into it",
        )
    parts = _PARTS.fullmatch(text)
    if parts is None and is_encrypted(text):
        raise TokenRejected(
            Refusal.MALFORMED,
            "the id_token is encrypted (JWE), wanted a signed one: have the issuer not encrypt for "
            "our client",
        )
    claims = None if parts is None else CompactToken(text, _three(parts)).stated_claims
    if claims is None:
        raise TokenRejected(
            Refusal.MALFORMED,
            "the id_token is not in order, wanted a JWT with strict JSON, each member once: see "
            "the issuer",
        )
    return claims


def _three(parts: re.Match[str]) -> tuple[str, str, str]:
    return parts[1], parts[2], parts[3]


def _check_issuer(claims: Claims, rules: IdTokenRules) -> None:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in rules.issuers:
        raise TokenRejected(
            Refusal.WRONGISSUER,
            f"the id_token's iss is {_stated(claims, 'iss')}, wanted {any_of(rules.issuers)}: mend "
            "issuer or also_issued_as, if it is the same",
        )


def _check_audience(claims: Claims, client_id: str) -> None:
    """Refuse one for another client, or for several of which it does not say who asked."""
    stated = claims.get("aud")
    named = [stated] if isinstance(stated, str) else stated
    if not isinstance(named, list) or [each for each in named if not isinstance(each, str)]:
        raise _malformed(claims, "aud", "a string or a list of strings")
    if client_id not in named:
        raise TokenRejected(
            Refusal.WRONGAUDIENCE,
            f"the id_token's aud is {seen(stated)}, wanted {seen(client_id)} in it: see client_id "
            "in [issuer.web]",
        )
    is_of_several = any(each != client_id for each in named)
    if ("azp" in claims or is_of_several) and claims.get("azp") != client_id:
        raise TokenRejected(
            Refusal.WRONGAUDIENCE,
            f"the id_token's azp is {_stated(claims, 'azp')}, wanted {seen(client_id)}, which has "
            "asked for it: see client_id in [issuer.web]",
        )


def _check_times(claims: Claims, leeway: timedelta, *, now: datetime) -> None:
    times = times_of(claims)
    for name, date in (("exp", times.expires_at), ("iat", times.issued_at)):
        if date is None:
            raise _malformed(claims, name, "a date (OpenID Connect Core, 2)")
    check_times(times, now=now, leeway=leeway)
    if times.issued_at is not None and now - times.issued_at > MAX_AGE + leeway:
        raise TokenRejected(
            Refusal.EXPIRED,
            f"the id_token's iat is {times.issued_at.isoformat(timespec='seconds')}, wanted one of "
            "a moment ago: see both clocks, or sign in again",
        )


def _check_nonce(claims: Claims, nonce: str) -> None:
    stated = claims.get("nonce")
    if not isinstance(stated, str):
        raise _malformed(claims, "nonce", "the one that we have sent")
    if not hmac.compare_digest(stated.encode(errors="replace"), nonce.encode()):
        raise TokenRejected(
            Refusal.USERMISMATCH,
            "the id_token's nonce is another sign-in's, wanted that of this browser's: sign in "
            "again",
        )


def _malformed(claims: Claims, name: str, wanted: str) -> TokenRejected:
    return TokenRejected(
        Refusal.MALFORMED,
        f"the id_token's {name} is {_stated(claims, name)}, wanted {wanted}: mend it at the issuer",
    )


def _stated(claims: Claims, name: str) -> str:
    return seen(claims[name]) if name in claims else "missing"
