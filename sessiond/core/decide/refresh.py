"""Refreshing grants: begun, rotated, done, refused."""

from collections.abc import Iterator
from dataclasses import replace

from sessiond.core.changes import (
    BeginRefresh,
    FindGrant,
    Recheck,
    Recheckable,
    Refresh,
    Refuse,
    Rotate,
    UpdateSessions,
)
from sessiond.core.decide.draft import Draft
from sessiond.core.events import SessionRefreshed, SessionRevoked, SessionRolesChanged
from sessiond.core.grant import Grant, KnownToken
from sessiond.core.lease import refresh_at
from sessiond.core.rows import Rows
from sessiond.core.session import Session
from sessiond.core.verdict import Verdict


def begin(draft: Draft, change: BeginRefresh) -> Grant | None:
    """Record that the issuer is about to be asked, if there is anything to ask for."""
    grant = draft.live_grant(change.grant)
    if grant is None or grant.refresh_at is None:
        return None
    is_due = grant.refresh_at <= draft.now and draft.rows.has_sessions(grant.id)
    if not is_due and not change.at_once:
        return None
    begun = replace(grant, in_flight_since=draft.now)
    draft.put(begun)
    return begun


def find_grant(draft: Draft, change: FindGrant) -> Grant | None:
    """Return a grant."""
    return draft.rows.grants.get(change.grant)


def recheckable(draft: Draft, change: Recheckable) -> Grant | None:
    """Return a grant that can only be asked about again."""
    grant = draft.live_grant(change.grant)
    if grant is None or grant.refresh_token is not None:
        return None
    return grant if draft.rows.has_sessions(grant.id) else None


def rotate(draft: Draft, change: Rotate) -> bool:
    """Keep the new refresh token; the old one's trace stays, for who still holds it."""
    grant = draft.live_grant(change.grant)
    if grant is None:
        return False
    rotated = replace(grant, in_flight_since=None)
    if change.refresh is not None:
        rotated = replace(rotated, refresh_token=change.refresh_token)
        if change.refresh not in draft.rows.tokens:
            draft.put(
                KnownToken(
                    hash=change.refresh,
                    grant=grant.id,
                    seen_at=draft.now,
                    keep_until=grant.lease.expires_at,
                )
            )
    draft.put(rotated)
    return True


def refresh(draft: Draft, change: Refresh) -> bool:
    """Give every session of the grant the new lease and what the new token says."""
    grant = draft.live_grant(change.grant)
    if grant is None or draft.rules.are_newer_than(change.verdict):
        return False
    if not _still_theirs(draft, grant, change, change.verdict):
        return False
    lease, rules = change.verdict.lease, draft.rules
    due = refresh_at(lease, share=rules.share, jitter=rules.jitter, draw=change.draw)
    if due <= draft.now:  # the issuer's clock is far behind: do not ask again at once, for ever
        due = draft.now + (lease.expires_at - draft.now) * rules.share
    refreshed = replace(grant, lease=lease, refresh_at=due, proven=True)
    _update(draft, refreshed, change.verdict, is_told=True)
    return True


def recheck(draft: Draft, change: Recheck) -> bool:
    """Note what the issuer now says of a token that cannot be refreshed."""
    grant = draft.live_grant(change.grant)
    if grant is None or draft.rules.are_newer_than(change.verdict):
        return False
    if not _still_theirs(draft, grant, change, change.verdict):
        return False
    lease = change.verdict.lease
    is_told = lease.expires_at != grant.lease.expires_at
    _update(draft, replace(grant, lease=lease) if is_told else grant, change.verdict, is_told)
    return True


def update_sessions(draft: Draft, change: UpdateSessions) -> bool:
    """Go on giving a grant's sessions what is new."""
    grant = draft.live_grant(change.grant)
    if grant is None:
        return False
    for number, session_id in enumerate(change.left):
        session = draft.rows.sessions.get(session_id)
        if draft.is_full:
            draft.rest = replace(change, left=change.left[number:])
            return True
        if session is not None and session.grant == grant.id:
            _update_session(draft, session, change.verdict, change.is_told)
    if grant.refresh_at != change.refresh_at:
        draft.put(replace(grant, refresh_at=change.refresh_at))
    return True


def refuse(draft: Draft, change: Refuse) -> None:
    """End what hangs on a grant that the issuer ended; a newer grant of the same user saves it."""
    grant = draft.live_grant(change.grant)
    if grant is None:
        return
    newer = max(_newer(draft, grant), key=lambda each: each.lease.issued_at, default=None)
    for session in draft.rows.sessions_of(grant.id):
        if draft.is_full:
            _go_on_refusing(draft, grant, change)
            return
        if newer is None:
            draft.take_back(session, SessionRevoked, change.reason)
        else:
            moved = replace(session, grant=newer.id)
            draft.put(moved)
            expires_at = newer.lease.expires_at
            event = draft.event(SessionRefreshed, moved, expires_at=expires_at)
            draft.push(event, session.process)
    if newer is not None:
        draft.put(newer)  # unchanged: it has sessions now, so it is to be refreshed
    draft.drop_grant(grant, refused=True)


def _go_on_refusing(draft: Draft, grant: Grant, change: Refuse) -> None:
    """Remember at once that the issuer refused: also after a crash nothing is sent again."""
    for token in draft.rows.tokens_of(grant.id):
        if not token.is_refused:
            draft.put(replace(token, is_refused=True))
    draft.rest = change


def refused(rows: Rows) -> list[Refuse]:
    """Return what an earlier run had not ended yet of grants that their issuers refused."""
    marked = {each.grant: None for each in rows.tokens.values() if each.is_refused}
    return [Refuse(grant=key, reason="refused") for key in marked if key in rows.grants]


def _still_theirs(draft: Draft, grant: Grant, change: Refresh | Recheck, verdict: Verdict) -> bool:
    """End the grant when the issuer answered with another principal's token."""
    if (verdict.principal.issuer, verdict.principal.subject) == (grant.issuer, grant.subject):
        return True
    if draft.take_back_on(grant, SessionRevoked, "usermismatch"):
        draft.drop_grant(grant, refused=True)
    else:
        draft.rest = change
    return False


def _update(draft: Draft, grant: Grant, verdict: Verdict, is_told: bool) -> None:
    """Put a grant as it is now, and give its sessions what is new: all, or later in pieces."""
    left = tuple(each.id for each in draft.rows.sessions_of(grant.id))
    if 3 * len(left) < draft.piece:
        if grant != draft.rows.grants[grant.id]:
            draft.put(grant)
        for session_id in left:
            _update_session(draft, draft.rows.sessions[session_id], verdict, is_told)
        return
    # Due until the last of them is told: after a crash in between it is refreshed again.
    due = None if grant.refresh_at is None else draft.now
    draft.put(replace(grant, refresh_at=due))
    draft.rest = UpdateSessions(
        grant=grant.id, verdict=verdict, is_told=is_told, refresh_at=grant.refresh_at, left=left
    )


def _update_session(draft: Draft, session: Session, verdict: Verdict, is_told: bool) -> None:
    expires_at = verdict.lease.expires_at
    fresh = replace(session, roles=verdict.roles, attributes=verdict.attributes)
    if fresh != session:
        draft.put(fresh)
    if is_told:
        event = draft.event(SessionRefreshed, fresh, expires_at=expires_at)
        draft.push(event, session.process)
    if fresh.roles != session.roles:
        changed = draft.event(SessionRolesChanged, fresh, expires_at=expires_at)
        draft.push(changed, session.process)


def _newer(draft: Draft, grant: Grant) -> Iterator[Grant]:
    """Yield the same principal's live grants that were issued after this one."""
    for other in draft.rows.grants_of(grant.issuer, grant.subject, grant.client):
        if (
            other.id != grant.id
            and other.refresh_token is not None
            and other.lease.issued_at > grant.lease.issued_at
            and other.lease.expires_at > draft.now
        ):
            yield other
