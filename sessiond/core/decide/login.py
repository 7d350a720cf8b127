"""Logins: open, withdraw, bind, renew."""

from dataclasses import replace
from datetime import datetime

from sessiond.core.changes import Bind, Brought, Open, Renew, Standing, Withdraw
from sessiond.core.decide.draft import Draft
from sessiond.core.errors import Refusal
from sessiond.core.events import SessionOpened, SessionRenewed, SessionRolesChanged
from sessiond.core.grant import Grant, GrantId, KnownToken
from sessiond.core.lease import refresh_at
from sessiond.core.principal import folded
from sessiond.core.rows import NameOwner
from sessiond.core.session import Session, SessionState


def open_session(draft: Draft, change: Open) -> Standing | Refusal:
    """Let a verified login in, on the grant that its tokens belong to."""
    brought = change.brought
    refusal = _refusal(draft, brought)
    if refusal is not None:
        return refusal
    grant = _join(draft, change.grant, brought)
    again = _repeated(draft, change, grant)
    if again is not None:
        return draft.standing(again, grant)
    old = draft.rows.session_on(change.process, change.handle)
    if old is not None:
        draft.close(old, "replaced")
    principal = brought.verdict.principal
    session = Session(
        id=change.session,
        process=change.process,
        about=change.about,
        principal=principal,
        grant=grant.id,
        access=brought.access,
        handle=change.handle,
        address=change.address,
        state=SessionState.UNBOUND,
        since=draft.now,
        until=draft.now + draft.rules.unbound,
        roles=brought.verdict.roles,
        attributes=brought.verdict.attributes,
    )
    draft.put(session)
    owner = NameOwner(
        name=folded(principal.name), issuer=principal.issuer, subject=principal.subject
    )
    if draft.rows.owner_of(principal.name) != owner:
        draft.put(owner)
    return draft.standing(session, grant)


def withdraw(draft: Draft, change: Withdraw) -> None:
    """Undo an Open whose answer came too late to be given."""
    session = draft.rows.sessions.get(change.session)
    if session is not None and session.state is SessionState.UNBOUND:
        draft.drop(session)


def bind(draft: Draft, change: Bind) -> bool:
    """Note on which handle a login was opened."""
    session = draft.rows.sessions.get(change.session)
    if session is None or session.process != change.process:
        return False
    if session.state is SessionState.OPEN:
        return session.handle == change.handle
    if draft.expires_at(session) <= draft.now:
        return False
    old = draft.rows.session_on(change.process, change.handle)
    if old is not None and old.id != session.id:
        draft.close(old, "replaced")
    opened = replace(
        session, handle=change.handle, state=SessionState.OPEN, since=draft.now, until=None
    )
    draft.put(opened)
    if session.state is SessionState.UNBOUND:
        expires_at = draft.expires_at(session)
        draft.tell(draft.event(SessionOpened, opened, expires_at=expires_at))
    return True


def renew(draft: Draft, change: Renew) -> Standing | Refusal:
    """Hang a live session on the grant of the fresh tokens."""
    session, brought = draft.rows.sessions.get(change.session), change.brought
    if session is None or session.process != change.process:
        return Refusal.REVOKED
    fresh = brought.verdict.principal
    if (fresh.issuer, fresh.subject) != (session.principal.issuer, session.principal.subject):
        return Refusal.USERMISMATCH
    refusal = _refusal(draft, brought)
    if refusal is not None:
        return refusal
    grant = _join(draft, change.grant, brought)
    renewed = replace(
        session,
        grant=grant.id,
        access=brought.access,
        roles=brought.verdict.roles,
        attributes=brought.verdict.attributes,
    )
    draft.put(renewed)
    expires_at = grant.lease.expires_at
    event = draft.event(SessionRenewed, renewed, expires_at=expires_at)
    draft.push(event, session.process) if change.push else draft.tell(event)
    if renewed.roles != session.roles:
        draft.push(
            draft.event(SessionRolesChanged, renewed, expires_at=expires_at), session.process
        )
    return draft.standing(renewed, grant)


def _refusal(draft: Draft, brought: Brought) -> Refusal | None:
    """Return why verified tokens are refused all the same, if they are."""
    rows, principal = draft.rows, brought.verdict.principal
    if brought.verdict.lease.expires_at <= draft.now:
        return Refusal.EXPIRED
    seen = rows.tokens.get(brought.access)
    first = draft.now if seen is None else seen.seen_at
    issued_at = min(first, brought.verdict.stated_iat or first)  # seen is issued: clocks differ
    if any(issued_at <= each.at for each in rows.revocations_of(principal)):
        return Refusal.REVOKED
    owner = rows.owner_of(principal.name)
    if owner is not None and (owner.issuer, owner.subject) != (
        principal.issuer,
        principal.subject,
    ):
        return Refusal.USERMISMATCH
    refresh = None if brought.refresh is None else rows.tokens.get(brought.refresh)
    if any(trace is not None and trace.is_refused for trace in (seen, refresh)):
        return Refusal.INACTIVE
    for grant in (rows.grant_of(brought.access), rows.grant_of(brought.refresh)):
        if grant is not None and not _belongs(grant, brought):
            return Refusal.USERMISMATCH
    return None


def _belongs(grant: Grant, brought: Brought) -> bool:
    principal = brought.verdict.principal
    return (grant.issuer, grant.subject, grant.client) == (
        principal.issuer,
        principal.subject,
        brought.client,
    )


def _join(draft: Draft, fresh: GrantId, brought: Brought) -> Grant:
    """Return the grant the tokens belong to, made anew when none of them is known.

    A refresh token decides alone: one that is not known yet is never joined to the grant of a
    known access token, since only its first refresh shows whose it is.
    """
    rows, verdict = draft.rows, brought.verdict
    known = rows.grant_of(brought.access if brought.refresh is None else brought.refresh)
    if known is None:
        grant = Grant(
            id=fresh,
            issuer=verdict.principal.issuer,
            subject=verdict.principal.subject,
            client=brought.client,
            lease=verdict.lease,
            refresh_token=brought.refresh_token,
            refresh_at=None if brought.refresh is None else _refresh_at(draft, brought),
        )
        draft.put(grant)
    else:
        grant = known
        if verdict.lease.expires_at > known.lease.expires_at:
            due = None if known.refresh_token is None else _refresh_at(draft, brought)
            grant = replace(known, lease=verdict.lease, refresh_at=due)
        if grant is not known or not rows.has_sessions(known.id):
            draft.put(grant)  # even unchanged: whoever refreshes it had stopped to look at it
    _remember(draft, grant, brought)
    return grant


def _refresh_at(draft: Draft, brought: Brought) -> datetime:
    rules = draft.rules
    return refresh_at(
        brought.verdict.lease, share=rules.share, jitter=rules.jitter, draw=brought.draw
    )


def _remember(draft: Draft, grant: Grant, brought: Brought) -> None:
    """Keep the traces of tokens that were not known, or whose grant was gone."""
    for token in (brought.access, brought.refresh):
        trace = None if token is None else draft.rows.tokens.get(token)
        if token is not None and (trace is None or trace.grant is None):
            draft.put(
                KnownToken(
                    hash=token,
                    grant=grant.id,
                    seen_at=draft.now if trace is None else trace.seen_at,
                    keep_until=brought.verdict.lease.expires_at,
                )
            )


def _repeated(draft: Draft, change: Open, grant: Grant) -> Session | None:
    """Return the unopened session that the same login got a moment ago.

    kdb+ tries a refused handshake twice, and logs in anew for each HTTP request.
    """
    if change.handle:
        on_handle = draft.rows.session_on(change.process, change.handle)
        candidates = iter(() if on_handle is None else (on_handle,))
    else:
        candidates = draft.rows.sessions_of(change.process)
    for session in candidates:
        if (
            session.state is SessionState.UNBOUND
            and session.grant == grant.id
            and session.access == change.brought.access
            and session.handle == change.handle
        ):
            return session
    return None
