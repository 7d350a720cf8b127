"""Which key signs, which are published, and when the next is made: a matter of their ages alone.

Each is published a day before it signs, so that whoever checks tickets by a key set that he has
fetched knows it by then; it signs for thirty days; and it stays published for a day after.
`made_at` is the moment from which a key is published. That of the very first is a day earlier than
it was made, since there is nobody yet who could know another: so it signs at once.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sessiond.core.ticket import TicketKey

PUBLISHED_BEFORE = timedelta(days=1)
SIGNS_FOR = timedelta(days=30)
PUBLISHED_AFTER = timedelta(days=1)


def signs_since(key: TicketKey) -> datetime:
    """Return when a key begins to sign."""
    return key.made_at + PUBLISHED_BEFORE


def next_due_at(key: TicketKey) -> datetime:
    """Return when the one after this key is to be made."""
    return key.made_at + SIGNS_FOR


def signer(keys: Iterable[TicketKey], *, now: datetime) -> TicketKey | None:
    """Return the key that signs: the newest that was published for long enough.

    Where none was (the clock was set back, or what came before is lost) the oldest does. None:
    there is none at all.
    """
    by_age = _by_age(keys)
    if not by_age:
        return None
    ripe = [key for key in by_age if signs_since(key) <= now]
    return ripe[-1] if ripe else by_age[0]


def is_next_due(keys: Iterable[TicketKey], *, now: datetime) -> bool:
    """Say whether another key is to be made now."""
    by_age = _by_age(keys)
    return not by_age or next_due_at(by_age[-1]) <= now


def made_at(keys: Iterable[TicketKey], *, now: datetime) -> datetime:
    """Return what stands for the moment at which a key is made now, beside these."""
    return now if any(True for _ in keys) else now - PUBLISHED_BEFORE


def outlived(keys: Iterable[TicketKey], *, now: datetime) -> list[TicketKey]:
    """Return the keys that are needed no more: one after them has signed for a day already."""
    ripe = [key for key in _by_age(keys) if signs_since(key) + PUBLISHED_AFTER <= now]
    return ripe[:-1]


def wakes_at(keys: Sequence[TicketKey]) -> datetime | None:
    """Return the earliest moment that changes which keys there are; None: now."""
    by_age = _by_age(keys)
    if not by_age:
        return None
    ends = [signs_since(key) + PUBLISHED_AFTER for key in by_age[1:]]
    return min([next_due_at(by_age[-1]), *ends])


def _by_age(keys: Iterable[TicketKey]) -> list[TicketKey]:
    return sorted(keys, key=lambda key: (key.made_at, key.id))
