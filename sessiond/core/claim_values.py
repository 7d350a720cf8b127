"""What the value of one claim holds: words, names, or one text."""

from collections.abc import Mapping
from functools import lru_cache

MAX_ATTRIBUTE_SIZE = 4096  # characters
MAX_WORDS = 5000  # of a claim that are read

Claims = Mapping[str, object]

_OBJECT = (dict, Mapping)  # in this order: nearly all are dicts


def claim_at(claims: Claims, name: str) -> object:
    """Return the claim of that name; None where there is none.

    A name that begins with a slash is a JSON Pointer (RFC 6901) to a member inside of objects, as
    Keycloak's `/realm_access/roles`. It goes through objects only, never into a list.
    """
    if not name.startswith("/"):
        return claims.get(name)
    value: object = claims
    for member in _members(name):
        if not isinstance(value, _OBJECT):
            return None
        value = value.get(member)
    return value


def words_of(value: object) -> list[str]:
    """Return the words of a claim: a string split at spaces (RFC 6749, 3.3), or a list's strings.

    Anything else has none, and so grants nothing; neither do words after the 5,000th.
    """
    if isinstance(value, str):
        return list(filter(None, value.split(" ", MAX_WORDS)[:MAX_WORDS]))
    if isinstance(value, list):
        return [word for word in value[:MAX_WORDS] if isinstance(word, str)]
    return []


def values_of(value: object) -> list[str]:
    """Return what a claim names: its words, or the names of an object's members.

    Zitadel's roles are such names, each with the organisation that gave it. A member whose value
    is false or null names nothing.
    """
    if not isinstance(value, _OBJECT):
        return words_of(value)
    names = [name for name, held in value.items() if held is not None and held is not False]
    return names[:MAX_WORDS]


def text_of(value: object) -> str | None:
    """Return a scalar's text, or a list's, joined by blanks; None where it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)  # what JSON calls it, at a quarter of what `json` takes
    if isinstance(value, list):
        return _joined(value)
    return None


@lru_cache(maxsize=256)
def _members(pointer: str) -> tuple[str, ...]:
    """Return the names of the members that a JSON Pointer goes through."""
    parts = pointer[1:].split("/")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def _joined(items: list[object]) -> str | None:
    """Return the texts of a list, joined by blanks; None where an item has none, or all too much.

    It looks no further than an attribute may be long.
    """
    texts, size = [], -1  # there is a blank less than there are items
    for item in items:
        text = None if isinstance(item, list) else text_of(item)
        size += 1 + len(text or "")
        if text is None or size > MAX_ATTRIBUTE_SIZE:
            return None
        texts.append(text)
    return " ".join(texts)
