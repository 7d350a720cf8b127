"""Ids as people type them: as short as tells them apart, and found again by how they begin."""

import os
import re
from collections.abc import Collection
from itertools import takewhile
from uuid import UUID

import click

from sessiond.ctl.client import Client, ControlError

SHOWN = 8  # characters at least: those before an id's first hyphen
LEAST = 6  # characters that name a session
_DIGITS = 32
_MANY = 8  # candidates that are named
_HEX = re.compile(r"[0-9a-f]+")


def shortened(ids: Collection[str]) -> dict[str, str]:
    """Return for each id as much of its beginning as none of the others has, 8 characters at least.

    Among others that are not listed there may still be one that begins so: then it is said.
    """
    ordered, short = sorted(ids), dict[str, str]()
    for number, each in enumerate(ordered):
        beside = ordered[max(0, number - 1) : number] + ordered[number + 1 : number + 2]
        common = max((_in_common(each, other) for other in beside), default=0)
        end = max(SHOWN, common + 1)
        short[each] = each[: end + 1] if each[end - 1 : end] == "-" else each[:end]
    return short


def _in_common(one: str, other: str) -> int:
    """Return with how many characters both begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def full_id(client: Client, typed: str) -> str:
    """Return the id of the one live session whose id begins so; a whole id as it is.

    Raises:
        click.UsageError: It is no beginning of an id, or that of several, which are named.
        ControlError: It is the beginning of none.
    """
    digits = typed.lower().replace("-", "")
    if not _HEX.fullmatch(digits) or not LEAST <= len(digits) <= _DIGITS:
        raise click.UsageError(
            f"{typed!r} names no session: type its id from `sessionctl list`, or how that begins, "
            f"{LEAST} characters at least"
        )
    if len(digits) == _DIGITS:
        return str(UUID(digits))
    found = _beginning(client, digits)
    if not found:
        raise ControlError(
            f"no live session's id begins with {typed}\n`sessionctl list` has those that are live",
            os.EX_NOINPUT,
        )
    if len(found) > 1:
        more = ", …" if len(found) == _MANY else ""
        raise click.UsageError(
            f"{typed} is how several ids begin: {', '.join(found)}{more}; type one more character"
        )
    return found[0]


def _beginning(client: Client, digits: str) -> list[str]:
    """Return the ids that begin so. They are listed in order: those beyond the place before it."""
    place = int(digits.ljust(_DIGITS, "0"), 16) - 1
    after = {} if place < 0 else {"after": str(UUID(int=place))}
    page = client.get("/v1/sessions", limit=_MANY, **after)
    ids = [str(each["session"]) for each in page["sessions"]]
    return [each for each in ids if each.replace("-", "").startswith(digits)]
