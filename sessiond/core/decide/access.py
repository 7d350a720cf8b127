"""What sessions may do, told as it changes: by newer tokens, and by another configuration."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from msgspec import structs

from sessiond.core.access import Access, Denied, access_at, cost_of
from sessiond.core.changes import Reassess, Reassessed
from sessiond.core.decide.draft import Draft
from sessiond.core.events import SessionOpened, SessionRevoked, SessionRolesChanged
from sessiond.core.session import Session, SessionState

LOOKED_AT = 500  # sessions of one piece, where nothing changes; fewer with very many roles


def judged(draft: Draft, session: Session) -> Access | Denied:
    """Return what a session's user may do by the rules as they are now."""
    return access_at(draft.rules.access, session.about, session.principal, session.assigned)


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


def reassess(draft: Draft, change: Reassess) -> Reassessed:
    """Judge every session anew, and write and tell what has changed."""
    sessions = change.sessions
    if sessions is None:
        sessions = tuple(draft.rows.sessions)
    number, changed = change.number, change.changed
    looked_at = 0
    while number < len(sessions) and looked_at < LOOKED_AT and not draft.is_full:
        session = draft.rows.sessions.get(sessions[number])
        number += 1
        looked_at += 1 if session is None else cost_of(session.assigned)
        if session is None:
            continue
        access = judged(draft, session)
        is_same = isinstance(access, Access) and (access.roles, access.protected) == (
            session.roles,
            session.protected,
        )
        is_ending = draft.has_ended(session.id) or draft.rows.is_revoked(session)
        if is_same or is_ending:
            continue
        if isinstance(access, Denied):
            end_denied(draft, session, access)
        else:
            fresh = with_access(session, access)
            draft.put(fresh)
            expires_at = draft.expires_at(fresh)
            tell_roles(draft, session, fresh, access, expires_at=expires_at)
            changed += fresh.roles != session.roles
    ended = change.ended + draft.ended
    if number < len(sessions):
        draft.rest = replace(change, sessions=sessions, number=number, changed=changed, ended=ended)
    return Reassessed(changed=changed, ended=ended)


def _is_heard_of(session: Session) -> bool:
    """Say whether its process hears what is pushed of it; else it may be away."""
    return session.state in (SessionState.OPEN, SessionState.WEB)


def _why(draft: Draft, access: Access) -> dict[str, Any]:
    return {"because": access.because, "configuration": draft.rules.access.configuration}
