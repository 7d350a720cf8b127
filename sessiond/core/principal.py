"""Who a session acts as, and when two names are one."""

import re

from msgspec import Struct

MAX_NAME_SIZE = 256  # bytes
_UPPER_TO_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_TOKEN_LIKE = re.compile(r"(?:^|\s|ticket:)eyJ|bearer:|\S{20,};\S{20,}|\S{129,}")


class Principal(Struct, frozen=True, gc=False):
    """The verified user: issuer and subject say who, the name is what it is called."""

    issuer: str  # the configured name of the issuer
    subject: str  # stable at that issuer (RFC 7519, 4.1.2)
    name: str  # as the claim spells it


def is_name(text: str) -> bool:
    """Say whether text can name a user: printable ASCII, 1 to 256 bytes.

    Nothing else is a name, so no look-alike, control or format character can make one.
    """
    return 0 < len(text) <= MAX_NAME_SIZE and text.isascii() and text.isprintable()


def folded(name: str) -> str:
    """Return the form in which names are compared: A-Z as a-z, everything else as it is."""
    lower = name.lower() if name.isascii() else name.translate(_UPPER_TO_LOWER)
    return name if lower == name else lower  # most are, and there may be very many: one object


def same_name(one: str, other: str) -> bool:
    """Say whether two names are one: equal without regard to the case of A-Z."""
    return folded(one) == folded(other) and is_name(one)  # and so is the other, then


def looks_like_token(text: str) -> bool:
    """Say whether there is something in a text that may be a token."""
    return _TOKEN_LIKE.search(text) is not None


def shown(typed: str) -> str:
    """Return a typed name fit for a log: control characters escaped, a token hidden.

    People paste tokens into the user field; what looks like one is shown as `(token)`.
    """
    if len(typed) > MAX_NAME_SIZE or looks_like_token(typed):
        return "(token)"
    return typed.encode("unicode_escape").decode("ascii")[:MAX_NAME_SIZE]
