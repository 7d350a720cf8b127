"""What claims say of how a user signed in, and whether all of his groups are among them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sessiond.core.claim_values import Claims
from sessiond.core.jsontext import read_object

MAX_DATE = 253_000_000_000  # seconds since 1970, in the year 9987: a datetime holds more
MAX_CONTEXTS = 32  # of a token that are kept
MAX_CONTEXT = 256  # characters of one; a longer one is none

_NUMBER = (int, float)
_YES = (True, "true")  # a 1 is equal to True


def auth_time_of(claims: Claims) -> datetime | None:
    """Return when the user signed in (OpenID Connect Core, 2); None where nothing sensible is said.

    What is no number of seconds between 1970 and the year 9987 is not.
    """
    value = claims.get("auth_time")
    if isinstance(value, bool) or not isinstance(value, _NUMBER) or not 0 <= value <= MAX_DATE:
        return None
    return datetime.fromtimestamp(value, UTC)


def acr_of(claims: Claims) -> tuple[str, ...]:
    """Return the authentication contexts: `acr`, and Entra's `acrs`, a list or the text of one."""
    acr, acrs = claims.get("acr"), claims.get("acrs")
    if acrs is None:
        return (acr,) if isinstance(acr, str) and 0 < len(acr) <= MAX_CONTEXT else ()
    if isinstance(acrs, str) and acrs.startswith("["):
        acrs = (read_object(b'{"acrs":%b}' % acrs.encode("utf-8", "replace")) or {}).get("acrs")
    contexts = [acr, *(acrs if isinstance(acrs, list) else [acrs])]
    texts = (each for each in contexts[: MAX_CONTEXTS + 1] if isinstance(each, str))
    return tuple(dict.fromkeys(each for each in texts if 0 < len(each) <= MAX_CONTEXT))


def is_overage(claims: Claims) -> bool:
    """Say whether Entra left the groups out, there being too many: they are to be asked for."""
    if claims.get("groups") is not None:
        return False
    elsewhere = claims.get("_claim_names")
    is_elsewhere = isinstance(elsewhere, Mapping) and "groups" in elsewhere
    return is_elsewhere or claims.get("hasgroups") in _YES
