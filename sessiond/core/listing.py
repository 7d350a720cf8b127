"""What operators ask: the rows as they stand. Each answer costs what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import islice, takewhile

from sessiond.core.ordered import is_called
from sessiond.core.principal import folded
from sessiond.core.revocation import Revocation
from sessiond.core.rows import NameOwner, RowsView
from sessiond.core.session import (
    ProcessAbout,
    ProcessKey,
    Session,
    SessionId,
    SessionState,
)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that is connected, or whose sessions wait for it."""

    key: ProcessKey
    about: ProcessAbout
    hook: str  # the version of its hook; empty: it does not say, or is not connected
    is_connected: bool
    sessions: int  # live ones


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedProcess:
    """What a connected process has said in `hello`."""

    about: ProcessAbout
    hook: str = ""


def list_processes(
    rows: RowsView,
    connected: Mapping[ProcessKey, ConnectedProcess],
    *,
    after: ProcessKey | None = None,
    limit: int,
) -> list[Process]:
    """Return processes beyond one, in the order of their keys, at most `limit` of them."""
    keys = {*connected, *rows.processes}
    beyond = keys if after is None else (key for key in keys if _order(key) > _order(after))
    return [_process(rows, key, connected.get(key)) for key in nsmallest(limit, beyond, _order)]


def _order(key: ProcessKey) -> tuple[int, int, int, str]:
    return key.uid, key.pid, key.started, key.label


def _process(rows: RowsView, key: ProcessKey, connected: ConnectedProcess | None) -> Process:
    about = next(rows.sessions_of(key)).about if connected is None else connected.about
    return Process(
        key=key,
        about=about,
        hook="" if connected is None else connected.hook,
        is_connected=connected is not None,
        sessions=rows.count_of(key),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A user name, and whose it is."""

    owner: NameOwner
    sessions: int  # live ones under this name


def list_names(rows: RowsView, begin: str = "", *, after: str = "", limit: int) -> list[Name]:
    """Return the known names that begin so, in order, beyond one, at most `limit` of them."""
    begin, after, names = folded(begin), folded(after), rows.ordered_names
    listed = names.beyond(after) if after and after >= begin else names.since(begin)
    beginning_so = takewhile(lambda name: name.startswith(begin), listed)
    return [
        Name(owner=rows.names[name], sessions=rows.count_listed(user=name))
        for name in islice(beginning_so, limit)
    ]


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
