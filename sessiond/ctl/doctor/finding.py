"""What a check comes to."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, or nobody could look; see what to do
    WRONG = "wrong"  # something does not work, or is not safe


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    outcome: Outcome
    found: str
    advice: str = ""  # what to do; empty: nothing


def ok(check: str, found: str) -> Finding:
    return Finding(check, Outcome.OK, found)


def warning(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Outcome.WARNING, found, advice)


def wrong(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Outcome.WRONG, found, advice)


def unseen(check: str, error: OSError) -> Finding:
    """Return what is said of a thing that could not be looked at."""
    return warning(check, f"not looked at: {error.strerror}", "run this as root, or as sessiond")


def worst(findings: Iterable[Finding]) -> Outcome:
    """Return what findings come to together."""
    outcomes = {each.outcome for each in findings}
    for outcome in (Outcome.WRONG, Outcome.WARNING):
        if outcome in outcomes:
            return outcome
    return Outcome.OK
