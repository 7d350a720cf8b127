"""What sessions may do, told as it changes: by newer tokens, and by another configuration."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from msgspec import structs

from sessiond.core.access import Access, Denied, cost_of
from sessiond.core.changes import Reassess, Reassessed
from sessiond.core.decide.draft import Draft
from sessiond.core.events import (
    SessionOpened,
    SessionRefreshed,
    SessionRevoked,
    SessionRolesChanged,
)
from sessiond.core.passing_on import access_of, passed_on
from sessiond.core.session import Session, SessionState
from sessiond.core.verdict import Verdict

LOOKED_AT = 500  # sessions of one piece, where nothing changes; fewer with very many roles


def judged(draft: Draft, session: Session) -> Access | Denied:
    """Return what a session's user may do by the rules as they are now."""
    return access_of(draft.rules.access, session, draft.current)


def end_denied(draft: Draft, session: Session, denied: Denied) -> None:
    """End a session whose user may not go on there."""
    draft.end(session, SessionRevoked, denied.reason.value)


def with_access(session: Session, access: Access, /, **changed: Any) -> Session:
    """Return a session as it is with this access, and whatever else has changed.

    What is pushed may be lost with the connection, and nobody says that it came.
    """
    told = session.told if access.roles == session.told or not _is_heard_of(session) else None
    return structs.replace(
        session,
        roles=access.roles,
        assigned=access.assigned,
        protected=access.protected,
        told=told,
        **changed,
    )


def tell_opened(draft: Draft, session: Session, access: Access, *, expires_at: datetime) -> None:
    """Tell that a session was opened, and why it has its roles."""
    draft.tell(draft.event(SessionOpened, session, expires_at=expires_at, **_why(draft, access)))


def tell_roles(
    draft: Draft, before: Session, after: Session, access: Access, *, expires_at: datetime
) -> None:
    """Tell a process which roles a session of it has now, where it may know of others.

    Subscribers are told also of roles that were given or taken above the ceiling alone, and where
    the process has another name: processes that follow have ceilings of their own, and auditors ask
    who could be what there.
    """
    is_back = _is_heard_of(after) and not _is_heard_of(before)
    is_news = after.roles != (before.told if is_back else before.roles)
    is_given_anew = (after.assigned.keys(), after.protected) != (
        before.assigned.keys(),
        before.protected,
    )
    is_other = is_given_anew or after.about != before.about
    if not is_news and (after.state is SessionState.UNBOUND or not is_other):
        return
    why = _why(draft, access)
    changed = draft.event(SessionRolesChanged, after, expires_at=expires_at, **why)
    draft.push(changed, after.process) if is_news else draft.tell(changed)


def said_by(verdict: Verdict) -> dict[str, Any]:
    """Return what a session has of the newest verdict, beside what its user may do."""
    return {
        "attributes": verdict.attributes,
        "auth_time": verdict.auth_time,
        "acr": verdict.acr,
    }


def settle_children(
    draft: Draft, parent: Session, *, expires_at: datetime, is_told: bool = False
) -> int:
    """Have the sessions that a session's tickets opened follow it, and theirs follow them.

    They are on its grant, have what its token says, and may do nothing that it may not. This comes
    to no more than MAX_FAMILY of them, and so goes into the decision that changes the parent.

    Args:
        draft: The decision.
        parent: As it is now.
        expires_at: When its lease ends.
        is_told: Push to them that they were refreshed: their lease is another now.

    Returns:
        How many of them have other roles now.
    """
    return _settle(draft, parent, {}, expires_at=expires_at, is_told=is_told)


def _settle(
    draft: Draft,
    parent: Session,
    known: dict[tuple[int | None, tuple[str, ...]], Access | Denied],
    *,
    expires_at: datetime,
    is_told: bool,
) -> int:
    """Do it, and add to what is known: by ceiling, and by the roles that are passed on."""
    rules, changed = draft.rules.access, 0
    for child_id in draft.rows.children_of(parent.id):
        child = draft.current(child_id)
        if child is None or not child.may_as_parent:
            continue
        # One user with one token: with very many roles each working out takes a millisecond.
        key = (rules.number_of(child.about.name, child.about.type), parent.roles)
        access = known.get(key)
        if access is None:
            access = known[key] = passed_on(rules, child.about, parent)
        if isinstance(access, Denied):
            end_denied(draft, child, access)
            continue
        fresh = with_access(
            child,
            access,
            grant=parent.grant,
            access=parent.access,
            attributes=parent.attributes,
            auth_time=parent.auth_time,
            acr=parent.acr,
        )
        if fresh != child:
            draft.put(fresh)
        if is_told:
            event = draft.event(SessionRefreshed, fresh, expires_at=expires_at)
            draft.push(event, fresh.process)
        tell_roles(draft, child, fresh, access, expires_at=expires_at)
        changed += fresh.roles != child.roles
        changed += _settle(draft, fresh, known, expires_at=expires_at, is_told=is_told)
    return changed


def reassess(draft: Draft, change: Reassess) -> Reassessed:
    """Judge every session anew, and write and tell what has changed."""
    sessions = change.sessions
    if sessions is None:
        sessions = tuple(draft.rows.sessions)
    number, changed = change.number, change.changed
    looked_at = 0
    while number < len(sessions) and looked_at < LOOKED_AT and not draft.is_full:
        session = draft.current(sessions[number])
        number += 1
        looked_at += 1
        if session is None or session.may_as_parent:  # judged with its parent
            continue
        looked_at += cost_of(session.assigned) * (1 + len(draft.rows.children_of(session.id))) - 1
        changed += _reassessed(draft, session)
    ended = change.ended + draft.ended
    if number < len(sessions):
        draft.rest = replace(change, sessions=sessions, number=number, changed=changed, ended=ended)
    return Reassessed(changed=changed, ended=ended)


def _reassessed(draft: Draft, session: Session) -> int:
    """Judge a session and those it has passed roles on to; return how many have others now."""
    if draft.rows.is_revoked(session):
        return 0
    access = judged(draft, session)
    if isinstance(access, Denied):
        end_denied(draft, session, access)
        return 0
    fresh, expires_at = session, draft.expires_at(session)
    if (access.roles, access.protected) != (session.roles, session.protected):
        fresh = with_access(session, access)
        draft.put(fresh)
        tell_roles(draft, session, fresh, access, expires_at=expires_at)
    return (fresh.roles != session.roles) + settle_children(draft, fresh, expires_at=expires_at)


def _is_heard_of(session: Session) -> bool:
    """Say whether its process hears what is pushed of it; else it may be away."""
    return session.state in (SessionState.OPEN, SessionState.WEB)


def _why(draft: Draft, access: Access) -> dict[str, Any]:
    return {"because": access.because, "configuration": draft.rules.access.configuration}
