"""What whoever asks for a token is told."""

from dataclasses import dataclass
from enum import StrEnum

from sessiond.sources.kept_token import KeptToken


class Reason(StrEnum):
    """Why there is none."""

    NOTALLOWED = "notallowed"  # not for this process or user, or of no session of its own
    REFUSED = "refused"  # the issuer gives none
    UNAVAILABLE = "unavailable"  # nobody knows now
    THROTTLED = "throttled"  # the issuer wants to be left alone, or too many of the process wait


@dataclass(frozen=True, slots=True, kw_only=True)
class NotGiven:
    """There is none. The detail is for operators: no part of a token is in it."""

    reason: Reason
    detail: str
    retry_after: float = 0.0  # seconds before which asking again is of no use; 0: not known


Answer = KeptToken | NotGiven
