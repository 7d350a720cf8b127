"""An issuer's published keys (RFC 7517): which of them may sign what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Self, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from sessiond.core.errors import IssuerUnavailable, SessiondError
from sessiond.core.printable import any_of, seen
from sessiond.jwt.roca import has_roca_mark

MAX_KEYS = 100
MAX_CANDIDATES = 4  # keys that one token is tried with
RSA_BITS = range(2048, 4097)
MAX_EXPONENT_BITS = 32
MAX_NUMBER = 1024  # characters of a number that makes a key; one of 4096 bits has 683
THUMBPRINTS = ("x5t", "x5t#S256")  # of the key's certificate, in a JWK and in a token's header

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"Ed25519"}),
}
_TO_BASE64URL = str.maketrans("+/", "-_")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518, 6.2.2 to 6.4.1

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey


class UnknownKeyError(SessiondError):
    """None of the keys can have signed the token: fetch them again, once; then it is BADSIGNATURE.

    Its text says which key was named, and which there are. `is_named` says that the header alone
    showed it, so that it is so of every token with that header; else the signature did.
    """

    def __init__(self, detail: str, *, is_named: bool = True) -> None:
        super().__init__(detail)
        self.is_named = is_named


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key that may sign tokens."""

    id: str  # RFC 7638 thumbprint: a `kid` can come to name another key
    kid: str | None
    thumbprints: frozenset[str] = frozenset()  # `x5t` and `x5t#S256`, as the issuer writes them
    algorithms: frozenset[str]  # never empty; EdDSA goes by its newer name, Ed25519
    issuer: str | None  # the only one that it may sign for, where Entra states one
    key: PublicKey = field(compare=False)  # which the id stands for


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one issuer that may sign tokens, at least one."""

    keys: tuple[VerificationKey, ...]

    @classmethod
    def parse(cls, document: Mapping[str, object]) -> Self:
        """Return the keys that a JWK Set holds; see `entries`, `verification_key` and `of`."""
        return cls.of(map(verification_key, entries(document)))

    @classmethod
    def of(cls, found: Iterable[VerificationKey | None]) -> Self:
        """Return the set of these keys; None stands for an entry that is none.

        What is listed twice is there once. Several keys of one `kid` are told apart by what they
        are for, else each is tried: a name is a hint, and only a signature shows which it was.

        Raises:
            IssuerUnavailable: There is no usable key.
        """
        listed = list(found)
        keys = tuple(dict.fromkeys(key for key in listed if key is not None))
        if not keys:
            raise IssuerUnavailable(
                f"none of the key set's {len(listed)} entries is a usable signature key, wanted "
                "RSA of 2048 to 4096 bits, EC of P-256, P-384 or P-521, or Ed25519: see jwks_uri"
            )
        return cls(keys)

    def holds(self, key_id: str) -> bool:
        """Say whether the key of this id is (still) one of the set."""
        return any(key.id == key_id for key in self.keys)

    @property
    def algorithms(self) -> frozenset[str]:
        """What the keys may be used with, all of them together."""
        return frozenset[str]().union(*(key.algorithms for key in self.keys))

    def candidates(
        self, *, kid: str | None, algorithm: str, thumbprints: Iterable[str] = ()
    ) -> tuple[VerificationKey, ...]:
        """Return the keys that may have signed a token of this header, perhaps none, at most 4.

        Those that the header names, else any that could be meant: with a `kid` those that have
        none, without one all. AD FS, WSO2 and AWS name keys that their tokens do not.

        Raises:
            UnknownKeyError: There is none.
        """
        possible: Sequence[VerificationKey] = self.named(kid=kid, thumbprints=thumbprints)
        if not possible:
            possible = [key for key in self.keys if kid is None or key.kid is None]
        if not possible:
            kids = any_of({key.kid for key in self.keys if key.kid is not None})
            raise UnknownKeyError(f"kid is {seen(kid)}, wanted one of the issuer's, {kids}")
        wanted = newer_name(algorithm)
        able = {(key.id, key.issuer): key for key in possible if wanted in key.algorithms}
        if not able:
            which = "" if kid is None else f" of kid {seen(kid)}"
            raise UnknownKeyError(f"alg is {seen(algorithm)}, wanted one of a key{which}")
        return tuple(islice(able.values(), MAX_CANDIDATES))

    def named(
        self, *, kid: str | None, thumbprints: Iterable[str] = ()
    ) -> tuple[VerificationKey, ...]:
        """Return the keys that a header names, perhaps none.

        By `kid`, or where it has none by the certificate (RFC 7515, 4.1.7).
        """
        if kid is not None:
            return tuple(key for key in self.keys if key.kid == kid)
        certificate = frozenset(map(_plain, thumbprints))
        return tuple(key for key in self.keys if key.thumbprints & certificate)

    def only(self, key: VerificationKey) -> "KeySet":
        """Return the set of this one key of it."""
        return KeySet((key,))


def newer_name(algorithm: str) -> str:
    """Return the name by which RFC 9864 calls an algorithm: Ed25519 for the older EdDSA."""
    return "Ed25519" if algorithm == "EdDSA" else algorithm


def entries(document: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the JWKs of a JWK Set (RFC 7517, 5), as they stand.

    Raises:
        IssuerUnavailable: This is no key set, or not one to trust: more than 100 keys, or any
            secret or private key, which by being here is known to all.
    """
    members = document.get("keys")
    if not isinstance(members, list):
        saw = "missing" if "keys" not in document else seen(members)
        raise IssuerUnavailable(f"keys is {saw}, wanted a list (RFC 7517, 5): see jwks_uri")
    if len(members) > MAX_KEYS:
        saw = f"the key set has {len(members)} keys"
        raise IssuerUnavailable(f"{saw}, wanted {MAX_KEYS} at most: see jwks_uri")
    jwks = [_without_nulls(jwk) for jwk in members if isinstance(jwk, dict)]
    for jwk in jwks:
        if jwk.get("kty") == "oct" or _PRIVATE & jwk.keys():
            raise IssuerUnavailable(
                f"the key set publishes a secret or private key (kid {seen(jwk.get('kid'))}), "
                "wanted public ones alone: have the issuer replace it, since everybody has it now"
            )
    return jwks


def _without_nulls(jwk: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in jwk.items() if value is not None}


def verification_key(jwk: Mapping[str, object]) -> VerificationKey | None:
    """Return the key of one JWK, or None where RFC 7517, section 5 has us ignore it.

    So are keys for encryption, of types, curves or algorithms not known here, and broken ones; and
    RSA of fewer than 2048 bits or with ROCA's mark, or so large that a signature would take long.
    Takes up to 0.4 ms.
    """
    algorithms = _algorithms(jwk)
    key = _public_key(jwk) if algorithms else None
    kid, issuer = jwk.get("kid"), jwk.get("issuer")
    if key is None or not isinstance(kid, str | None) or not isinstance(issuer, str | None):
        return None
    stated = [jwk.get(name) for name in THUMBPRINTS]
    return VerificationKey(
        id=key.thumbprint(),
        kid=kid,
        thumbprints=frozenset(_plain(each) for each in stated if isinstance(each, str)),
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
    texts = [(name, jwk.get(name)) for name in ("kty", "crv", "n", "e", "x", "y")]
    members: dict[str, str | list[str]] = {}
    for name, value in texts:
        if isinstance(value, str):
            if len(value) > MAX_NUMBER:
                return None
            members[name] = value if name in ("kty", "crv") else _plain(value)
    try:
        match members["kty"]:
            case "RSA":
                # Before the import, which only warns of a short one.
                numbers = {name: _number(str(members[name])) for name in ("n", "e")}
                members.update({name: _shortest(each) for name, each in numbers.items()})
                return RSAKey.import_key(members) if _is_sound(**numbers) else None
            case "EC":
                return ECKey.import_key(members)
            case _:
                return OKPKey.import_key(members)
    except (JoseError, KeyError, ValueError):
        return None


def _plain(text: str) -> str:
    """Return what was meant as base64url: some write standard base64, or pad it."""
    return text.rstrip("=").translate(_TO_BASE64URL)


def _shortest(number: int) -> str:
    """Return a number as RFC 7518, 2 has it, so that a key has one thumbprint: no leading zeros."""
    return urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).decode()


def _number(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(text.encode()), "big")


def _is_sound(n: int, e: int) -> bool:
    """Say whether an RSA key is good and cheap enough: a signature takes time by both lengths."""
    return (
        n.bit_length() in RSA_BITS
        and e % 2 == 1
        and e.bit_length() <= MAX_EXPONENT_BITS
        and not has_roca_mark(n)
    )
