"""Logins: open, withdraw, bind, renew."""

from typing import Any

from msgspec import structs

from sessiond.core.access import Access, Denied
from sessiond.core.admission import admitted
from sessiond.core.changes import Bind, Open, Renew, Withdraw
from sessiond.core.decide.access import (
    end_denied,
    judged,
    said_by,
    settle_children,
    tell_opened,
    tell_roles,
    with_access,
)
from sessiond.core.decide.draft import Draft
from sessiond.core.decide.tokens import join
from sessiond.core.decide.web import open_child
from sessiond.core.errors import Refusal
from sessiond.core.events import SessionRenewed
from sessiond.core.grant import Grant
from sessiond.core.refusal_words import denied
from sessiond.core.session import ActiveSession, Session, SessionId, SessionState

NOT_RENEWED = Denied(
    reason=Refusal.WRONGTYPE,
    detail="the session was opened by a ticket, wanted one of a token: renew the session that the "
    "ticket was made for, or sign in here",
)


def open_session(draft: Draft, change: Open) -> ActiveSession | Denied:
    """Let a verified login in, on the grant that its tokens belong to."""
    presented = change.presented
    access = admitted(draft, presented, change.about)
    if isinstance(access, Denied):
        return access
    if draft.is_crowded(change.process, change.handle):
        return denied(Refusal.THROTTLED)
    grant = join(draft, change.grant, presented)
    again = _repeated(draft, change, grant)
    if again is not None:
        said = said_by(presented.verdict)
        return draft.active(prolonged(draft, again, access, typed=change.typed, **said), grant)
    principal = presented.verdict.principal
    session = Session(
        id=change.session,
        process=change.process,
        about=change.about,
        principal=principal,
        grant=grant.id,
        access=presented.access,
        handle=change.handle,
        address=change.address,
        state=SessionState.UNBOUND,
        since=draft.latest(presented.presented_at),
        until=draft.now + draft.rules.unbound,
        roles=access.roles,
        attributes=presented.verdict.attributes,
        typed=change.typed,
        assigned=access.assigned,
        protected=access.protected,
        told=access.roles,
        auth_time=presented.verdict.auth_time,
        acr=presented.verdict.acr,
    )
    put_login(draft, session)
    draft.put_owner(principal)
    return draft.active(session, grant)


def put_login(draft: Draft, session: Session) -> None:
    """Put a new login in the place of whoever was on its handle."""
    old = draft.rows.session_on(session.process, session.handle)
    if old is not None:
        draft.close(old, "replaced")
    draft.put(session)


def withdraw(draft: Draft, change: Withdraw) -> None:
    """Undo a login whose answer came too late to be given.

    One over HTTP was told of when it was made.
    """
    session = draft.rows.sessions.get(change.session)
    if session is None:
        return
    if session.state is SessionState.UNBOUND or draft.web_login_of(session) is not None:
        draft.close(session, "disconnect", push=True)  # its token may have come again meanwhile


def bind(draft: Draft, change: Bind) -> SessionId | None:
    """Note on which handle a login was opened."""
    session = draft.live(change.session)
    if session is None or session.process != change.process:
        return None
    web_login = draft.web_login_of(session)
    if web_login is not None:
        return open_child(draft, session, web_login, change)
    if session.state is SessionState.OPEN:
        return session.id if session.handle == change.handle else None
    expires_at = draft.expires_at(session)
    if expires_at <= draft.now:
        return None
    access = judged(draft, session)
    if isinstance(access, Denied):  # by rules that are newer than its login
        end_denied(draft, session, access)
        return None
    old = draft.rows.session_on(change.process, change.handle)
    if old is not None and old.id != session.id:
        draft.close(old, "replaced")
    if draft.has_ended(session.id):  # with that one: a ticket of its own had let it in
        return None
    opened = structs.replace(
        session,
        handle=change.handle,
        state=SessionState.OPEN,
        since=draft.latest(session.since),
        until=None,
    )
    opened = with_access(opened, access)
    draft.put(opened)
    if session.state is SessionState.UNBOUND:
        tell_opened(draft, opened, access, expires_at=expires_at)
    tell_roles(draft, session, opened, access, expires_at=expires_at)
    settle_children(draft, opened, expires_at=expires_at)
    return session.id


def renew(draft: Draft, change: Renew) -> ActiveSession | Denied:
    """Hang a live session on the grant of the fresh tokens.

    One over HTTP is known by its cookie or by its token: whoever has another signs in with it. One
    that a ticket opened lasts as long as what the ticket was made for; its tickets' follow it.
    """
    session, presented = draft.live(change.session), change.presented
    if session is None or session.process != change.process:
        return denied(Refusal.REVOKED)
    if draft.web_login_of(session) is not None:
        return denied(Refusal.REVOKED)
    if session.hops:
        return NOT_RENEWED
    fresh = presented.verdict.principal
    if (fresh.issuer, fresh.subject) != (session.principal.issuer, session.principal.subject):
        return denied(Refusal.USERMISMATCH)
    access = admitted(draft, presented, session.about)
    if isinstance(access, Denied):
        return access
    grant = join(draft, change.grant, presented)
    renewed = with_access(
        session,
        access,
        grant=grant.id,
        access=presented.access,
        **said_by(presented.verdict),
    )
    draft.put(renewed)
    expires_at = grant.lease.expires_at
    event = draft.event(SessionRenewed, renewed, expires_at=expires_at)
    draft.push(event, session.process) if change.push else draft.tell(event)
    tell_roles(draft, session, renewed, access, expires_at=expires_at)
    settle_children(draft, renewed, expires_at=expires_at, is_told=True)
    return draft.active(renewed, grant)


def _repeated(draft: Draft, change: Open, grant: Grant) -> Session | None:
    """Return the unopened session that the same login got a moment ago.

    kdb+ tries a refused handshake twice, and logs in anew for each HTTP request.
    """
    access = change.presented.access
    for session in draft.rows.unopened(change.process, change.handle, access):
        if session.grant == grant.id and not session.hops:
            return session
    return None


def prolonged(draft: Draft, session: Session, access: Access, **said: Any) -> Session:
    """Give a repeated login time to be opened; what it may do follows the newer verdict.

    Written only when it matters, since HTTP logs in for each request.
    """
    fresh = with_access(session, access, **said)
    fresh = structs.replace(fresh, told=access.roles)  # by the answer
    half = draft.rules.unbound / 2
    is_late = session.until is not None and session.until - draft.now < half
    if not is_late and fresh == session:
        return session
    prolonged = structs.replace(fresh, until=draft.now + draft.rules.unbound)
    draft.put(prolonged)
    return prolonged
