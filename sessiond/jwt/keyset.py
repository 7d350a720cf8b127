"""An issuer's published keys (RFC 7517): which of them may sign what."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from sessiond.core.errors import IssuerUnavailable, SessiondError
from sessiond.jwt.roca import has_roca_mark

MAX_KEYS = 100
RSA_BITS = range(2048, 16385)

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"Ed25519"}),
}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518, 6.2.2 to 6.4.1

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey


class UnknownKeyError(SessiondError):
    """No key has the token's `kid`: fetch the keys again, once; then it is BADSIGNATURE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key that may sign tokens."""

    id: str  # RFC 7638 thumbprint: a `kid` can come to name another key
    kid: str | None
    algorithms: frozenset[str]  # never empty; EdDSA goes by its newer name, Ed25519
    issuer: str | None  # the only one that it may sign for, where Entra states one
    key: PublicKey


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one issuer that may sign tokens, at least one."""

    keys: tuple[VerificationKey, ...]

    @classmethod
    def parse(cls, document: Mapping[str, object]) -> Self:
        """Return the keys that a JWK Set holds.

        What RFC 7517, section 5 has us ignore is ignored: keys for encryption, of types, curves or
        algorithms not known here, broken ones, and RSA of fewer than 2048 bits or with ROCA's mark.

        Raises:
            IssuerUnavailable: This is no key set, or not one to trust: no usable key, more than
                100, two usable ones of one `kid`, or any secret or private key, which by
                being here is known to all.
        """
        members = document.get("keys")
        if not isinstance(members, list) or len(members) > MAX_KEYS:
            raise IssuerUnavailable(f"the key set has no list of at most {MAX_KEYS} keys")
        jwks = [jwk for jwk in members if isinstance(jwk, dict)]
        if any(jwk.get("kty") == "oct" or _PRIVATE & jwk.keys() for jwk in jwks):
            raise IssuerUnavailable("the key set publishes a secret or private key")
        keys = tuple(key for key in map(_verification_key, jwks) if key is not None)
        if not keys:
            raise IssuerUnavailable("the key set has no usable signature key")
        names = Counter(key.id if key.kid is None else key.kid for key in keys)
        if max(names.values()) > 1:
            raise IssuerUnavailable("the key set has two keys of one kid")
        return cls(keys)

    def holds(self, key_id: str) -> bool:
        """Say whether the key of this id is (still) one of the set."""
        return any(key.id == key_id for key in self.keys)

    def candidates(self, *, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """Return the keys that may have signed a token of this header, perhaps none.

        A key that has a `kid` signs only what names it; one that has none may sign anything.

        Raises:
            UnknownKeyError: The header names a key that is not here.
        """
        named = [key for key in self.keys if kid is not None and key.kid == kid]
        possible = named or [key for key in self.keys if key.kid is None]
        if kid is not None and not possible:
            raise UnknownKeyError("no key of the issuer has the kid of the token")
        return tuple(key for key in possible if newer_name(algorithm) in key.algorithms)


def newer_name(algorithm: str) -> str:
    """Return the name by which RFC 9864 calls an algorithm: Ed25519 for the older EdDSA."""
    return "Ed25519" if algorithm == "EdDSA" else algorithm


def _verification_key(jwk: Mapping[str, object]) -> VerificationKey | None:
    """Return the key of one JWK, or None where it is not for signatures, unknown or broken."""
    algorithms = _algorithms(jwk)
    key = _public_key(jwk) if algorithms else None
    kid, issuer = jwk.get("kid"), jwk.get("issuer")
    if key is None or not isinstance(kid, str | None) or not isinstance(issuer, str | None):
        return None
    return VerificationKey(
        id=key.thumbprint(),
        kid=kid,
        algorithms=algorithms,
        issuer=issuer,
        key=key,
    )


def _algorithms(jwk: Mapping[str, object]) -> frozenset[str]:
    """Return what the key may be used with: what it is able to, less what its members forbid."""
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig":
        return frozenset()
    if not isinstance(operations, list) or "verify" not in operations:
        return frozenset()
    kty, curve = jwk.get("kty"), jwk.get("crv")
    if kty == "RSA":
        able = _RSA
    elif isinstance(kty, str) and isinstance(curve, str):
        able = _CURVES.get((kty, curve), frozenset())
    else:
        return frozenset()
    if "alg" not in jwk:
        return able
    alg = jwk["alg"]
    return able & {newer_name(alg)} if isinstance(alg, str) else frozenset()


def _public_key(jwk: Mapping[str, object]) -> PublicKey | None:
    """Return the key itself, from the members that make it and no others."""
    members: dict[str, str | list[str]] = {}
    for name in ("kty", "crv", "n", "e", "x", "y"):
        value = jwk.get(name)
        if isinstance(value, str):
            members[name] = value
    try:
        match members["kty"]:
            case "RSA":
                # Before the import, which only warns of a short one.
                modulus = int.from_bytes(urlsafe_b64decode(str(members["n"]).encode()), "big")
                sound = modulus.bit_length() in RSA_BITS and not has_roca_mark(modulus)
                return RSAKey.import_key(members) if sound else None
            case "EC":
                return ECKey.import_key(members)
            case _:
                return OKPKey.import_key(members)
    except (JoseError, KeyError, ValueError):
        return None
