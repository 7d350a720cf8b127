"""Verified tokens: whether they are taken all the same, and which grant they belong to."""

from dataclasses import replace
from datetime import datetime, timedelta

from sessiond.core.changes import KeepGrant, PresentedTokens
from sessiond.core.decide.draft import REFUSED_KEPT, Draft
from sessiond.core.errors import Refusal
from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.lease import Lease, refresh_at
from sessiond.core.rows import Rows
from sessiond.core.session import Session, SessionId
from sessiond.core.verdict import Verdict

UNDATED_KEPT = timedelta(days=2)  # traces of tokens without `iat`: longer than such tokens live
ENDLESS_KEPT = REFUSED_KEPT  # and of tokens that state no end: seen again they are as old as before
MAX_UNPROVED = 4  # refresh tokens that one access token may come with, over its life
MAX_BESIDE = 16  # the same, those that a refresh has proved included


def keep_grant(draft: Draft, change: KeepGrant) -> Grant | Refusal:
    """Keep tokens as a grant that no session hangs on yet."""
    refusal = refusal_of(draft, change.presented, is_proof_due=False)
    return refusal if refusal is not None else join(draft, change.grant, change.presented)


def refusal_of(
    draft: Draft, presented: PresentedTokens, *, is_proof_due: bool = True
) -> Refusal | None:
    """Return why verified tokens are refused all the same, if they are."""
    rows, principal = draft.rows, presented.verdict.principal
    if draft.rules.are_newer_than(presented.verdict):  # verified by what was configured before
        is_gone = principal.issuer not in draft.rules.generations
        return Refusal.WRONGISSUER if is_gone else Refusal.UNAVAILABLE
    access = rows.tokens.get(presented.access)
    refresh = None if presented.refresh is None else rows.tokens.get(presented.refresh)
    if lease_of_token(presented.verdict, access).expires_at <= draft.now:
        return Refusal.EXPIRED
    oldest = min(_known_since(presented, access), refresh.seen_at if refresh else draft.now)
    if any(oldest <= each.at for each in rows.revocations_of(principal)):
        return Refusal.REVOKED
    owner = rows.owner_of(principal.name)
    if owner is not None and (owner.issuer, owner.subject) != (
        principal.issuer,
        principal.subject,
    ):
        return Refusal.USERMISMATCH
    if any(trace is not None and trace.is_refused for trace in (access, refresh)):
        return Refusal.INACTIVE
    known = [*_grants_beside(rows, access), rows.grant_of(presented.refresh)]
    if any(grant is not None and not _belongs(grant, presented) for grant in known):
        return Refusal.USERMISMATCH
    if _is_access_token(rows, presented):
        return Refusal.WRONGTYPE
    if _are_too_many(rows, presented.refresh, access):
        return Refusal.THROTTLED
    is_proof_due = is_proof_due and principal.issuer in draft.rules.proved
    if is_proof_due and not _is_proved(rows, presented, access):
        return Refusal.WRONGAUDIENCE
    return None


def join(draft: Draft, fresh: GrantId, presented: PresentedTokens) -> Grant:
    """Return the grant the tokens belong to, made anew when none of them is known.

    An access token that comes alone has a grant of its own, whatever refresh tokens it came with
    before: nothing but the token itself says how long that lasts.
    """
    rows, principal = draft.rows, presented.verdict.principal
    lease = lease_of_token(presented.verdict, rows.tokens.get(presented.access))
    known = _known(rows, presented)
    if known is None:
        grant = Grant(
            id=fresh,
            issuer=principal.issuer,
            subject=principal.subject,
            client=presented.client,
            iss=draft.rules.iss.get(principal.issuer, ""),
            lease=lease,
            refresh_token=presented.refresh_token,
            refresh_at=None if presented.refresh is None else _refresh_at(draft, lease, presented),
        )
        draft.put(grant)
    else:
        grant = known
        if lease.expires_at > known.lease.expires_at:
            due = _refresh_at(draft, lease, presented)
            grant = replace(known, lease=lease, refresh_at=_next_refresh_at(known, due))
        if grant is not known or not rows.has_sessions(known.id):
            draft.put(grant)  # even unchanged: whoever refreshes it had stopped to look at it
    _remember(draft, grant, presented, lease)
    return grant


def lease_of_token(verdict: Verdict, trace: KnownToken | None) -> Lease:
    """Return the access token's own lease: without a stated end, from when it was first seen."""
    lease = verdict.lease
    if verdict.states_end or trace is None:
        return lease
    begin = min(lease.issued_at, trace.seen_at)
    return Lease(issued_at=begin, expires_at=begin + (lease.expires_at - lease.issued_at))


def access_of(rows: Rows, grant: Grant) -> list[KnownToken]:
    """Return the access tokens of a grant: its only token, or those that its refresh token had."""
    if grant.refresh_token is None:
        return list(rows.tokens_of(grant.id))
    return rows.access_beside(grant.id)


def relying_on(draft: Draft, grant: Grant) -> list[Session]:
    """Return the sessions that came with an access token of the grant, and with nothing better.

    They hang on other grants: of the access token alone, or of a refresh token that is not proved.
    """
    rows, found = draft.rows, dict[SessionId, Session]()
    for access in access_of(rows, grant):
        for other in _grants_beside(rows, access):
            if other.id != grant.id and not other.proven:
                on_it = rows.sessions_of(other.id)
                found.update((each.id, each) for each in on_it if each.access == access.hash)
    return list(found.values())


def is_relying(rows: Rows, session: Session, grant: Grant) -> bool:
    """Say whether a session is one of those that `relying_on` returns."""
    is_better = session.grant == grant.id or rows.grants[session.grant].proven
    return not is_better and any(each.hash == session.access for each in access_of(rows, grant))


def _known_since(presented: PresentedTokens, trace: KnownToken | None) -> datetime:
    """Return since when the access token has been there: issued, presented or seen before."""
    moments = [presented.presented_at]
    if presented.verdict.stated_iat is not None:
        moments.append(presented.verdict.stated_iat)
    if trace is not None:
        moments.append(trace.seen_at)
    return min(moments)


def _known(rows: Rows, presented: PresentedTokens) -> Grant | None:
    """Return the grant that the tokens belong to already.

    A refresh token decides alone: one that is not known yet is never joined to the grant of a
    known access token, since only its first refresh shows whose it is.
    """
    if presented.refresh is not None:
        return rows.grant_of(presented.refresh)
    grant = rows.grant_of(presented.access)
    return None if grant is None or grant.refresh_token is not None else grant


def _grants_beside(rows: Rows, access: KnownToken | None) -> list[Grant]:
    """Return the grants that know an access token: its own, and those it came with.

    Not one that has it for its refresh token: somebody took it for that, and who says whose it is?
    """
    if access is None:
        return []
    own, beside = rows.grant_of(access.hash), map(rows.grant_of, access.came_with)
    refreshed = [each for each in beside if each is not None and each.refresh_token is not None]
    if own is None or own.refresh_token is not None:
        return refreshed
    return [own, *refreshed]


def _is_access_token(rows: Rows, presented: PresentedTokens) -> bool:
    """Say whether what came as the refresh token is known to be an access token."""
    trace = None if presented.refresh is None else rows.tokens.get(presented.refresh)
    if trace is None or presented.refresh == presented.access:
        return presented.refresh == presented.access
    own = rows.grant_of(trace.hash)
    return bool(trace.came_with) or (own is not None and own.refresh_token is None)


def _are_too_many(rows: Rows, refresh: TokenHash | None, access: KnownToken | None) -> bool:
    """Say whether an access token has come with as many refresh tokens as are taken with one."""
    if refresh is None or access is None or refresh in access.came_with:
        return False
    grant, beside = rows.grant_of(refresh), _grants_beside(rows, access)
    if grant is not None and grant in beside:
        return False
    if len(access.came_with) >= MAX_BESIDE:
        return True
    is_proved = grant is not None and grant.proven
    unproved = len(access.came_with) - sum(each.proven for each in beside)
    return not is_proved and unproved >= MAX_UNPROVED


def _is_proved(rows: Rows, presented: PresentedTokens, access: KnownToken | None) -> bool:
    """Say whether the refresh token is proved, or one that the access token came with before."""
    if presented.refresh is None:
        return any(each.proven for each in _grants_beside(rows, access))
    grant = rows.grant_of(presented.refresh)
    return grant is not None and grant.proven


def _belongs(grant: Grant, presented: PresentedTokens) -> bool:
    principal = presented.verdict.principal
    return (grant.issuer, grant.subject, grant.client) == (
        principal.issuer,
        principal.subject,
        presented.client,
    )


def _refresh_at(draft: Draft, lease: Lease, presented: PresentedTokens) -> datetime:
    rules = draft.rules
    return refresh_at(lease, share=rules.share, jitter=rules.jitter, draw=presented.draw)


def _next_refresh_at(known: Grant, due: datetime) -> datetime | None:
    """Return when a grant with a longer lease is to be refreshed; a proof is not put off by it."""
    if known.refresh_at is None:
        return None
    return min(known.refresh_at, due) if known.is_unproved else due


def _remember(draft: Draft, grant: Grant, presented: PresentedTokens, lease: Lease) -> None:
    """Keep the traces of the tokens: the access token's says which refresh tokens it came with."""
    rows, keep_until = draft.rows, lease.expires_at
    if presented.verdict.stated_iat is None:
        keep_until = max(keep_until, draft.now + UNDATED_KEPT)
    if not presented.verdict.states_end:
        keep_until = max(keep_until, draft.now + ENDLESS_KEPT)
    if presented.refresh is not None:
        trace = rows.tokens.get(presented.refresh)
        if trace is None or trace.grant is None:
            seen_at = presented.presented_at if trace is None else trace.seen_at
            draft.put(
                KnownToken(
                    hash=presented.refresh, grant=grant.id, seen_at=seen_at, keep_until=keep_until
                )
            )
    known = rows.tokens.get(presented.access)
    trace = known or KnownToken(
        hash=presented.access, grant=None, seen_at=presented.presented_at, keep_until=keep_until
    )
    if presented.refresh is None:
        trace = replace(trace, grant=grant.id)
    else:
        trace = _beside(rows, trace, grant, presented.refresh)
    if lease.expires_at > trace.keep_until:
        trace = replace(trace, keep_until=keep_until)
    if trace != known:
        draft.put(trace)


def _beside(rows: Rows, trace: KnownToken, grant: Grant, refresh: TokenHash) -> KnownToken:
    """Return an access token's trace once it has come with a refresh token of the grant."""
    own = rows.grant_of(trace.hash)
    if own is not None and own.refresh_token is not None:  # it came as a refresh token once
        trace = replace(trace, grant=None)
    is_noted = refresh in trace.came_with or any(
        each.id == grant.id for each in _grants_beside(rows, trace)
    )
    return trace if is_noted else replace(trace, came_with=(*trace.came_with, refresh))
