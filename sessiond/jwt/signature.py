"""From a signed token to the claims that its signature covers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.jsontext import read_object
from sessiond.core.password import MAX_HEADER_MARKS, is_encrypted
from sessiond.core.printable import any_of, seen
from sessiond.core.secret import Secret
from sessiond.jwt.keyset import (
    THUMBPRINTS,
    KeySet,
    UnknownKeyError,
    VerificationKey,
    newer_name,
)

# All that is read of a header, and text where it is there. Other members are ignored, as RFC 7515,
# 4 asks: nothing is fetched from `jku` or `x5u`, and `jwk` and `x5c` bring no key.
HEADER_MEMBERS = ("alg", "kid", "typ", *THUMBPRINTS)
# What would change how the rest is read: RFC 7515, 4.1.11; RFC 7797; and a compression, which JWS
# does not have.
REFUSED_MEMBERS = ("crit", "b64", "zip")
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"}
)
MAX_HEADER_SIZE = 16_384  # bytes, encoded; a chain of certificates (`x5c`) has 3,000 to 10,000
MAX_TOKEN_SIZE = 131_072  # bytes; what a refresh brings may be longer than a password

_COMPACT = re.compile(r"[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Claims that one of the issuer's keys has signed. Nothing of what they say was judged."""

    claims: Mapping[str, object]
    key: VerificationKey


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """All that is used of a header."""

    algorithm: str
    kid: str | None
    thumbprints: tuple[str, ...]  # of the certificate


class _Registry(JWSRegistry):
    """joserfc's algorithms, with EdDSA as the Ed25519 that it stands for here.

    joserfc warns at each use of the older name, and would let it stand for Ed448 too.
    """

    algorithms = JWSRegistry.algorithms | {"EdDSA": JWSRegistry.algorithms["Ed25519"]}


_REGISTRY = _Registry(algorithms=ALGORITHMS | {"EdDSA"})


def signed_claims(
    token: Secret, keys: KeySet, *, algorithms: frozenset[str], types: frozenset[str]
) -> Signed:
    """Return the claims of a compact JWS (RFC 7515, 7.1) that one of the keys has signed.

    The header is judged before any key is looked up, and the payload is not read before the
    signature holds.

    Args:
        token: The JWT.
        keys: The issuer's; the header cannot bring its own.
        algorithms: The ones allowed; EdDSA and Ed25519 allow each other.
        types: The `typ` allowed, as `media_type` writes them; "" allows that it is absent.

    Raises:
        TokenRejected: MALFORMED, WRONGTYPE or BADSIGNATURE.
        UnknownKeyError: The header names no key that is there, and none has signed it; the rest
            of the header is fine.
    """
    key = signing_key(token, keys, algorithms=algorithms, types=types)
    payload = _decoded(token.reveal().split(".")[1])
    return Signed(claims=_strict("payload", read_object(payload)), key=key)


def signing_key(
    token: Secret, keys: KeySet, *, algorithms: frozenset[str], types: frozenset[str]
) -> VerificationKey:
    """Return the key that has signed a token; see `signed_claims`."""
    text = token.reveal()
    header = _checked_header(text, algorithms=algorithms, types=types)
    candidates = _candidates(header, keys)
    for key in candidates:
        if _is_signed(text, header.algorithm, key):
            return key
    kid = "no kid" if header.kid is None else f"kid {seen(header.kid)}"
    saw = (
        f"no signature of a key of the issuer (alg {seen(header.algorithm)}, {kid}, keys tried: "
        f"{len(candidates)} of {len(keys.keys)}), wanted one"
    )
    if not keys.named(kid=header.kid, thumbprints=header.thumbprints):
        raise UnknownKeyError(saw, is_named=False)
    raise TokenRejected(
        Refusal.BADSIGNATURE, f"{saw}: see that the token is whole, and of this issuer"
    )


def names_key(
    token: Secret, keys: KeySet, *, algorithms: frozenset[str], types: frozenset[str]
) -> bool:
    """Say whether the header names the key that must have signed a token, by the header alone.

    Raises:
        TokenRejected, UnknownKeyError: As `signed_claims`, where the header shows it.
    """
    header = _checked_header(token.reveal(), algorithms=algorithms, types=types)
    _candidates(header, keys)
    return bool(keys.named(kid=header.kid, thumbprints=header.thumbprints))


def media_type(typ: str) -> str:
    """Return a `typ` as it is compared: lower case, without `application/` (RFC 7515, 4.1.9)."""
    return typ.lower().removeprefix("application/")


def _candidates(header: _Header, keys: KeySet) -> tuple[VerificationKey, ...]:
    return keys.candidates(
        kid=header.kid, thumbprints=header.thumbprints, algorithm=header.algorithm
    )


def _checked_header(text: str, *, algorithms: frozenset[str], types: frozenset[str]) -> _Header:
    """Return what a header in order says."""
    header = _header(text)
    if "nonce" in header:
        raise TokenRejected(
            Refusal.WRONGTYPE,
            "nonce is in the header, so it is for Microsoft Graph, wanted a token for kdb+, which "
            "others can check too: have the program ask for a scope of its own API",
        )
    for name in REFUSED_MEMBERS:
        if name in header:
            raise _malformed(f"{name} is in the header, wanted none: mend it at the issuer")
    members = {name: header[name] for name in HEADER_MEMBERS if name in header}
    for name, value in members.items():
        if not isinstance(value, str):
            saw = f"{name} in the header is {seen(value)}"
            raise _malformed(f"{saw}, wanted text: mend it at the issuer")
    stated = {name: str(value) for name, value in members.items()}
    _check_type(stated.get("typ"), types)
    return _Header(
        algorithm=_checked_algorithm(stated.get("alg"), algorithms),
        kid=stated.get("kid"),
        thumbprints=tuple(stated[name] for name in THUMBPRINTS if name in stated),
    )


def _check_type(typ: str | None, types: frozenset[str]) -> None:
    if (typ is None and "" in types) or (typ and media_type(typ) in types - {""}):
        return
    saw = "missing" if typ is None else seen(typ)
    raise TokenRejected(
        Refusal.WRONGTYPE,
        f"typ in the header is {saw}, wanted {any_of(types)}: present the access token, not the "
        "id_token; if it is one, mend typ",
    )


def _checked_algorithm(stated: str | None, algorithms: frozenset[str]) -> str:
    allowed = {newer_name(name) for name in algorithms} & ALGORITHMS
    if stated is None or newer_name(stated) not in allowed:
        saw = "missing" if stated is None else seen(stated)
        raise TokenRejected(
            Refusal.BADSIGNATURE,
            f"alg is {saw}, wanted {', '.join(sorted(allowed))}: set it at the issuer, or mend "
            "algorithms",
        )
    return stated


def _header(text: str) -> Mapping[str, object]:
    if is_encrypted(text):
        raise _malformed(
            "an encrypted token (JWE), wanted a signed one (JWS): have the issuer encrypt none for "
            "kdb+ (Auth0: the program must ask for an audience)"
        )
    if len(text) > MAX_TOKEN_SIZE or not _COMPACT.fullmatch(text):
        raise _malformed(
            "not three base64url parts, wanted HEADER.PAYLOAD.SIGNATURE: present the token whole"
        )
    part = text.partition(".")[0]
    if len(part) > MAX_HEADER_SIZE:
        raise _malformed(
            f"the header has {len(part)} bytes, wanted {MAX_HEADER_SIZE} at most: have the issuer "
            "leave x5c out"
        )
    return _strict("header", read_object(_decoded(part), max_marks=MAX_HEADER_MARKS))


def _decoded(part: str) -> bytes:
    """Return what a base64url part holds; nothing where it is none (RFC 7515, 2)."""
    try:
        return urlsafe_b64decode(part.encode())
    except ValueError:
        return b""


def _strict(name: str, value: Mapping[str, object] | None) -> Mapping[str, object]:
    if value is None:
        raise _malformed(
            f"the {name} is not a strict JSON object, wanted UTF-8, each member once, at most "
            "16 deep, not thousands of values: present the token whole, or mend it at the issuer"
        )
    return value


def _is_signed(text: str, algorithm: str, key: VerificationKey) -> bool:
    """Say whether the key has signed the token as it stands, header and payload (RFC 7515, 5.2)."""
    content, _, signature = text.rpartition(".")
    try:
        octets = urlsafe_b64decode(signature.encode())
    except ValueError:
        return False
    return _REGISTRY.get_alg(algorithm).verify(content.encode(), octets, key.key)


def _malformed(detail: str) -> TokenRejected:
    return TokenRejected(Refusal.MALFORMED, detail)
