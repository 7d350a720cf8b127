"""One query, answered by the rows as they stand: a pure function, with nothing to write with.

What would take long comes to a piece of it, and the rest as a query of its own, to be answered
after others.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sessiond.core import queries
from sessiond.core.access import Denied
from sessiond.core.admission import admitted, denied_by_rows
from sessiond.core.cursor import Cursors
from sessiond.core.grant import Grant
from sessiond.core.reading import Reading
from sessiond.core.rows import RowsView
from sessiond.core.rules import Rules
from sessiond.core.session import ActiveSession
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import ContextValues, NotOwner, StoredValue
from sessiond.core.ticket import TicketKey


@dataclass(frozen=True, slots=True)
class Answered:
    """What a query comes to. The answer's type is the query's own."""

    answer: Any
    rest: queries.Query[Any] | None = None  # which will have the answer


def answer(rows: RowsView, query: queries.Query[Any], now: datetime, rules: Rules) -> Answered:
    """Return the answer, or what is left to be looked at before there is one."""
    found = _ANSWERS[type(query)](Reading(rows, now, rules), query)
    return Answered(None, found) if isinstance(found, queries.Query) else Answered(found)


def kept_cursors(rows: RowsView) -> Cursors:
    """Return the places and the set-aside events."""
    dead_letters = rows.dead_letters.values()
    return Cursors(
        cursors=tuple(sorted(rows.cursors.values(), key=lambda each: each.subscriber)),
        dead_letters=tuple(
            sorted(dead_letters, key=lambda each: (each.subscriber, each.event.sequence))
        ),
    )


def _ping(_: Reading, __: queries.Ping) -> None:
    pass


def _list_own_sessions(
    reading: Reading, query: queries.ListOwnSessions
) -> list[ActiveSession] | queries.ListOwnSessions:
    """Return the live sessions of a process, oldest first."""
    rows, unseen = reading.rows, query.unseen
    if unseen is None:
        unseen = tuple(rows.ids_of(query.process))
    live = filter(None, map(reading.live, unseen[: reading.piece]))
    seen = (*query.seen, *(reading.active(each, rows.grants[each.grant]) for each in live))
    left = unseen[reading.piece :]
    if left:
        return replace(query, unseen=left, seen=seen)
    return sorted(seen, key=lambda each: each.session.since)


def _find_session(reading: Reading, query: queries.FindSession) -> ActiveSession | None:
    """Return one live session of a process."""
    session = reading.live(query.session)
    if session is None or session.process != query.process:
        return None
    if reading.expires_at(session) <= reading.now:
        return None
    return reading.active(session, reading.rows.grants[session.grant])


def _find_web(reading: Reading, query: queries.FindWeb) -> ActiveSession | None:
    """Return the session of a cookie."""
    web_login = reading.rows.by_cookie(query.cookie)
    if web_login is None or web_login.base != query.base:
        return None
    session = reading.live(web_login.session)
    if session is None or session.process != query.process or reading.is_over(session, web_login):
        return None
    return reading.active(session, reading.rows.grants[session.grant])


def _find_grant(reading: Reading, query: queries.FindGrant) -> Grant | None:
    """Return a grant."""
    return reading.rows.grants.get(query.grant)


def _find_recheckable(reading: Reading, query: queries.FindRecheckable) -> Grant | None:
    """Return a grant of an access token, which can only be asked about again."""
    grant = reading.live_grant(query.grant)
    if grant is None or grant.has_refresh_token:
        return None
    return grant if reading.rows.has_sessions(grant.id) else None


def _known_names(reading: Reading, query: queries.KnownNames) -> frozenset[str]:
    """Return the names that have an owner."""
    return query.names & reading.rows.names.keys()


def _check_admission(reading: Reading, query: queries.CheckAdmission) -> Denied | None:
    """Return why the tokens would be refused, if they would."""
    presented, is_proof_due = query.presented, query.is_proof_due
    if query.about is None:
        return denied_by_rows(reading, presented, is_proof_due=is_proof_due)
    found = admitted(reading, presented, query.about, is_proof_due=is_proof_due)
    return found if isinstance(found, Denied) else None


def _list_ticket_keys(reading: Reading, _: queries.ListTicketKeys) -> list[TicketKey]:
    """Return the keys of tickets."""
    return sorted(reading.rows.ticket_keys.values(), key=lambda each: (each.made_at, each.id))


def _find_source_grant(reading: Reading, query: queries.FindSourceGrant) -> SourceGrant | None:
    """Return what is kept for a source."""
    return reading.rows.source_grants.get(query.name)


def _find_value(reading: Reading, query: queries.FindValue) -> StoredValue | NotOwner | None:
    """Return a stored value."""
    context = reading.rows.contexts.get(query.context)
    if context is not None and context.owner != query.uid and not query.is_shared:
        return NotOwner()
    return reading.rows.values_of(query.context).get(query.name)


def _list_values(
    reading: Reading, query: queries.ListValues
) -> list[ContextValues] | queries.ListValues:
    """Return contexts with their values."""
    rows, unseen, seen = reading.rows, query.unseen, list(query.seen)
    if unseen is None:
        beyond = (name for name in rows.contexts if name > query.after)
        unseen = tuple(sorted(beyond)[: query.limit])
    passed, number = 0, 0
    while number < len(unseen) and passed < reading.piece:
        context = rows.contexts.get(unseen[number])
        number += 1
        passed += 1
        if context is not None:
            values = rows.values_of(context.context)
            passed += len(values)
            in_order = tuple(values[name] for name in sorted(values))
            seen.append(ContextValues(context=context, values=in_order))
    left = unseen[number:]
    return replace(query, unseen=left, seen=tuple(seen)) if left else seen


def _list_cursors(reading: Reading, _: queries.ListCursors) -> Cursors:
    """Return what is kept for every subscriber."""
    return kept_cursors(reading.rows)


_ANSWERS: dict[type[queries.Query[Any]], Any] = {
    queries.Ping: _ping,
    queries.ListOwnSessions: _list_own_sessions,
    queries.FindSession: _find_session,
    queries.FindWeb: _find_web,
    queries.FindGrant: _find_grant,
    queries.FindRecheckable: _find_recheckable,
    queries.KnownNames: _known_names,
    queries.CheckAdmission: _check_admission,
    queries.ListTicketKeys: _list_ticket_keys,
    queries.FindSourceGrant: _find_source_grant,
    queries.FindValue: _find_value,
    queries.ListValues: _list_values,
    queries.ListCursors: _list_cursors,
}
