"""Where a subscriber is in the order of events, and what it could not take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sessiond.core.events import Event, Gap

MAX_SET_ASIDE = 1000  # events of one subscriber; with more it has to wait at its place
MAX_ERROR = 500  # characters of why an event was set aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a subscriber has received, kept so that a restart loses nothing."""

    subscriber: str  # its `name` in the configuration
    sequence: int  # of the last event that is done with; 0 = it begins with the oldest kept
    at: datetime  # aware, UTC: when it got there


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """An event that a subscriber refused too often. It outlives the time that events are kept."""

    subscriber: str
    event: Event
    attempts: int
    error: str  # the last attempt's
    at: datetime  # aware, UTC: when it was set aside


def gap_at(place: int, events: Sequence[Event], *, last: int, at: datetime) -> Gap | None:
    """Return what is missing between a place and the events that are kept after it.

    Numbers are consecutive, so events that begin after `place + 1` show that the ones between
    are no longer kept.

    Args:
        place: The number of the last event that is not wanted. 0 = from the oldest kept,
            whatever that is: nothing is missing. Above `last`: it is another database's.
        events: What is kept after it (after 0, for another database's), in order.
        last: The last committed event's number, read before the events were.
        at: The time of the gap. Its number is that of the last event missed.
    """
    first = events[0].sequence if events else last + 1
    is_kept = place <= last and (place == 0 or first == place + 1)
    if is_kept:
        return None
    return Gap(sequence=first - 1, at=at, after=place, before=first)
