"""JSON objects as strangers send them, read strictly and at a bounded cost."""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 16
MAX_MARKS = 4000  # commas and opening brackets, those within strings too
# Characters of one number, whose conversion takes time that grows with their square. RFC 8259, 6
# promises no more than a double: 309 digits before the point, else `-2.2250738585072014e-308`.
MAX_INTEGER = 309
MAX_FLOAT = 24

_BLANKS = " \t\n\r"  # RFC 8259, 2


def read_object(text: bytes, *, max_marks: int = MAX_MARKS) -> dict[str, object] | None:
    """Return the object that a JSON text is (RFC 8259), or None when it is not exactly one.

    Refused beyond the grammar: anything but UTF-8, a byte order mark, a member named twice, nesting
    deeper than 16, NaN, infinities, numbers that overflow into one or are longer than a double ever
    needs, and more than `max_marks` commas and brackets: so no text of half a megabyte takes longer
    than a few milliseconds. It answers None instead of raising because the errors of `json` carry
    the text, which may be a token. Strings may still hold lone surrogates.
    """
    brackets = text.count(b"[") + text.count(b"{")
    if brackets + text.count(b",") > max_marks:
        return None
    try:
        whole = text.decode("utf-8").strip(_BLANKS)
        value, end = _DECODER.raw_decode(whole)
    except (ValueError, RecursionError):  # json's and unicode's own errors are ValueErrors too
        return None
    if not isinstance(value, dict) or end < len(whole):
        return None
    if brackets > MAX_DEPTH and _is_deep(value):
        return None
    return value


def _is_deep(value: object) -> bool:
    """Say whether something lies deeper than MAX_DEPTH, by going down level by level."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refused(constant: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER:
        raise ValueError("a number is too long")
    return int(digits)


def _finite(digits: str) -> float:
    if len(digits) > MAX_FLOAT:
        raise ValueError("a number is too long")
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number overflows")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_constant=_refused,
    parse_float=_finite,
    parse_int=_integer,
)
