"""What operators ask: the rows as they stand. Each answer costs what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from sessiond.core.ordered import is_called
from sessiond.core.principal import folded
from sessiond.core.revocation import Revocation
from sessiond.core.rows import RowsView
from sessiond.core.session import Session, SessionId, SessionState

LATE = 60  # seconds for which a lease that is over may still be counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A session as it stands, with the times of its grant."""

    session: Session
    expires_at: datetime
    refresh_at: datetime | None  # None: there is nothing to refresh it with


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which sessions are asked for. Empty text = any."""

    user: str = ""
    process: str = ""  # NAME or NAME:PID, as the process says them of itself
    issuer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The sessions that were asked for among those looked at, in the order of their ids."""

    sessions: Sequence[Listed]
    after: SessionId | None  # the last that was looked at; None: there are no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many rows there are, and when the next of them is to be refreshed."""

    sessions: Mapping[SessionState, int]  # each state has its number
    grants: int
    revocations: int
    next_refresh_at: datetime | None
    expiring: Mapping[float, int]  # sessions whose lease ends within so many seconds


def list_sessions(
    rows: RowsView, asked: Filter, *, after: SessionId | None = None, look_at: int
) -> Stretch:
    """Return live sessions beyond an id, of so many that are looked at.

    Whoever wants more comes back with `after`. Sessions that come and go meanwhile move none.
    """
    user = folded(asked.user)
    listed = rows.listed(user=user, process=asked.process, issuer=asked.issuer, after=after)
    seen = list(islice(listed, look_at + 1))
    matching = (
        _listed(rows, session)
        for session in seen[:look_at]
        if (not user or folded(session.principal.name) == user)
        and (not asked.issuer or session.principal.issuer == asked.issuer)
        and (not asked.process or is_called(session.about, asked.process))
        and not rows.is_revoked(session)
    )
    has_more = len(seen) > look_at
    return Stretch(sessions=tuple(matching), after=seen[look_at - 1].id if has_more else None)


def find_session(rows: RowsView, session: SessionId) -> Listed | None:
    """Return one live session, whichever process holds it."""
    found = rows.sessions.get(session)
    return None if found is None or rows.is_revoked(found) else _listed(rows, found)


def list_revocations(rows: RowsView) -> list[Revocation]:
    """Return the lasting revocations in force, oldest first."""
    return sorted(rows.revocations.values(), key=lambda each: each.at)


def count(rows: RowsView, now: datetime, *, expiring_within: Sequence[float] = ()) -> Counts:
    """Return the numbers, which are kept as rows come and go."""
    return Counts(
        sessions={state: rows.count_in(state) for state in SessionState},
        grants=len(rows.grants),
        revocations=len(rows.revocations),
        next_refresh_at=rows.next_refresh_at,
        expiring={seconds: _expiring(rows, now, seconds) for seconds in expiring_within},
    )


def _expiring(rows: RowsView, now: datetime, within: float) -> int:
    """Return how many sessions have a lease that ends within so many seconds, to the second."""
    begin, end = now.timestamp() - LATE, (now + timedelta(seconds=within)).timestamp()
    return sum(rows.ending_in(second) for second in range(int(begin), int(end)))


def _listed(rows: RowsView, session: Session) -> Listed:
    grant = rows.grants[session.grant]
    return Listed(session=session, expires_at=grant.lease.expires_at, refresh_at=grant.refresh_at)
