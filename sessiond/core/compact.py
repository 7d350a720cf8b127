"""A signed token in its compact form, HEADER.PAYLOAD.SIGNATURE (RFC 7515, 7.1), taken apart once.

What is found on the way from a password to a verdict is handed on here, so that nobody looks for it
again. All of it is *stated*: anybody can have written it, until a signature is known to hold.
"""

import binascii
from collections.abc import Mapping

from sessiond.core.jsontext import read_object
from sessiond.core.secret import Secret

MAX_HEADER_MARKS = 250  # commas and brackets of a JWT's header; a chain of certificates has few

Stated = Mapping[str, object]

_FROM_URLSAFE = bytes.maketrans(b"-_", b"+/")
_LAST = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}  # by length modulo 4


class CompactToken(Secret):
    """A token of three base64url parts: for whoever takes a Secret, one like any other."""

    __slots__ = (
        "_stated_claims",
        "_stated_header",
        "header_part",
        "payload_part",
        "signature_part",
    )

    def __init__(
        self, text: str, parts: tuple[str, str, str], *, header: Stated | None = None
    ) -> None:
        """Read nothing yet.

        Args:
            text: All of it.
            parts: Its three parts, of base64url's alphabet.
            header: What the first one holds, where that is known.
        """
        super().__init__(text)
        self.header_part, self.payload_part, self.signature_part = parts
        self._stated_header: tuple[Stated | None] | None = None if header is None else (header,)
        self._stated_claims: tuple[Stated | None] | None = None

    @property
    def stated_header(self) -> Stated | None:
        """What the header holds, read once; None where that is no strict JSON object."""
        if self._stated_header is None:
            self._stated_header = (_object(self.header_part, max_marks=MAX_HEADER_MARKS),)
        return self._stated_header[0]

    @property
    def stated_claims(self) -> Stated | None:
        """What the payload holds, read once; None where that is no strict JSON object."""
        if self._stated_claims is None:
            self._stated_claims = (_object(self.payload_part),)
        return self._stated_claims[0]

    @property
    def signing_input(self) -> bytes:
        """What the signature is of, as it was sent (RFC 7515, 5.2)."""
        return self._text[: -1 - len(self.signature_part)].encode()


def is_canonical(part: str) -> bool:
    """Say whether a base64url part is one that RFC 4648, 3.5 has written: no bits are left over."""
    over = len(part) % 4
    return not over or (over != 1 and part[-1] in _LAST[over])


def decoded(part: str) -> bytes:
    """Return the bytes of a base64url part, whose alphabet and length were checked."""
    padded = part + "=" * (-len(part) % 4)
    return binascii.a2b_base64(padded.encode().translate(_FROM_URLSAFE))


def _object(part: str, **bounds: int) -> Stated | None:
    return None if len(part) % 4 == 1 else read_object(decoded(part), **bounds)
