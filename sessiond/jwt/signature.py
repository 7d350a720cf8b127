"""From a signed token to the claims that its signature covers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.jsontext import read_object
from sessiond.core.secret import Secret
from sessiond.jwt.keyset import KeySet, VerificationKey, newer_name

HEADER_MEMBERS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"}
)
MAX_HEADER_SIZE = 2048  # bytes, encoded

_COMPACT = re.compile(r"[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Claims that one of the issuer's keys has signed. Nothing of what they say was judged."""

    claims: Mapping[str, object]
    key: VerificationKey


class _Registry(JWSRegistry):
    """joserfc's algorithms, with EdDSA as the Ed25519 that it stands for here.

    joserfc warns at each use of the older name, and would let it stand for Ed448 too.
    """

    algorithms = JWSRegistry.algorithms | {"EdDSA": JWSRegistry.algorithms["Ed25519"]}
    max_header_length = MAX_HEADER_SIZE


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
        UnknownKeyError: The header names a key that is not there; the rest of the header is fine.
    """
    text = token.reveal()
    for key in possible_keys(token, keys, algorithms=algorithms, types=types):
        payload = _signed_payload(text, key)
        if payload is not None:
            return Signed(claims=_strict(read_object(payload), "payload"), key=key)
    raise TokenRejected(Refusal.BADSIGNATURE, "no key of the issuer has signed this")


def possible_keys(
    token: Secret, keys: KeySet, *, algorithms: frozenset[str], types: frozenset[str]
) -> tuple[VerificationKey, ...]:
    """Return the keys that may have signed a token, by its header alone; see `signed_claims`."""
    text = token.reveal()
    if not _COMPACT.fullmatch(text):
        raise TokenRejected(Refusal.MALFORMED, "not three base64url parts")
    algorithm, kid = _checked_header(_header(text), algorithms=algorithms, types=types)
    return keys.candidates(kid=kid, algorithm=algorithm)


def media_type(typ: str) -> str:
    """Return a `typ` as it is compared: lower case, without `application/` (RFC 7515, 4.1.9)."""
    return typ.lower().removeprefix("application/")


def _checked_header(
    header: Mapping[str, object], *, algorithms: frozenset[str], types: frozenset[str]
) -> tuple[str, str | None]:
    """Return `alg` and `kid` of a header that is in order."""
    if "nonce" in header:
        # Only Microsoft Graph can check these, and they are meant for nobody else.
        raise TokenRejected(Refusal.WRONGTYPE, "a token for Microsoft Graph")
    # Others are crit, b64, zip, and every way to bring a key along: jwk, jku, x5c, x5u.
    if header.keys() - HEADER_MEMBERS:
        raise TokenRejected(Refusal.MALFORMED, "the header has members that are not allowed")
    if not all(isinstance(value, str) for value in header.values()):
        raise TokenRejected(Refusal.MALFORMED, "a header member is not a string")
    typ, kid, algorithm = (header.get(name) for name in ("typ", "kid", "alg"))
    if not _is_allowed(typ, types):
        raise TokenRejected(Refusal.WRONGTYPE, "typ is not one of those allowed")
    allowed = {newer_name(name) for name in algorithms} & ALGORITHMS
    if not isinstance(algorithm, str) or newer_name(algorithm) not in allowed:
        raise TokenRejected(Refusal.BADSIGNATURE, "alg is not one of those allowed")
    return algorithm, kid if isinstance(kid, str) else None


def _is_allowed(typ: object, types: frozenset[str]) -> bool:
    if typ is None:
        return "" in types
    return isinstance(typ, str) and media_type(typ) in types - {""}


def _header(text: str) -> Mapping[str, object]:
    part = text.partition(".")[0]
    if len(part) > MAX_HEADER_SIZE:
        raise TokenRejected(Refusal.MALFORMED, f"the header is longer than {MAX_HEADER_SIZE} bytes")
    try:
        content = urlsafe_b64decode(part.encode())
    except ValueError:
        content = b""
    return _strict(read_object(content), "header")


def _strict(value: Mapping[str, object] | None, name: str) -> Mapping[str, object]:
    if value is None:
        raise TokenRejected(Refusal.MALFORMED, f"the {name} is not a strict JSON object")
    return value


def _signed_payload(text: str, key: VerificationKey) -> bytes | None:
    """Return the payload that the key has signed, or None where it has not signed this."""
    try:
        return jws.deserialize_compact(text, key.key, registry=_REGISTRY).payload
    except JoseError:  # a broken signature is one too
        return None
