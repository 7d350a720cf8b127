"""Where a subscriber is in the order of events, and what it could not take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sessiond.core.events import Event, Gap

MAX_DEAD_LETTERS = 1000  # events of one subscriber; with more it has to wait at its place
MAX_ERROR = 500  # characters of why an event was set aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a subscriber has received, kept so that a restart loses nothing."""

    subscriber: str  # its `name` in the configuration
    sequence: int  # of the last event that is done with; 0 = it begins with the very first
    at: datetime  # aware, UTC: when it got there


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that a subscriber refused too often. It outlives the time that events are kept."""

    subscriber: str
    event: Event
    attempts: int
    error: str  # the last attempt's
    at: datetime  # aware, UTC: when it was set aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursors:
    """What is kept for every subscriber that there ever was, configured still or not."""

    cursors: tuple[Cursor, ...]  # by subscriber
    dead_letters: tuple[DeadLetter, ...]  # by subscriber and sequence


def consecutive(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events up to the first hole in their numbers; what is behind it is for later.

    Events are dropped by their time. Where the clock was wrong for a while, what happened then
    goes before what is older.
    """
    for count, (one, next_one) in enumerate(pairwise(events), 1):
        if next_one.sequence != one.sequence + 1:
            return events[:count]
    return events


def gap_at(
    place: int,
    events: Sequence[Event],
    *,
    last: int,
    at: datetime,
    from_oldest: bool = False,
) -> Gap | None:
    """Return what is missing between a place and the events that are kept after it.

    Numbers are consecutive, so events that begin after `place + 1` show that the ones between
    are no longer kept.

    Args:
        place: The number of the last event that is not wanted; 0 = none was yet. Above `last`: it
            is another database's.
        events: What is kept after it (after 0, for another database's), in order.
        last: The last committed event's number, read before the events were.
        at: The time of the gap. Its number is that of the last event missed.
        from_oldest: Only what is kept is wanted, whatever that is: nothing is missing.
    """
    first = events[0].sequence if events else last + 1
    if from_oldest or (place <= last and first == place + 1):
        return None
    return Gap(sequence=first - 1, at=at, after=place, before=first)
