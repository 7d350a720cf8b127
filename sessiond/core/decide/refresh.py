"""Refreshing grants: begun, rotated, done, refused."""

from collections.abc import Iterable
from dataclasses import replace

from msgspec import structs

from sessiond.core.access import Denied, access_by, cost_of, shortage_of
from sessiond.core.admission import lease_of_token
from sessiond.core.changes import (
    BeginRefresh,
    DropRefreshToken,
    Forsake,
    Recheck,
    Refresh,
    Refuse,
    Rotate,
    StopRefreshing,
    UpdateSessions,
)
from sessiond.core.decide.access import (
    end_denied,
    judged,
    said_by,
    settle_children,
    tell_roles,
    with_access,
)
from sessiond.core.decide.draft import Draft
from sessiond.core.decide.tokens import access_of, is_relying, relying_on
from sessiond.core.errors import Refusal
from sessiond.core.events import SessionRefreshed, SessionRevoked
from sessiond.core.grant import Grant, KnownToken
from sessiond.core.lease import is_same_end, next_refresh_at
from sessiond.core.principal import same_name
from sessiond.core.rows import RowsView
from sessiond.core.session import Session
from sessiond.core.verdict import Verdict


def begin_refresh(draft: Draft, change: BeginRefresh) -> Grant | None:
    """Record that the issuer is about to be asked, if there is anything to ask for."""
    grant = draft.live_grant(change.grant)
    if grant is None or grant.refresh_at is None:
        return None
    has_sessions = draft.rows.has_sessions(grant.id)
    is_due = has_sessions and (change.is_wanted or grant.refresh_at <= draft.now)
    is_to_be_proved = change.at_once and grant.is_unproved
    if not is_due and not is_to_be_proved:
        if grant.is_unproved and not has_sessions:  # what was sent then had no answer
            draft.forget_grant(grant)
        return None
    begun = structs.replace(grant, in_flight_since=draft.now)
    draft.put(begun)
    return begun


def rotate(draft: Draft, change: Rotate) -> bool:
    """Keep the new refresh token; the old one's trace stays, for who still holds it."""
    grant = draft.live_grant(change.grant)
    if grant is None:
        return False
    rotated = structs.replace(grant, in_flight_since=None)
    if change.refresh is not None and change.refresh not in draft.rows.tokens:
        draft.put(
            KnownToken(
                hash=change.refresh,
                grant=grant.id,
                seen_at=draft.now,
                keep_until=grant.lease.expires_at,
            )
        )
    draft.put(rotated, secret=change.refresh_token)
    return True


def stop_refreshing(draft: Draft, change: StopRefreshing) -> None:
    """Leave a grant to run out: what it would be refreshed with does not open."""
    grant = draft.live_grant(change.grant)
    if grant is not None:
        draft.put(structs.replace(grant, refresh_at=None, in_flight_since=None))


def drop_refresh_token(draft: Draft, change: DropRefreshToken) -> None:
    """Drop what a dropped grant has left to be given back."""
    if change.grant.id not in draft.rows.grants:
        draft.drop(change.grant)


def refresh(draft: Draft, change: Refresh) -> bool:
    """Give every session of the grant the new lease and what the new token says.

    Whom it calls by another name than the one that a session was opened under, that one ends.
    Who came with an access token of the grant alone gets no longer lease, and no role more.
    """
    grant = draft.live_grant(change.grant)
    if grant is None or draft.rules.are_newer_than(change.verdict):
        return False
    if not _still_stands(draft, grant, change.verdict):
        return False
    lease, rules = change.verdict.lease, draft.rules
    was_due = grant.refresh_at is not None and grant.refresh_at <= draft.now
    due = next_refresh_at(
        grant.lease if was_due else None,
        lease,
        now=draft.now,
        share=rules.share,
        jitter=rules.jitter,
        draw=change.draw,
    )
    refreshed = structs.replace(grant, lease=lease, refresh_at=due, proven=True)
    concerned = [*draft.rows.sessions_of(grant.id), *relying_on(draft, grant)]
    is_told = not is_same_end(grant.lease, lease)  # what gained nothing is no news
    _update(draft, refreshed, change.verdict, concerned, is_told=is_told)
    return True


def recheck(draft: Draft, change: Recheck) -> bool:
    """Note what the issuer now says of a token that cannot be refreshed."""
    grant = draft.live_grant(change.grant)
    if grant is None or draft.rules.are_newer_than(change.verdict):
        return False
    if not _still_stands(draft, grant, change.verdict):
        return False
    trace = next(draft.rows.tokens_of(grant.id), None)  # it has one, that of its access token
    verdict = replace(change.verdict, lease=lease_of_token(change.verdict, trace))
    is_told = verdict.lease.expires_at != grant.lease.expires_at
    rechecked = structs.replace(grant, lease=verdict.lease) if is_told else grant
    _update(draft, rechecked, verdict, list(draft.rows.sessions_of(grant.id)), is_told=is_told)
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
        if session is not None:
            _update_session(draft, grant, session, change.verdict, is_told=change.is_told)
        draft.passed += cost_of(change.verdict.assigned)
    if grant.refresh_at != change.refresh_at:
        draft.put(structs.replace(grant, refresh_at=change.refresh_at))
    return True


def refuse(draft: Draft, change: Refuse) -> bool:
    """End what hangs on a grant that the issuer ended.

    What a refresh has proved speaks for the access tokens it came with too, and so does the
    issuer's word on an access token itself: whoever brought those, and no refresh token that is
    proved, ends as well. A refresh token that was never proved may be anybody's, so its refusal
    ends only what brought it.
    """
    grant = draft.live_grant(change.grant)
    if grant is not None:
        _end(draft, grant, change)
    return False


def unfinished(rows: RowsView) -> list[Refuse]:
    """Return what an earlier run had not ended yet of grants that their issuers refused."""
    of = ((each.grant, each.is_refused) for each in rows.tokens.values())
    marked = {key: None for key, is_refused in of if is_refused and key is not None}
    return [Refuse(grant=key, reason="refused") for key in marked if key in rows.grants]


def forsake(draft: Draft, change: Forsake) -> None:
    """Drop a grant that was to be proved, unless somebody is in by it."""
    grant = draft.rows.grants.get(change.grant)
    if grant is not None and grant.is_unproved and not draft.rows.has_sessions(grant.id):
        draft.forget_grant(grant)


def _still_stands(draft: Draft, grant: Grant, verdict: Verdict) -> bool:
    """End the grant when the issuer answered with a token that lets its user in nowhere."""
    reason = Refusal.USERMISMATCH
    if (verdict.principal.issuer, verdict.principal.subject) == (grant.issuer, grant.subject):
        shortage = shortage_of(draft.rules.access, verdict)
        if shortage is None:
            return True
        reason = shortage.reason
    _end(draft, grant, Refuse(grant=grant.id, reason=reason.value))
    return False


def _end(draft: Draft, grant: Grant, change: Refuse) -> None:
    ended = list(draft.rows.sessions_of(grant.id))
    access = access_of(draft.rows, grant)
    if grant.is_unproved:
        access = [each for each in access if _is_known_by_nothing_else(draft, each, grant)]
    else:
        ended += relying_on(draft, grant)
    for session in ended:
        if draft.is_full:
            _mark_refused(draft, [*draft.rows.tokens_of(grant.id), *access])
            draft.rest = change
            return
        draft.end(session, SessionRevoked, change.reason)
    for token in access:
        alone = draft.rows.grant_of(token.hash)
        if alone is not None and not alone.has_refresh_token and alone.id != grant.id:
            draft.refuse_grant(alone, ())
    draft.refuse_grant(grant, access)


def _mark_refused(draft: Draft, tokens: Iterable[KnownToken]) -> None:
    """Remember at once that the issuer refused: also after a crash nothing is sent again."""
    for token in tokens:
        if not token.is_refused:
            draft.put(structs.replace(token, is_refused=True))


def _is_known_by_nothing_else(draft: Draft, access: KnownToken, grant: Grant) -> bool:
    """Say whether an access token never came alone, nor with a refresh token of another grant."""
    known = {each.hash for each in draft.rows.tokens_of(grant.id)}
    return access.grant is None and known.issuperset(access.came_with)


def _update(
    draft: Draft, grant: Grant, verdict: Verdict, concerned: list[Session], *, is_told: bool
) -> None:
    """Put a grant as it is now, and give sessions what is new: all, or later in pieces."""
    if 3 * len(concerned) < draft.piece:
        if grant != draft.rows.grants[grant.id]:
            draft.put(grant)
        for session in concerned:
            _update_session(draft, grant, session, verdict, is_told=is_told)
        return
    # Due until the last of them is told: after a crash in between it is refreshed again.
    due = None if grant.refresh_at is None else draft.now
    draft.put(structs.replace(grant, refresh_at=due))
    draft.rest = UpdateSessions(
        grant=grant.id,
        verdict=verdict,
        is_told=is_told,
        refresh_at=grant.refresh_at,
        left=tuple(each.id for each in concerned),
    )


def _update_session(
    draft: Draft, grant: Grant, session: Session, verdict: Verdict, *, is_told: bool
) -> None:
    if draft.has_ended(session.id) or session.may_as_parent:  # ended, or is told, with its parent
        return
    is_its_own = session.grant == grant.id
    if not is_its_own and not is_relying(draft.rows, session, grant):
        return  # it was renewed with something else meanwhile
    if not same_name(session.principal.name, verdict.principal.name):
        draft.end(session, SessionRevoked, Refusal.USERMISMATCH.value)
        return
    if not is_its_own:
        _take_lost_roles(draft, session, verdict)
        return
    access = access_by(draft.rules.access, session.about, verdict)
    if isinstance(access, Denied):
        end_denied(draft, session, access)
        return
    expires_at = verdict.lease.expires_at
    fresh = with_access(session, access, **said_by(verdict))
    if fresh != session:
        draft.put(fresh)
    if is_told:
        event = draft.event(SessionRefreshed, fresh, expires_at=expires_at)
        draft.push(event, session.process)
    tell_roles(draft, session, fresh, access, expires_at=expires_at)
    settle_children(draft, fresh, expires_at=expires_at, is_told=is_told)


def _take_lost_roles(draft: Draft, session: Session, verdict: Verdict) -> None:
    """Leave one who came with an access token of a grant alone no role that the grant has lost."""
    kept = {role: whys for role, whys in session.assigned.items() if role in verdict.roles}
    if len(kept) == len(session.assigned):
        return
    fewer = structs.replace(session, assigned=kept)
    access = judged(draft, fewer)
    if isinstance(access, Denied):
        end_denied(draft, session, access)
        return
    fewer = with_access(fewer, access)
    draft.put(fewer)
    expires_at = draft.expires_at(session)
    tell_roles(draft, session, fewer, access, expires_at=expires_at)
    settle_children(draft, fewer, expires_at=expires_at)
