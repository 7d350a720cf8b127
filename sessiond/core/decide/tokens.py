"""Verified tokens: which grant they belong to, and who else came with them."""

from datetime import datetime, timedelta

from msgspec import structs

from sessiond.core.access import Denied
from sessiond.core.admission import admitted, grants_beside, lease_of_token
from sessiond.core.changes import KeepGrant
from sessiond.core.decide.draft import REFUSED_KEPT, Draft
from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.lease import Lease, refresh_at
from sessiond.core.rows import RowsView
from sessiond.core.session import Session, SessionId
from sessiond.core.verdict import PresentedTokens

UNDATED_KEPT = timedelta(days=2)  # traces of tokens without `iat`: longer than such tokens live
ENDLESS_KEPT = REFUSED_KEPT  # and of tokens that state no end: seen again they are as old as before


def keep_grant(draft: Draft, change: KeepGrant) -> Grant | Denied:
    """Keep tokens as a grant that no session hangs on yet, unless none would be let in."""
    access = admitted(draft, change.presented, change.about, is_proof_due=False)
    return access if isinstance(access, Denied) else join(draft, change.grant, change.presented)


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
            has_refresh_token=presented.refresh_token is not None,
            refresh_at=None if presented.refresh is None else _refresh_at(draft, lease, presented),
        )
        draft.put(grant, secret=presented.refresh_token)
    else:
        grant = known
        if lease.expires_at > known.lease.expires_at:
            due = _refresh_at(draft, lease, presented)
            grant = structs.replace(known, lease=lease, refresh_at=_next_refresh_at(known, due))
        if grant is not known or not rows.has_sessions(known.id):
            draft.put(grant)  # even unchanged: whoever refreshes it had stopped to look at it
    _remember(draft, grant, presented, lease)
    return grant


def access_of(rows: RowsView, grant: Grant) -> list[KnownToken]:
    """Return the access tokens of a grant: its only token, or those that its refresh token had."""
    if not grant.has_refresh_token:
        return list(rows.tokens_of(grant.id))
    return rows.access_beside(grant.id)


def relying_on(draft: Draft, grant: Grant) -> list[Session]:
    """Return the sessions that came with an access token of the grant, and with nothing better.

    They hang on other grants: of the access token alone, or of a refresh token that is not proved.
    """
    rows, found = draft.rows, dict[SessionId, Session]()
    for access in access_of(rows, grant):
        for other in grants_beside(rows, access):
            if other.id != grant.id and not other.proven:
                on_it = rows.sessions_of(other.id)
                found.update((each.id, each) for each in on_it if each.access == access.hash)
    return list(found.values())


def is_relying(rows: RowsView, session: Session, grant: Grant) -> bool:
    """Say whether a session is one of those that `relying_on` returns."""
    is_better = session.grant == grant.id or rows.grants[session.grant].proven
    return not is_better and any(each.hash == session.access for each in access_of(rows, grant))


def _known(rows: RowsView, presented: PresentedTokens) -> Grant | None:
    """Return the grant that the tokens belong to already.

    A refresh token decides alone: one that is not known yet is never joined to the grant of a
    known access token, since only its first refresh shows whose it is.
    """
    if presented.refresh is not None:
        return rows.grant_of(presented.refresh)
    grant = rows.grant_of(presented.access)
    return None if grant is None or grant.has_refresh_token else grant


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
        trace = structs.replace(trace, grant=grant.id)
    else:
        trace = _beside(rows, trace, grant, presented.refresh)
    if lease.expires_at > trace.keep_until or _is_a_refresh_tokens(rows, known):
        trace = structs.replace(trace, keep_until=max(keep_until, trace.keep_until))
    if trace != known:
        draft.put(trace)


def _beside(rows: RowsView, trace: KnownToken, grant: Grant, refresh: TokenHash) -> KnownToken:
    """Return an access token's trace once it has come with a refresh token of the grant."""
    if _is_a_refresh_tokens(rows, trace):
        trace = structs.replace(trace, grant=None)
    is_noted = refresh in trace.came_with or any(
        each.id == grant.id for each in grants_beside(rows, trace)
    )
    return trace if is_noted else structs.replace(trace, came_with=(*trace.came_with, refresh))


def _is_a_refresh_tokens(rows: RowsView, trace: KnownToken | None) -> bool:
    """Say whether a token has come as a refresh token, and as nothing else so far."""
    own = None if trace is None else rows.grant_of(trace.hash)
    return own is not None and own.has_refresh_token
