"""Cookies as a browser sends them, and as it is told to keep them (RFC 6265)."""

import re

from sessiond.web.base import Base

SIGN_IN_SLOTS = 4  # sign-ins that one browser may have begun at a time, at one base

_BLANKS = " \t"
_VALUE = re.compile(r"[ \t]*+=([^;]*+)")


class RepeatedCookie(ValueError):  # noqa: N818 - what is wrong with a header
    """A cookie is there twice: one of them is somebody else's, and nobody can say which."""


def value_of(header: str, name: str) -> str | None:
    """Return a cookie's value; None: it is not there.

    Without TLS another port of the host, or another path, can set one of the same name beside
    ours. So of two neither counts.

    Raises:
        RepeatedCookie: There are two of this name.
    """
    values = _values(header, name)
    if len(values) > 1:
        raise RepeatedCookie("a cookie twice")
    return values[0] if values else None


def is_sent(header: str, name: str) -> bool:
    """Say whether a cookie is there, once or more often."""
    return bool(_values(header, name))


def sign_in_cookie(base: Base, slot: int) -> str:
    """Return the name of a begun sign-in's cookie."""
    return f"{base.cookie}-signin-{slot}"


def arrival_cookie(base: Base) -> str:
    """Return the name of the cookie by which the page that led to a sign-in is known as meant."""
    return f"{base.cookie}-arrival"


def set_cookie(base: Base, name: str, value: str, *, max_age: int | None = None) -> str:
    """Return a Set-Cookie header's value.

    Scripts cannot read it, other sites' requests do not carry it, but for links that a person
    follows, and it never travels without TLS, where the base has that.

    Args:
        base: Whose it is.
        name: One of its cookies.
        value: Of letters, digits, `-` and `_`.
        max_age: Seconds; None: until the browser is closed. 0 takes it back.
    """
    age = "" if max_age is None else f"Max-Age={max_age}; "
    secure = "" if base.is_plain else "; Secure"
    return f"{name}={value}; {age}Path=/; HttpOnly; SameSite=Lax{secure}"


def _values(header: str, name: str) -> list[str]:
    """Return all values of a cookie, found by its name: a header may be full of others.

    Only a blank or tab may stand between a semicolon and the name. Browsers keep cookies for
    anybody whose names only look like ours (`x __Host-...`, or with a wider blank before it).
    """
    found, at = list[str](), header.find(name)
    while at >= 0:
        value = _VALUE.match(header, at + len(name))
        if value and _is_begin(header, at):
            found.append(value[1].strip(_BLANKS))
        at = header.find(name, at + len(name))
    return found


def _is_begin(header: str, at: int) -> bool:
    while at and header[at - 1] in _BLANKS:
        at -= 1
    return at == 0 or header[at - 1] == ";"
