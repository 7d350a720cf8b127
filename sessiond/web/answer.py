"""What a request is answered with, and the only place that writes a header line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from sessiond.core.session import ActiveSession

Action = Literal["allow", "redirect", "deny", "basic"]
Header = tuple[str, str]

RETRY_AFTER = 5  # seconds: what is not there by then may take longer

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")  # RFC 9110, 5.5, in ASCII


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """For the hook. Of a redirect or a denial q sends status, header lines and body as they are."""

    action: Action
    active: ActiveSession | None = None  # who is let in
    status: int = 0
    headers: str = field(default="", repr=False)  # lines, each ended by CRLF
    body: str = field(default="", repr=False)  # ASCII
    signout: str = field(default="", repr=False)  # the address that ends a cookie's session
    reason: str = ""  # why nobody is let in, where somebody asked to be
    keep: timedelta = timedelta(0)  # how long an `allow` may be kept unless a push changes it


BASIC = Answer(action="basic")  # as q does without `.z.ac`: by `.z.pw`


def sent(
    action: Literal["redirect", "deny"],
    status: int,
    *headers: Header,
    body: str = "",
    content_type: str = "text/plain; charset=us-ascii",
    reason: str = "",
) -> Answer:
    """Return a response that is never kept by anybody.

    Raises:
        ValueError: A header has what none may have, a line break above all: whoever made it has
            let something through.
    """
    if not body.isascii():
        raise ValueError("a body is ASCII: its length is counted in characters")
    content = (("Content-Type", content_type),) if body else ()
    every = (*content, ("Content-Length", str(len(body))), ("Cache-Control", "no-store"), *headers)
    return Answer(action=action, status=status, headers=_lines(every), body=body, reason=reason)


def redirect(location: str, *headers: Header) -> Answer:
    """Return what sends the browser somewhere; the address is ASCII and escaped."""
    return sent("redirect", 302, ("Location", location), *headers)


def retry_after(seconds: int = RETRY_AFTER) -> Header:
    """Return what tells when it is worth asking again (RFC 9110, 10.2.3)."""
    return "Retry-After", str(seconds)


def _lines(headers: Iterable[Header]) -> str:
    lines = []
    for name, value in headers:
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise ValueError(f"the header {name!r} would not stay one line of printable ASCII")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)
