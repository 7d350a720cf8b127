"""What a token says, in the terms that sessiond judges by."""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import NoReturn

# RFC 3339, 5.6, with the capital letters that PASETO demands.
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:(\.\d{1,6})\d{0,12})?(Z|[+-]\d\d:\d\d)", re.ASCII
)


def read_claims(message: bytes) -> dict[str, object]:
    """Return a signed message's claims, `exp`, `nbf` and `iat` as seconds since 1970.

    paseto-spec, docs/02-Implementation-Guide/04-Claims.md.

    Raises:
        ValueError: It is no JSON object, has a member twice or no `exp`, or a date is none. The
            text has nothing of the message.
    """
    try:
        claims = json.loads(message.decode(), object_pairs_hook=_members, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("the message is nested too deep") from None
    except ValueError:  # those of json and unicode would show the message
        raise ValueError("the message is not strict JSON") from None
    if not isinstance(claims, dict):
        raise ValueError("the message is not a JSON object")
    if "exp" not in claims:
        raise ValueError("exp is missing: a token must end")
    for name in ("exp", "nbf", "iat"):
        if name in claims:
            claims[name] = _seconds(name, claims[name])
    return claims


def _seconds(name: str, value: object) -> float:
    parts = _DATE.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise ValueError(f"{name} is not a date of RFC 3339")
    try:
        return datetime.fromisoformat(parts[1] + (parts[2] or "") + parts[3]).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{name} is not a date that there is") from None


def _members(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError("a member is there twice")
        members[name] = value
    return members


def _no_number(constant: str) -> NoReturn:
    raise ValueError("not a JSON number")
