"""Whether a signed token is an access token for this daemon (RFC 9068, RFC 8725)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sessiond.core.claim_values import Claims, words_of
from sessiond.core.claims import Times, check_times, times_of
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.printable import any_of, seen
from sessiond.core.secret import Secret
from sessiond.jwt.header import HeaderRules, Signers
from sessiond.jwt.keyset import KeySet, VerificationKey
from sessiond.jwt.kind import (
    NO_EXCEPTIONS,
    KindRules,
    check_entra_kind,
    check_kind,
    check_no_id_token,
)
from sessiond.jwt.signature import signed_claims

SCOPE_CLAIMS = ("scope", "scp")  # RFC 9068, 2.2.3; Entra, Okta


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What one issuer's access tokens must be."""

    issuers: frozenset[str]  # `iss`, exactly one of these
    audience: frozenset[str]  # `aud` has at least one of these; empty accepts none
    audience_claim: str = "aud"  # what stands for it
    algorithms: frozenset[str]
    types: frozenset[str]  # header `typ`, in any case; "" = may be absent
    required_scope: str = ""  # each of its words
    kind: KindRules = NO_EXCEPTIONS
    entra: bool = False  # demand the `scp` that tells Entra's user tokens from all others
    leeway: timedelta = timedelta(0)  # of clock skew, for `nbf` and `iat` only

    def signers(self, keys: KeySet) -> Signers:
        """Return the issuer's keys, to be used as these rules say."""
        return Signers(keys, HeaderRules.of(algorithms=self.algorithms, types=self.types))


class AccessToken(NamedTuple):
    """The claims of an access token that has passed every check."""

    claims: Claims
    times: Times  # with an end
    key_id: str


def read_access_token(
    token: Secret, signers: Signers, rules: TokenRules, *, now: datetime
) -> AccessToken:
    """Return what a JWT access token says, once all of it was checked.

    Args:
        token: The JWT.
        signers: The issuer's keys, by these rules.
        rules: What it must be.
        now: The wall time to judge by.

    Raises:
        TokenRejected: MALFORMED, BADSIGNATURE, WRONGTYPE, WRONGISSUER, WRONGAUDIENCE, EXPIRED,
            NOTYET or WRONGSCOPE, whichever is found first.
        UnknownKeyError: Fetch the keys again, once; then it is BADSIGNATURE.
    """
    signed = signed_claims(token, signers)
    claims = signed.claims
    check_no_id_token(claims, rules.kind)
    check_kind(claims, rules.kind)
    if rules.entra:
        check_entra_kind(claims, rules.kind)
    check_issuer(claims, rules.issuers)
    _check_key_issuer(signed.key, claims, rules.issuers)
    check_audience(claims, rules.audience, claim=rules.audience_claim)
    times = times_of(claims)
    if times.expires_at is None:
        missing = "exp is missing, wanted the end of the token: have the issuer add it"
        raise TokenRejected(Refusal.MALFORMED, missing)
    check_times(times, now=now, leeway=rules.leeway)
    check_scope(claims, rules.required_scope)
    return AccessToken(claims=claims, times=times, key_id=signed.key.id)


def check_issuer(claims: Claims, issuers: Collection[str]) -> None:
    """Refuse what another issuer has issued; nothing but the exact text is the same.

    Raises:
        TokenRejected: WRONGISSUER: also where `iss` is absent or no string.
    """
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in issuers:
        stated = f"iss is {seen(issuer) if 'iss' in claims else 'missing'}"
        raise TokenRejected(
            Refusal.WRONGISSUER,
            f"{stated}, wanted {any_of(issuers)}: mend issuer or also_issued_as, if it is the same",
        )


def check_audience(claims: Claims, audience: Collection[str], *, claim: str = "aud") -> None:
    """Refuse what is meant for others (RFC 7519, 4.1.3).

    Args:
        claims: What is stated.
        audience: Ours.
        claim: What stands for `aud`: Amazon Cognito's access tokens have `client_id` alone.

    Raises:
        TokenRejected: WRONGAUDIENCE; MALFORMED where it is neither a string nor a list of such.
    """
    stated = claims.get(claim, [])
    named = [stated] if isinstance(stated, str) else stated
    if not isinstance(named, list) or [name for name in named if not isinstance(name, str)]:
        raise TokenRejected(
            Refusal.MALFORMED,
            f"{claim} is {seen(stated)}, wanted a string or a list of strings (RFC 7519, 4.1.3): "
            "mend it at the issuer",
        )
    if frozenset(audience).isdisjoint(named):
        raise TokenRejected(
            Refusal.WRONGAUDIENCE,
            f"{claim} is {seen(stated) if claim in claims else 'missing'}, wanted "
            f"{any_of(audience) or 'none at all'}: have the program ask for that, or mend audience",
        )


def check_scope(claims: Claims, required: str) -> None:
    """Refuse what lacks a required scope. `scope` and `scp` are strings or lists.

    Raises:
        TokenRejected: WRONGSCOPE: a word of `required` is missing.
    """
    missing = set(words_of(required))
    for claim in SCOPE_CLAIMS:
        if missing:
            missing.difference_update(words_of(claims.get(claim)))
    if missing:
        stated = [f"{claim} is {seen(claims[claim])}" for claim in SCOPE_CLAIMS if claim in claims]
        raise TokenRejected(
            Refusal.WRONGSCOPE,
            f"{' and '.join(stated) or 'scope is missing'}, wanted {seen(required)} in it: have "
            "the program ask for that, or mend required_scope",
        )


def _check_key_issuer(
    key: VerificationKey, claims: Mapping[str, object], issuers: Collection[str]
) -> None:
    """Hold a key that states its issuer to it: Entra's `common` set has keys of several.

    A key's own issuer is Entra's v2 one even where it signs v1 tokens, so it is compared with all
    that are configured, and `{tenantid}` in it stands for the `tid` of the token.
    """
    if key.issuer is None:
        return
    tenant = claims.get("tid")
    issuer = key.issuer.replace("{tenantid}", tenant) if isinstance(tenant, str) else key.issuer
    if issuer not in issuers:
        raise TokenRejected(
            Refusal.WRONGISSUER,
            f"the key signs for {seen(issuer)}, wanted {any_of(issuers)}: see where the token is "
            "from, and jwks_uri",
        )
