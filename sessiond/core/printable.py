"""Text that others have chosen, where people read it."""

import json
from collections.abc import Iterable

from sessiond.core.principal import looks_like_token

MAX_SEEN = 100  # characters of one value
MAX_ITEMS = 5  # of several

_LOOKED_AT = 256  # characters: whatever may be a token shows that in fewer
_CUT = "..."


def escaped(text: str) -> str:
    """Return a text that cannot steer a terminal, nor seem to be more than one line.

    What is not printable (controls, line ends, marks of direction) stands as Python writes it:
    `\\n`, `\\x1b`, `\\u202e`.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def escaped_lines(text: str) -> str:
    """Return a text of several lines, a traceback say, each of which is `escaped`."""
    return "\n".join(map(escaped, text.split("\n")))


def seen(value: object) -> str:
    """Return a JSON value as a message shows it: what was seen where something else was wanted.

    Plain ASCII, so that look-alikes look different, and cut at 100 characters. Of a list, the
    first five; of an object, that it is one; of what may be a token, nothing.
    """
    match value:
        case str():
            return _quoted(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _cut(repr(value))
        case list():
            items = [
                "a list" if isinstance(item, list) else seen(item) for item in value[:MAX_ITEMS]
            ]
            return f"[{', '.join([*items, _CUT] if len(value) > MAX_ITEMS else items)}]"
        case _:
            return "an object"


def any_of(texts: Iterable[str]) -> str:
    """Return texts as `"a" or "b"`, the first five in order."""
    every = sorted(texts)
    return " or ".join([*map(_quoted, every[:MAX_ITEMS]), *([_CUT] if every[MAX_ITEMS:] else [])])


def _quoted(text: str) -> str:
    if looks_like_token(text[:_LOOKED_AT]):
        return "a text that may be a token"
    plain = json.dumps(text[: MAX_SEEN + 1])[1:-1].replace("\x7f", "\\u007f")
    return f'"{_cut(plain)}"'


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SEEN else f"{text[:MAX_SEEN]}{_CUT}"
