"""Refreshing grants: begun, rotated, done, refused."""

from dataclasses import replace

from sessiond.core.changes import (
    BeginRefresh,
    FindGrant,
    Forsake,
    Recheck,
    Recheckable,
    Refresh,
    Refuse,
    Rotate,
)
from sessiond.core.decide.draft import Draft
from sessiond.core.decide.tokens import access_of, lease_of_token, relying_on
from sessiond.core.events import SessionRefreshed, SessionRevoked, SessionRolesChanged
from sessiond.core.grant import Grant, KnownToken
from sessiond.core.lease import refresh_at
from sessiond.core.verdict import Verdict


def begin(draft: Draft, change: BeginRefresh) -> Grant | None:
    """Record that the issuer is about to be asked, if there is anything to ask for."""
    grant = draft.rows.grants.get(change.grant)
    if grant is None or grant.refresh_at is None:
        return None
    has_sessions = draft.rows.has_sessions(grant.id)
    is_due = has_sessions and grant.refresh_at <= draft.now
    is_to_be_proved = change.at_once and grant.is_unproved
    if not is_due and not is_to_be_proved:
        if grant.is_unproved and not has_sessions:  # what was sent then had no answer
            draft.forget_grant(grant)
        return None
    begun = replace(grant, in_flight_since=draft.now)
    draft.put(begun)
    return begun


def find_grant(draft: Draft, change: FindGrant) -> Grant | None:
    """Return a grant."""
    return draft.rows.grants.get(change.grant)


def recheckable(draft: Draft, change: Recheckable) -> Grant | None:
    """Return a grant of an access token, which can only be asked about again."""
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
    """Give every session of the grant the new lease and what the new token says.

    Who came with an access token of the grant alone gets no longer lease, and no role more.
    """
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
    _take_lost_roles(draft, grant, change.verdict)
    return True


def recheck(draft: Draft, change: Recheck) -> bool:
    """Note what the issuer now says of a token that cannot be refreshed."""
    grant = draft.rows.grants.get(change.grant)
    if grant is None or draft.rules.are_newer_than(change.verdict):
        return False
    if not _still_theirs(draft, grant, change.verdict):
        return False
    trace = next(draft.rows.tokens_of(grant.id), None)  # it has one, that of its access token
    verdict = replace(change.verdict, lease=lease_of_token(change.verdict, trace))
    if verdict.lease.expires_at != grant.lease.expires_at:
        draft.put(replace(grant, lease=verdict.lease))
    _update_sessions(draft, grant, verdict, is_refresh=False)
    return True


def refuse(draft: Draft, change: Refuse) -> None:
    """End what hangs on a grant that the issuer ended.

    What a refresh has proved speaks for the access tokens it came with too, and so does the
    issuer's word on an access token itself: whoever brought those, and no refresh token that is
    proved, ends as well. A refresh token that was never proved may be anybody's, so its refusal
    ends only what brought it.
    """
    grant = draft.rows.grants.get(change.grant)
    if grant is not None:
        _end(draft, grant, change.reason)


def forsake(draft: Draft, change: Forsake) -> None:
    """Drop a grant that was to be proved, unless somebody is in by it."""
    grant = draft.rows.grants.get(change.grant)
    if grant is not None and grant.is_unproved and not draft.rows.has_sessions(grant.id):
        draft.forget_grant(grant)


def _still_theirs(draft: Draft, grant: Grant, verdict: Verdict) -> bool:
    """End the grant when the issuer answered with another principal's token."""
    if (verdict.principal.issuer, verdict.principal.subject) == (grant.issuer, grant.subject):
        return True
    _end(draft, grant, "usermismatch")
    return False


def _end(draft: Draft, grant: Grant, reason: str) -> None:
    ended = list(draft.rows.sessions_of(grant.id))
    access = access_of(draft.rows, grant)
    if grant.is_unproved:
        access = [each for each in access if _is_known_by_nothing_else(draft, each, grant)]
    else:
        ended += relying_on(draft, grant)
    for session in ended:
        draft.take_back(session, SessionRevoked, reason)
    for token in access:
        alone = draft.rows.grant_of(token.hash)
        if alone is not None and alone.refresh_token is None and alone.id != grant.id:
            draft.refuse_grant(alone, ())
    draft.refuse_grant(grant, access)


def _is_known_by_nothing_else(draft: Draft, access: KnownToken, grant: Grant) -> bool:
    """Say whether an access token never came alone, nor with a refresh token of another grant."""
    known = {each.hash for each in draft.rows.tokens_of(grant.id)}
    return access.grant is None and known.issuperset(access.came_with)


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


def _take_lost_roles(draft: Draft, grant: Grant, verdict: Verdict) -> None:
    """Leave those who came with the grant's access tokens no role that it has lost."""
    for session in relying_on(draft, grant):
        roles = tuple(role for role in session.roles if role in verdict.roles)
        if roles != session.roles:
            fewer = replace(session, roles=roles)
            draft.put(fewer)
            expires_at = draft.expires_at(session)
            changed = draft.event(SessionRolesChanged, fewer, expires_at=expires_at)
            draft.push(changed, session.process)
