"""PASETO version 4, purpose public: pure, and nothing but the format and its signature.

github.com/paseto-standard/paseto-spec, docs/01-Protocol-Versions/Version4.md ("Verify") and
Common.md ("PAE").
"""

import base64
import re
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEADER = "v4.public."
SIGNATURE_SIZE = 64  # bytes
_PART = re.compile(r"[A-Za-z0-9_-]+")


class FormatError(ValueError):
    """This is no v4.public token; the text has nothing of it."""


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token's parts; none of it is known to be true yet."""

    message: bytes
    signature: bytes
    footer: bytes

    def is_signed_by(self, key: Ed25519PublicKey, implicit_assertion: bytes) -> bool:
        """Say whether this key has signed the message with this footer."""
        signed = pae(HEADER.encode(), self.message, self.footer, implicit_assertion)
        try:
            key.verify(self.signature, signed)
        except InvalidSignature:
            return False
        return True


def read_token(text: str) -> SignedToken:
    """Return the parts of a token.

    Raises:
        FormatError: It has another header, or its parts are not base64url as they must be.
    """
    if not text.startswith(HEADER):
        raise FormatError("the header is not v4.public.")
    payload, dot, footer = text.removeprefix(HEADER).partition(".")
    content = decoded(payload)
    if len(content) <= SIGNATURE_SIZE:
        raise FormatError("there is no message before the signature")
    return SignedToken(
        message=content[:-SIGNATURE_SIZE],
        signature=content[-SIGNATURE_SIZE:],
        footer=decoded(footer) if dot else b"",
    )


def pae(*pieces: bytes) -> bytes:
    """Return the pre-authentication encoding: no two lists of pieces have the same one."""
    encoded = [struct.pack("<Q", len(pieces))]
    for piece in pieces:
        encoded += [struct.pack("<Q", len(piece)), piece]
    return b"".join(encoded)


def decoded(text: str) -> bytes:
    """Return the bytes of unpadded base64url (RFC 4648, 5), of which there is one spelling only.

    Raises:
        FormatError: It is none.
    """
    if not _PART.fullmatch(text) or len(text) % 4 == 1:
        raise FormatError("a part is not base64url")
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encoded(content) != text:
        raise FormatError("a part is not base64url as it would be encoded")
    return content


def encoded(content: bytes) -> str:
    """Return unpadded base64url."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
