"""When the rows that a start finds are over: noted at once, those of one time together."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from sessiond.core.changes import Expire
from sessiond.core.rows import RowsView

K = TypeVar("K", bound=Hashable)

TOGETHER = 16  # keys looked at as one; what takes such can take many


def ends_of(rows: RowsView) -> Iterator[tuple[datetime, Expire]]:
    """Yield what is to be looked at, and when: all that ends in time."""
    tokens = ((each.keep_until, each.hash) for each in rows.tokens.values() if each.grant is None)
    for until, found in _together((each.until, each.id) for each in rows.sessions.values()):
        yield until, Expire(sessions=found)
    for until, of in _together((each.lease.expires_at, each.id) for each in rows.grants.values()):
        yield until, Expire(grants=of)
    for until, hashes in _together(tokens):
        yield until, Expire(tokens=hashes)
    used = rows.used_states.values()
    for until, hashes in _together((each.keep_until, each.hash) for each in used):
        yield until, Expire(states=hashes)
    spent = rows.spent_tickets.values()
    for until, tickets in _together((each.keep_until, each.id) for each in spent):
        yield until, Expire(tickets=tickets)


def _together(
    ending: Iterable[tuple[datetime | None, K]],
) -> Iterator[tuple[datetime, tuple[K, ...]]]:
    by_time = defaultdict[datetime, list[K]](list)
    for until, key in ending:
        if until is not None:
            by_time[until].append(key)
    for until, keys in by_time.items():
        for start in range(0, len(keys), TOGETHER):
            yield until, tuple(keys[start : start + TOGETHER])
