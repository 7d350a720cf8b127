"""What a receiver's answer means."""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER: Final = 3600.0  # seconds; nobody is silenced for longer by one header

_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})  # beside 5xx
_OUTAGES: Final = frozenset({401, 404, 408, 410, 425, 429, 502, 503, 504})  # whatever was sent
_WORDS: Final = {
    401: "it refuses our authorization or signature",
    403: "it refuses our authorization or signature",
    410: "it wants no more events: remove the subscriber, or mend its URL",
    413: "the request is too large for it: a smaller batch",
    429: "too many requests",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one request; `fault` is empty where the receiver has it."""

    fault: str = ""
    is_passing: bool = False  # the same request may do better a little later
    is_outage: bool = False  # whatever was sent: no event is to blame
    retry_after: float = 0.0  # seconds that the receiver asks for


def answer_of(status: int, retry_after: str | None, *, now: float) -> Answer:
    """Return what a status means.

    2xx: received. 408, 425, 429 and 5xx: again, soon. All others: no use in hurrying.

    Args:
        status: As answered.
        retry_after: The header of that name (RFC 9110, 10.2.3).
        now: What a date in it is counted from, in seconds since 1970.
    """
    if 200 <= status < 300:
        return Answer()
    words = "redirects are not followed" if 300 <= status < 400 else _WORDS.get(status, "")
    return Answer(
        fault=f"status {status}: {words}" if words else f"status {status}",
        is_passing=status >= 500 or status in _WORTH_ANOTHER_TRY,
        is_outage=status in _OUTAGES,
        retry_after=_seconds(retry_after or "", now),
    )


def _seconds(retry_after: str, now: float) -> float:
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return min(max(aware.timestamp() - now, 0.0), MAX_RETRY_AFTER)
    except (ValueError, OverflowError):
        return 0.0
