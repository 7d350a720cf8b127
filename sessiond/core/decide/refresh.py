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
)
from sessiond.core.decide.draft import Draft
from sessiond.core.events import SessionRefreshed, SessionRevoked, SessionRolesChanged
from sessiond.core.grant import Grant, KnownToken
from sessiond.core.lease import refresh_at
from sessiond.core.verdict import Verdict


def begin(draft: Draft, change: BeginRefresh) -> Grant | None:
    """Record that the issuer is about to be asked, if there is anything to ask for."""
    grant = draft.rows.grants.get(change.grant)
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
    grant = draft.rows.grants.get(change.grant)
    if grant is None or grant.refresh_token is not None:
        return None
    return grant if draft.rows.has_sessions(grant.id) else None


def rotate(draft: Draft, change: Rotate) -> bool:
    """Keep the new refresh token; the old one's trace stays, for who still holds it."""
    grant = draft.rows.grants.get(change.grant)
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
    grant = draft.rows.grants.get(change.grant)
    if grant is None or draft.rules.are_newer_than(change.verdict):
        return False
    if not _still_theirs(draft, grant, change.verdict):
        return False
    lease, rules = change.verdict.lease, draft.rules
    due = refresh_at(lease, share=rules.share, jitter=rules.jitter, draw=change.draw)
    if due <= draft.now:  # the issuer's clock is far behind: do not ask again at once, for ever
        due = draft.now + (lease.expires_at - draft.now) * rules.share
    draft.put(replace(grant, lease=lease, refresh_at=due, proven=True))
    _update_sessions(draft, grant, change.verdict, is_refresh=True)
    return True


def recheck(draft: Draft, change: Recheck) -> bool:
    """Note what the issuer now says of a token that cannot be refreshed."""
    grant = draft.rows.grants.get(change.grant)
    if grant is None or draft.rules.are_newer_than(change.verdict):
        return False
    if not _still_theirs(draft, grant, change.verdict):
        return False
    if change.verdict.lease.expires_at != grant.lease.expires_at:
        draft.put(replace(grant, lease=change.verdict.lease))
    _update_sessions(draft, grant, change.verdict, is_refresh=False)
    return True


def refuse(draft: Draft, change: Refuse) -> None:
    """End what hangs on a grant that the issuer ended; a newer grant of the same user saves it."""
    grant = draft.rows.grants.get(change.grant)
    if grant is None:
        return
    newer = max(_newer(draft, grant), key=lambda each: each.lease.issued_at, default=None)
    for session in draft.rows.sessions_of(grant.id):
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


def _still_theirs(draft: Draft, grant: Grant, verdict: Verdict) -> bool:
    """End the grant when the issuer answered with another principal's token."""
    if (verdict.principal.issuer, verdict.principal.subject) == (grant.issuer, grant.subject):
        return True
    for session in draft.rows.sessions_of(grant.id):
        draft.take_back(session, SessionRevoked, "usermismatch")
    draft.drop_grant(grant, refused=True)
    return False


def _update_sessions(draft: Draft, grant: Grant, verdict: Verdict, *, is_refresh: bool) -> None:
    expires_at = verdict.lease.expires_at
    for session in draft.rows.sessions_of(grant.id):
        fresh = replace(session, roles=verdict.roles, attributes=verdict.attributes)
        if fresh != session:
            draft.put(fresh)
        if is_refresh or expires_at != grant.lease.expires_at:
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
