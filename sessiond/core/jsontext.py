"""JSON objects as strangers send them, read strictly."""

import json
import math
import re
from collections.abc import Iterable
from typing import NoReturn

MAX_DEPTH = 16

# Ends a string that is never closed at the end of the text, so that the search stays linear.
_STRING = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def read_object(text: bytes) -> dict[str, object] | None:
    """Return the object that a JSON text is (RFC 8259), or None when it is not exactly one.

    Refused beyond the grammar: anything but UTF-8, a byte order mark, a member named twice, nesting
    deeper than 16, NaN, infinities and numbers that overflow into one. It answers None instead of
    raising because the errors of `json` carry the text, which may be a token. Strings may still
    hold lone surrogates.
    """
    try:
        decoded = text.decode("utf-8")
        if _depth(decoded) > MAX_DEPTH:
            return None
        value = _DECODER.decode(decoded)
    except ValueError:  # json's and unicode's own errors are ValueErrors too
        return None
    return value if isinstance(value, dict) else None


def _depth(text: str) -> int:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0  # not deep, whatever it is; the usual case
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _members(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError("a member is named twice")
        members[name] = value
    return members


def _refused(constant: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number overflows")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_constant=_refused, parse_float=_finite
)
