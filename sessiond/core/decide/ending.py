"""Taking back and running out. What is large ends in pieces; the rows say what is left of it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from sys import maxsize

from sessiond.core.changes import (
    Disown,
    EndCovered,
    EndSessions,
    Expire,
    LiftRevocation,
    ReleaseName,
    Revoke,
    Taken,
)
from sessiond.core.decide import orders
from sessiond.core.decide.draft import Draft
from sessiond.core.errors import Refusal
from sessiond.core.events import SessionExpired, SessionRevoked
from sessiond.core.grant import Grant, GrantId
from sessiond.core.principal import folded
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import RowsView, Subject
from sessiond.core.session import Session, SessionState

BY_OPERATOR = "operator"
ENDLESS = maxsize


def revoke(draft: Draft, change: Revoke) -> Taken:
    """Take back lastingly, and drop the grants so that nothing refreshes them.

    From the first piece on, which has the row, all that it covers counts as ended.
    """
    rows = draft.rows
    value = folded(change.value) if change.scope is Scope.USER else change.value
    known = rows.revocation(change.scope, value)  # revoked again: an id once given stays good
    revocation = Revocation(
        id=change.id if known is None else known.id,
        scope=change.scope,
        value=value,
        at=draft.now if known is None else max(known.at, draft.now),
        reason=change.reason,
    )
    draft.put(revocation)
    covered = revocation
    if rows.newest > revocation.at:  # the clock was set back: times do not tell what is covered
        covered, draft.piece = replace(revocation, at=rows.newest), ENDLESS
    subjects = _subjects(rows, revocation)
    count = _count_covered(rows, revocation, subjects)
    orders.tell_revoked(draft, change, revocation, count=count)
    return end_covered(draft, EndCovered(revocation=covered, subjects=subjects))


def end_covered(draft: Draft, change: EndCovered) -> Taken:
    """End what a revocation covers and was there before it, as much as there is room for."""
    revocation = change.revocation
    for grant in _grants(draft.rows, revocation, change.subjects):
        if not draft.rows.was_there(grant, revocation.at):
            continue
        if draft.is_full or not draft.take_back_on(
            grant, SessionRevoked, BY_OPERATOR, revocation.reason
        ):
            draft.rest = replace(change, ended=change.ended + draft.ended)
            break
        draft.revoke_grant(grant)
    return Taken(id=revocation.id, sessions=change.ended + draft.ended)


def unfinished(rows: RowsView) -> list[EndCovered]:
    """Return what revocations of an earlier run have still to end."""
    found: dict[object, Revocation] = {}
    if not rows.revocations:
        return []
    for session in rows.sessions.values():
        for each in rows.revocations_of(session.principal):
            if session.since <= each.at:
                found[each.id] = each
    for grant in rows.grants.values():
        found.update((each.id, each) for each in rows.revocations_of_grant(grant))
    return [EndCovered(revocation=each, subjects=_subjects(rows, each)) for each in found.values()]


def _subjects(rows: RowsView, revocation: Revocation) -> tuple[Subject, ...]:
    """Return whose grants a revocation by user drops: who bears or bore the name."""
    if revocation.scope is not Scope.USER:
        return ()
    bearing = (each.principal for each in rows.listed(user=revocation.value))
    subjects = {(principal.issuer, principal.subject): None for principal in bearing}
    owner = rows.owner_of(revocation.value)
    if owner is not None:
        subjects[owner.issuer, owner.subject] = None
    return tuple(subjects)


def _grants(
    rows: RowsView, revocation: Revocation, subjects: tuple[Subject, ...]
) -> Iterator[Grant]:
    match revocation.scope:
        case Scope.USER:
            return chain.from_iterable(rows.grants_of(*subject) for subject in subjects)
        case Scope.ISSUER:
            return rows.grants_from(revocation.value)
        case Scope.ALL:
            return iter(rows.grants.values())


def _count_covered(rows: RowsView, revocation: Revocation, subjects: tuple[Subject, ...]) -> int:
    """Return how many live sessions a revocation covers."""
    if revocation.scope is Scope.USER:
        return sum(rows.count_of(each.id) for each in _grants(rows, revocation, subjects))
    return rows.count_listed(issuer=revocation.value)


def lift_revocation(draft: Draft, change: LiftRevocation) -> bool:
    """Lift a revocation; what it ended stays ended."""
    revocation = draft.rows.revocations.get(change.id)
    if revocation is None:
        return False
    draft.drop(revocation)
    orders.tell_forgiven(draft, change, revocation)
    return True


def release_name(draft: Draft, change: ReleaseName) -> bool:
    """Let a name go: the next login under it may be another subject's."""
    owner = draft.rows.owner_of(change.name)
    if owner is None:
        return False
    draft.drop(owner)
    orders.tell_forgotten(draft, change, owner)
    return True


def end_sessions(draft: Draft, change: EndSessions) -> int:
    """Take back what is live of a session or a process."""
    ended: list[Session] = []
    if change.session is not None:
        session = draft.live(change.session)
        if session is not None:
            orders.tell_session_ended(draft, change, session)
            ended.append(session)
    if change.process is not None:
        held = list(draft.rows.sessions_of(change.process))
        if held and not change.ended:  # in the first piece
            count = draft.rows.count_ending_with(draft.rows.ids_of(change.process))
            orders.tell_process_ended(draft, change, held[0], count=count)
        ended += held
    for session in ended:
        if draft.is_full:
            draft.rest = replace(change, session=None, ended=change.ended + draft.ended)
            break
        draft.end(session, SessionRevoked, BY_OPERATOR, change.reason)
    return change.ended + draft.ended


def disown(draft: Draft, change: Disown) -> None:
    """End what hangs on grants that nobody here could verify or refresh any more."""
    grants = tuple(dict.fromkeys(change.grants))
    for number, grant_id in enumerate(grants):
        grant = draft.rows.grants.get(grant_id)
        if grant is None:
            continue
        reason = Refusal.WRONGISSUER.value
        if draft.is_full or not draft.take_back_on(grant, SessionRevoked, reason):
            draft.rest = Disown(grants=grants[number:])
            return
        draft.forget_grant(grant)


def expire(draft: Draft, change: Expire) -> None:
    """End what is over by now, once however often it is named. What was prolonged stays."""
    rows, now = draft.rows, draft.now
    grants, gone = tuple(dict.fromkeys(change.grants)), set[GrantId]()
    for number, key in enumerate(grants):
        grant = rows.grants.get(key)
        if grant is None or grant.lease.expires_at > now:
            continue
        if draft.is_full or not draft.take_back_on(grant, SessionExpired, "expired"):
            draft.rest = replace(change, grants=grants[number:])
            return
        draft.forget_grant(grant)
        gone.add(key)
    sessions = tuple(dict.fromkeys(change.sessions))
    for number, session_id in enumerate(sessions):
        waiting = rows.sessions.get(session_id)
        if waiting is None or waiting.grant in gone:
            continue
        if draft.is_full:
            draft.rest = replace(change, grants=(), sessions=sessions[number:])
            return
        if waiting.until is None or waiting.until > now:
            continue
        if waiting.state is SessionState.WEB:
            draft.end_unused(waiting)
        else:
            draft.close(waiting, "lost", push=True)  # silent for one that was never opened
    _forget_traces(draft, change)


def _forget_traces(draft: Draft, change: Expire) -> None:
    """Drop what nobody could be let in with any more: traces of tokens, sign-ins and tickets."""
    rows, now = draft.rows, draft.now
    tokens, states = tuple(dict.fromkeys(change.tokens)), tuple(dict.fromkeys(change.states))
    tickets = tuple(dict.fromkeys(change.tickets))
    for number, token in enumerate(tokens):
        if draft.is_full:
            draft.rest = Expire(tokens=tokens[number:], states=states, tickets=tickets)
            return
        trace = rows.tokens.get(token)
        if trace is not None and trace.grant is None and trace.keep_until <= now:
            draft.drop(trace)
    for number, state in enumerate(states):
        if draft.is_full:
            draft.rest = Expire(states=states[number:], tickets=tickets)
            return
        used = rows.used_states.get(state)
        if used is not None and used.keep_until <= now:
            draft.drop(used)
    for number, ticket in enumerate(tickets):
        if draft.is_full:
            draft.rest = Expire(tickets=tickets[number:])
            return
        spent = rows.spent_tickets.get(ticket)
        if spent is not None and spent.keep_until <= now:
            draft.drop(spent)
