"""Whether a signed token is an access token for this daemon (RFC 9068, RFC 8725)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sessiond.core.claims import Claims, Times, check_times, times_of, words_of
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.secret import Secret
from sessiond.jwt.keyset import KeySet, VerificationKey
from sessiond.jwt.signature import media_type, signed_claims

SCOPE_CLAIMS = ("scope", "scp")  # RFC 9068, 2.2.3; Entra, Okta

# What only other tokens have: id_tokens (OpenID Connect Core, 2 and 3.3.2.11), SETs and logout
# tokens (RFC 8417, 2.2).
_FOREIGN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})
# Where issuers give all their tokens one header `typ`, a claim says the kind.
_FOREIGN_KINDS = {
    "typ": frozenset({"id", "refresh", "offline", "logout"}),  # Keycloak
    "token_use": frozenset({"id", "refresh"}),  # Cognito
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What one issuer's access tokens must be."""

    issuers: frozenset[str]  # `iss`, exactly one of these
    audience: frozenset[str]  # `aud` has at least one of these; empty accepts none
    algorithms: frozenset[str]
    types: frozenset[str]  # header `typ`, in any case; "" = may be absent
    required_scope: str = ""  # each of its words
    entra: bool = False  # demand the `scp` that tells Entra's user tokens from all others
    leeway: timedelta = timedelta(0)  # of clock skew, for `nbf` and `iat` only


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """The claims of an access token that has passed every check."""

    claims: Claims
    times: Times  # with an end
    key_id: str


def read_access_token(
    token: Secret, keys: KeySet, rules: TokenRules, *, now: datetime
) -> AccessToken:
    """Return what a JWT access token says, once all of it was checked.

    Raises:
        TokenRejected: MALFORMED, BADSIGNATURE, WRONGTYPE, WRONGISSUER, WRONGAUDIENCE, EXPIRED,
            NOTYET or WRONGSCOPE, whichever is found first.
        UnknownKeyError: Fetch the keys again, once; then it is BADSIGNATURE.
    """
    signed = signed_claims(
        token,
        keys,
        algorithms=rules.algorithms,
        types=frozenset(media_type(typ) for typ in rules.types),
    )
    claims = signed.claims
    check_kind(claims)
    if rules.entra:
        check_entra_kind(claims)
    check_issuer(claims, rules.issuers)
    _check_key_issuer(signed.key, claims, rules.issuers)
    check_audience(claims, rules.audience)
    times = times_of(claims)
    if times.expires_at is None:
        raise TokenRejected(Refusal.MALFORMED, "exp is missing")
    check_times(times, now=now, leeway=rules.leeway)
    check_scope(claims, rules.required_scope)
    return AccessToken(claims=claims, times=times, key_id=signed.key.id)


def check_kind(claims: Claims) -> None:
    """Refuse what is signed by the same keys but no user's access token.

    Raises:
        TokenRejected: WRONGTYPE: an id_token, refresh or logout token, SET, or app-only token.
    """
    if _FOREIGN_CLAIMS & claims.keys():
        raise TokenRejected(Refusal.WRONGTYPE, "it has claims of an id_token or event token")
    for claim, kinds in _FOREIGN_KINDS.items():
        kind = claims.get(claim)
        if isinstance(kind, str) and kind.lower() in kinds:
            raise TokenRejected(Refusal.WRONGTYPE, f"{claim} says that it is no access token")
    if claims.get("idtyp", "user") != "user":
        raise TokenRejected(Refusal.WRONGTYPE, "idtyp says that there is no user")
    client = claims.get("client_id")
    if client is not None and client == claims.get("sub"):  # RFC 9068, 2.2
        raise TokenRejected(Refusal.WRONGTYPE, "the subject is the client: there is no user")


def check_entra_kind(claims: Claims) -> None:
    """Refuse Entra's tokens that are no user's access token: they look the same but for `scp`.

    Raises:
        TokenRejected: WRONGTYPE: an id_token has no `scp`, an app-only token has none either, and
            its `oid` is its `sub`.
    """
    if not words_of(claims.get("scp")):
        raise TokenRejected(Refusal.WRONGTYPE, "scp is missing or empty: there is no user")
    if claims.get("oid") is not None and claims.get("oid") == claims.get("sub"):
        raise TokenRejected(Refusal.WRONGTYPE, "oid equals sub: there is no user")


def check_issuer(claims: Claims, issuers: Collection[str]) -> None:
    """Refuse what another issuer has issued; nothing but the exact text is the same.

    Raises:
        TokenRejected: WRONGISSUER: also where `iss` is absent or no string.
    """
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in issuers:
        raise TokenRejected(Refusal.WRONGISSUER, "iss is not one of the issuer's")


def check_audience(claims: Claims, audience: Collection[str]) -> None:
    """Refuse what is meant for others (RFC 7519, 4.1.3).

    Raises:
        TokenRejected: WRONGAUDIENCE; MALFORMED where `aud` is neither a string nor a list of such.
    """
    stated = claims.get("aud", [])
    named = [stated] if isinstance(stated, str) else stated
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise TokenRejected(Refusal.MALFORMED, "aud is neither a string nor a list of strings")
    if not set(named).intersection(audience):
        raise TokenRejected(Refusal.WRONGAUDIENCE, "aud has none of the configured audiences")


def check_scope(claims: Claims, required: str) -> None:
    """Refuse what lacks a required scope. `scope` and `scp` are strings or lists.

    Raises:
        TokenRejected: WRONGSCOPE: a word of `required` is missing.
    """
    granted = {word for claim in SCOPE_CLAIMS for word in words_of(claims.get(claim))}
    if not granted.issuperset(words_of(required)):
        raise TokenRejected(Refusal.WRONGSCOPE, "a required scope is missing")


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
        raise TokenRejected(Refusal.WRONGISSUER, "the key signs for another issuer")
