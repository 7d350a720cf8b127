"""Logins over HTTP: opened, used, signed out of, and the websockets that they let in."""

from msgspec import structs

from sessiond.core.access import Access, Denied
from sessiond.core.admission import admitted
from sessiond.core.changes import Bind, OpenWeb, SignOut, TouchWeb
from sessiond.core.decide.access import (
    end_denied,
    judged,
    said_by,
    settle_children,
    tell_opened,
    tell_roles,
    with_access,
)
from sessiond.core.decide.draft import MAX_FAMILY, Draft
from sessiond.core.decide.tokens import join
from sessiond.core.errors import Refusal
from sessiond.core.grant import Grant
from sessiond.core.refusal_words import denied
from sessiond.core.session import ActiveSession, Session, SessionId, SessionState
from sessiond.core.web_login import SIGN_IN_LASTS, UsedState, WebLogin

MAX_OF_ONE = 64  # sessions of one principal at one process: browsers, and bearers' tokens
WRITTEN_AT = 10  # parts of the idle time: a use is written when one of them is over


def open_web(draft: Draft, change: OpenWeb) -> ActiveSession | Denied:
    """Let a verified login in, and tell of it at once: there is no handle to wait for."""
    if change.state is not None and change.state in draft.rows.used_states:
        return denied(Refusal.REVOKED)
    access = admitted(draft, change.presented, change.about, is_proof_due=change.cookie is None)
    if isinstance(access, Denied):
        return access
    again = _repeated(draft, change)
    if again is not None:
        return _used_again(draft, again, change, access)
    unused = _longest_unused(draft, change)
    has_room = unused is not None or draft.ended > 0
    if not has_room and draft.is_crowded(change.process, handle=0):
        return denied(Refusal.THROTTLED)
    if unused is not None:
        draft.close(unused, "replaced", push=True)
    return _opened(draft, change, access)


def touch_web(draft: Draft, change: TouchWeb) -> bool:
    """Note that a session was used."""
    session = draft.live(change.session)
    web_login = None if session is None else draft.web_login_of(session)
    if session is None or web_login is None or draft.is_over(session, web_login):
        return False
    _touch(draft, session, session, web_login)
    return True


def sign_out(draft: Draft, change: SignOut) -> bool:
    """End a session, and have the issuer told where nobody else can use its refresh token."""
    session = draft.live(change.session)
    if session is None or session.process != change.process:
        return False
    if draft.web_login_of(session) is None:
        return False
    draft.close(session, "signout", push=True)
    grant = draft.rows.grants[session.grant]
    if (
        grant.has_refresh_token
        and grant.proven
        and all(map(draft.has_ended, draft.rows.ids_of(grant.id)))
    ):
        draft.forget_grant(grant, give_back=True)
    return True


def open_child(
    draft: Draft, parent: Session, web_login: WebLogin, change: Bind
) -> SessionId | None:
    """Let a handle in by a session over HTTP: by a session of its own, which ends with that one."""
    rows = draft.rows
    if draft.is_over(parent, web_login):
        return None
    if draft.family_of(parent) >= MAX_FAMILY:
        return None
    if draft.is_crowded(change.process, change.handle):
        return None
    access = judged(draft, parent)
    if isinstance(access, Denied):  # by rules that are newer than its login
        end_denied(draft, parent, access)
        return None
    old = rows.session_on(change.process, change.handle)
    if old is not None:
        draft.close(old, "replaced")
    child = structs.replace(
        parent,
        id=change.child,
        handle=change.handle,
        state=SessionState.OPEN,
        since=draft.latest(parent.since),
        until=None,
        parent=parent.id,
    )
    child = with_access(child, access)
    draft.put(child)
    tell_opened(draft, child, access, expires_at=draft.expires_at(parent))
    return child.id


def _repeated(draft: Draft, change: OpenWeb) -> Session | None:
    """Return the session that a bearer's token has at the process; one that is over ends now."""
    if change.cookie is not None:
        return None
    for session in draft.rows.web_of(change.process, change.presented.verdict.principal):
        web_login = draft.rows.web_logins[session.id]
        if web_login.cookie is not None or session.access != change.presented.access:
            continue
        if not draft.is_over(session, web_login):
            return session
        draft.end_unused(session)
    return None


def _longest_unused(draft: Draft, change: OpenWeb) -> Session | None:
    """Return the session that makes room for another of its user's; None: there is room."""
    rows = draft.rows
    found = rows.web_of(change.process, change.presented.verdict.principal)
    live = [each for each in found if not draft.has_ended(each.id)]
    if len(live) < MAX_OF_ONE:
        return None
    return min(live, key=lambda each: rows.web_logins[each.id].used_at)


def _used_again(draft: Draft, session: Session, change: OpenWeb, access: Access) -> ActiveSession:
    """Go on with a bearer's session; what it may do follows the newer verdict."""
    grant = join(draft, change.grant, change.presented)
    fresh = with_access(session, access, grant=grant.id, **said_by(change.presented.verdict))
    fresh = structs.replace(fresh, told=access.roles)  # by the answer
    fresh = _touch(draft, session, fresh, draft.rows.web_logins[session.id])
    expires_at = grant.lease.expires_at
    tell_roles(draft, session, fresh, access, expires_at=expires_at)
    settle_children(draft, fresh, expires_at=expires_at)
    return draft.active(fresh, grant)


def _opened(draft: Draft, change: OpenWeb, access: Access) -> ActiveSession:
    presented = change.presented
    grant = _proved(draft, change, join(draft, change.grant, presented))
    web_login = WebLogin(
        session=change.session,
        cookie=change.cookie,
        base=change.base,
        made_at=draft.now,
        used_at=draft.now,
    )
    principal = presented.verdict.principal
    session = Session(
        id=change.session,
        process=change.process,
        about=change.about,
        principal=principal,
        grant=grant.id,
        access=presented.access,
        handle=0,
        address=change.address,
        state=SessionState.WEB,
        since=draft.latest(presented.presented_at),
        until=web_login.until(draft.rules.web),
        roles=access.roles,
        attributes=presented.verdict.attributes,
        typed=principal.name,
        assigned=access.assigned,
        protected=access.protected,
        told=access.roles,
        auth_time=presented.verdict.auth_time,
        acr=presented.verdict.acr,
    )
    draft.put(session)
    draft.put(web_login)
    draft.put_owner(principal)
    if change.state is not None:
        draft.put(UsedState(hash=change.state, keep_until=draft.now + SIGN_IN_LASTS))
    tell_opened(draft, session, access, expires_at=grant.lease.expires_at)
    return draft.active(session, grant)


def _proved(draft: Draft, change: OpenWeb, grant: Grant) -> Grant:
    """Return the grant of a sign-in as proved: the issuer itself gave us its refresh token."""
    if change.cookie is None or not grant.is_unproved:
        return grant
    proved = structs.replace(grant, proven=True)
    draft.put(proved)
    return proved


def _touch(draft: Draft, before: Session, session: Session, web_login: WebLogin) -> Session:
    """Return a session as it is once it was used; written when that matters."""
    rules, used = draft.rules.web, structs.replace(web_login, used_at=draft.now)
    is_due = draft.now - web_login.used_at >= rules.idle / WRITTEN_AT
    if is_due or session.until != web_login.until(rules):
        draft.put(used)
        session = structs.replace(session, until=used.until(rules))
    if session != before:
        draft.put(session)
    return session
