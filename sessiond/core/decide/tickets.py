"""Tickets: spent once, for a session that follows the one that it was made for."""

from typing import Any

from sessiond.core.access import Access, Denied, stepup_of
from sessiond.core.admission import admitted
from sessiond.core.changes import EndOrphans, OpenTicket
from sessiond.core.decide.access import said_by
from sessiond.core.decide.draft import MAX_FAMILY, Draft
from sessiond.core.decide.login import prolonged, put_login
from sessiond.core.decide.tokens import join
from sessiond.core.errors import Refusal
from sessiond.core.events import SessionRevoked
from sessiond.core.passing_on import passed_on
from sessiond.core.principal import same_name
from sessiond.core.rows import RowsView
from sessiond.core.session import ActiveSession, Session, SessionState
from sessiond.core.ticket import MAX_SPENT, SPENT_KEPT, SpentTicket
from sessiond.core.verdict import PresentedTokens

EXPIRED = Denied(
    reason=Refusal.EXPIRED, detail="the ticket has run out, wanted a newer one: ask for another"
)
SPENT = Denied(
    reason=Refusal.REVOKED,
    detail="the ticket is spent, wanted one for each login: ask for another",
)
ORPHANED = Denied(
    reason=Refusal.REVOKED,
    detail="the session that the ticket was made for has ended, wanted a live one: sign in there",
)
MISNAMED = Denied(
    reason=Refusal.USERMISMATCH,
    detail="the ticket, its session and the owner of the name are not one user, wanted that: sign "
    "in here",
)
TOO_MANY = Denied(
    reason=Refusal.THROTTLED,
    detail=f"{MAX_FAMILY} sessions hang on one already by its tickets or websockets, or the "
    "process has login.max_sessions, wanted fewer: close some",
)
FULL = Denied(
    reason=Refusal.THROTTLED,
    detail=f"{MAX_SPENT} tickets were spent in the last quarter of an hour, wanted fewer: keep "
    "handles open that are used again",
)


def open_ticket(draft: Draft, change: OpenTicket) -> ActiveSession | Denied:
    """Let the bearer of a ticket in, if it was not spent before."""
    if change.ticket.expires_at <= draft.now:
        return EXPIRED
    spent = draft.rows.spent_tickets.get(change.ticket.id)
    again = None if spent is None else _repeated(draft, change, spent)
    if spent is not None and again is None:
        return SPENT
    if spent is None and len(draft.rows.spent_tickets) >= MAX_SPENT:
        return FULL
    if change.presented is not None:
        return _open_exchanged(draft, change, change.presented, again)
    parent = None if change.ticket.parent is None else draft.live(change.ticket.parent)
    if parent is None or _is_over(draft, parent):
        return ORPHANED
    return _open_child(draft, change, parent, again)


def end_orphans(draft: Draft, change: EndOrphans) -> None:
    """End sessions whose parent has ended without them, as only a damaged file has them."""
    for number, session_id in enumerate(change.sessions):
        session = draft.current(session_id)
        if draft.is_full:
            draft.rest = EndOrphans(sessions=change.sessions[number:])
            return
        if session is not None:
            draft.end(session, SessionRevoked, "parent")


def unfinished(rows: RowsView) -> list[EndOrphans]:
    """Return the end of the sessions whose parent is gone, where there are any."""
    found = [
        key
        for parent in rows.parents
        if parent not in rows.sessions
        for key in rows.children_of(parent)
    ]
    return [EndOrphans(sessions=tuple(found))] if found else []


def _repeated(draft: Draft, change: OpenTicket, spent: SpentTicket) -> Session | None:
    """Return the unopened session that the same login got a moment ago.

    kdb+ tries a refused handshake twice.
    """
    session = draft.live(spent.session)
    if session is None or session.state is not SessionState.UNBOUND:
        return None
    is_same = (session.process, session.handle) == (change.process, change.handle)
    return session if is_same else None


def _is_over(draft: Draft, parent: Session) -> bool:
    """Say whether a session only has not been ended yet."""
    web_login = draft.web_login_of(parent)
    until = draft.expires_at(parent)
    if web_login is not None:
        until = min(until, web_login.until(draft.rules.web))
    return until <= draft.now


def _open_child(
    draft: Draft, change: OpenTicket, parent: Session, again: Session | None
) -> ActiveSession | Denied:
    """Let in whom a session's ticket names, with what that session may do and no more."""
    if _is_misnamed(draft, change, parent):
        return MISNAMED
    access = passed_on(draft.rules.access, change.about, parent)
    if isinstance(access, Denied):
        return access
    short = stepup_of(draft.rules.access, change.about, parent, now=draft.now)
    if short is not None:
        return short
    grant = draft.rows.grants[parent.grant]
    if again is not None:
        return draft.active(prolonged(draft, again, access, typed=change.typed), grant)
    if _is_replaced(draft, change, parent):
        return ORPHANED
    if draft.is_crowded(change.process, change.handle) or draft.family_of(parent) >= MAX_FAMILY:
        return TOO_MANY
    child = _login(
        draft,
        change,
        access,
        principal=parent.principal,
        grant=parent.grant,
        access=parent.access,
        since=draft.latest(parent.since),
        attributes=parent.attributes,
        parent=parent.id,
        hops=parent.hops + 1,
        auth_time=parent.auth_time,
        acr=parent.acr,
    )
    _put(draft, change, child)
    return draft.active(child, grant)


def _open_exchanged(
    draft: Draft, change: OpenTicket, presented: PresentedTokens, again: Session | None
) -> ActiveSession | Denied:
    """Let in whom the token names that the ticket was given for, for as long as that lasts."""
    verdict = presented.verdict
    if not same_name(change.ticket.name, verdict.principal.name):
        return MISNAMED
    access = admitted(draft, presented, change.about)
    if isinstance(access, Denied):
        return access
    if again is None and draft.is_crowded(change.process, change.handle):
        return TOO_MANY
    grant = join(draft, change.grant, presented)
    said = said_by(verdict)
    if again is not None:
        return draft.active(prolonged(draft, again, access, typed=change.typed, **said), grant)
    session = _login(
        draft,
        change,
        access,
        principal=verdict.principal,
        grant=grant.id,
        access=presented.access,
        since=draft.latest(presented.presented_at),
        hops=1,
        **said,
    )
    _put(draft, change, session)
    draft.put_owner(verdict.principal)
    return draft.active(session, grant)


def _is_replaced(draft: Draft, change: OpenTicket, parent: Session) -> bool:
    """Say whether what the ticket was made for has left the very handle that it comes on."""
    on_handle = draft.rows.session_on(change.process, change.handle)
    found: Session | None = parent
    while found is not None and found != on_handle:
        found = None if found.parent is None else draft.rows.sessions.get(found.parent)
    return found is not None


def _is_misnamed(draft: Draft, change: OpenTicket, parent: Session) -> bool:
    principal = parent.principal
    owner = draft.rows.owner_of(principal.name)
    whose = (principal.issuer, principal.subject)
    is_anothers = owner is not None and (owner.issuer, owner.subject) != whose
    return is_anothers or not same_name(change.ticket.name, principal.name)


def _login(draft: Draft, change: OpenTicket, may: Access, **of_whom: Any) -> Session:
    return Session(
        id=change.session,
        process=change.process,
        about=change.about,
        handle=change.handle,
        address=change.address,
        state=SessionState.UNBOUND,
        until=draft.now + draft.rules.unbound,
        roles=may.roles,
        typed=change.typed,
        assigned=may.assigned,
        protected=may.protected,
        told=may.roles,
        **of_whom,
    )


def _put(draft: Draft, change: OpenTicket, session: Session) -> None:
    put_login(draft, session)
    ticket = change.ticket
    draft.put(
        SpentTicket(id=ticket.id, session=session.id, keep_until=ticket.expires_at + SPENT_KEPT)
    )
