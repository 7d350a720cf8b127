"""From a signed token to the claims that its signature covers."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from sessiond.core.compact import CompactToken, decoded, is_canonical
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import is_encrypted
from sessiond.core.printable import seen
from sessiond.core.secret import Secret
from sessiond.jwt.header import JudgedHeader, Signers, malformed, strict
from sessiond.jwt.keyset import UnknownKeyError, VerificationKey

MAX_TOKEN_SIZE = 131_072  # bytes; what a refresh brings may be longer than a password

_COMPACT = re.compile(r"([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]++)")


class Signed(NamedTuple):
    """Claims that one of the issuer's keys has signed. Nothing of what they say was judged."""

    claims: Mapping[str, object]
    key: VerificationKey


def signed_claims(token: Secret, signers: Signers) -> Signed:
    """Return the claims of a compact JWS (RFC 7515, 7.1) that one of the keys has signed.

    The header is judged before any key is looked up, and the payload is not believed, nor read by
    anybody here, before the signature holds.

    Args:
        token: The JWT.
        signers: The issuer's keys and rules; the header cannot bring its own.

    Raises:
        TokenRejected: MALFORMED, WRONGTYPE or BADSIGNATURE.
        UnknownKeyError: The header names no key that is there, and none has signed it; the rest
            of the header is fine.
    """
    compact = taken_apart(token)
    key = signing_key(compact, signers)
    claims = compact.stated_claims if is_canonical(compact.payload_part) else None
    return Signed(claims=strict("payload", claims), key=key)


def signing_key(token: Secret, signers: Signers) -> VerificationKey:
    """Return the key that has signed a token; see `signed_claims`."""
    compact = taken_apart(token)
    header = signers.judged(compact)
    content, signature = compact.signing_input, _octets(compact.signature_part)
    for key in header.candidates:
        if signature is not None and _is_signed(content, signature, header, key):
            return key
    kid = "no kid" if header.kid is None else f"kid {seen(header.kid)}"
    saw = (
        f"no signature of a key of the issuer (alg {seen(header.algorithm)}, {kid}, keys tried: "
        f"{len(header.candidates)} of {len(signers.keys.keys)}), wanted one"
    )
    if not header.names_key:
        raise UnknownKeyError(saw, is_named=False)
    raise TokenRejected(
        Refusal.BADSIGNATURE, f"{saw}: see that the token is whole, and of this issuer"
    )


def names_key(token: Secret, signers: Signers) -> bool:
    """Say whether the header names the key that must have signed a token, by the header alone.

    Raises:
        TokenRejected, UnknownKeyError: As `signed_claims`, where the header shows it.
    """
    return signers.judged(taken_apart(token)).names_key


def taken_apart(token: Secret) -> CompactToken:
    """Return a token's three parts, as they were found before where it was read from a password.

    Raises:
        TokenRejected: MALFORMED: it has not three.
    """
    if isinstance(token, CompactToken):
        return token
    text = token.reveal()
    if is_encrypted(text):
        raise malformed(
            "an encrypted token (JWE), wanted a signed one (JWS): have the issuer encrypt none for "
            "kdb+ (Auth0: the program must ask for an audience)"
        )
    parts = _COMPACT.fullmatch(text) if len(text) <= MAX_TOKEN_SIZE else None
    if parts is None:
        raise malformed(
            "not three base64url parts, wanted HEADER.PAYLOAD.SIGNATURE: present the token whole"
        )
    return CompactToken(text, (parts[1], parts[2], parts[3]))


def _octets(signature: str) -> bytes | None:
    """Return a signature; None where it is spelt as none is (RFC 7515, 2)."""
    return decoded(signature) if is_canonical(signature) else None


def _is_signed(
    content: bytes, signature: bytes, header: JudgedHeader, key: VerificationKey
) -> bool:
    """Say whether the key has signed the token as it stands, header and payload (RFC 7515, 5.2)."""
    return header.is_signed(content, signature, key.key)
