"""Verified tokens: whether they are taken all the same, and which grant they belong to."""

from dataclasses import replace
from datetime import datetime, timedelta

from sessiond.core.changes import Adopt, Brought
from sessiond.core.decide.draft import Draft
from sessiond.core.errors import Refusal
from sessiond.core.grant import Grant, GrantId, KnownToken
from sessiond.core.lease import refresh_at

UNDATED_KEPT = timedelta(days=2)  # traces of tokens without `iat`: longer than such tokens live


def adopt(draft: Draft, change: Adopt) -> Grant | Refusal:
    """Keep tokens as a grant that no session hangs on yet."""
    refusal = refusal_of(draft, change.brought, is_proof_due=False)
    return refusal if refusal is not None else join(draft, change.grant, change.brought)


def refusal_of(draft: Draft, brought: Brought, *, is_proof_due: bool = True) -> Refusal | None:
    """Return why verified tokens are refused all the same, if they are."""
    rows, principal = draft.rows, brought.verdict.principal
    if draft.rules.are_newer_than(brought.verdict):  # verified by what was configured before
        is_gone = principal.issuer not in draft.rules.generations
        return Refusal.WRONGISSUER if is_gone else Refusal.UNAVAILABLE
    if brought.verdict.lease.expires_at <= draft.now:
        return Refusal.EXPIRED
    access = rows.tokens.get(brought.access)
    refresh = None if brought.refresh is None else rows.tokens.get(brought.refresh)
    oldest = min(_known_since(brought, access), refresh.seen_at if refresh else draft.now)
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
    grants = [rows.grant_of(token) for token in (brought.access, brought.refresh)]
    if any(grant is not None and not _belongs(grant, brought) for grant in grants):
        return Refusal.USERMISMATCH
    if is_proof_due and principal.issuer in draft.rules.proved:
        grant = _known(draft, brought)
        if grant is None or not grant.proven:
            return Refusal.WRONGAUDIENCE
    return None


def join(draft: Draft, fresh: GrantId, brought: Brought) -> Grant:
    """Return the grant the tokens belong to, made anew when none of them is known."""
    rows, verdict = draft.rows, brought.verdict
    known = _known(draft, brought)
    if known is None:
        grant = Grant(
            id=fresh,
            issuer=verdict.principal.issuer,
            subject=verdict.principal.subject,
            client=brought.client,
            iss=draft.rules.iss.get(verdict.principal.issuer, ""),
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


def _known_since(brought: Brought, trace: KnownToken | None) -> datetime:
    """Return since when the access token has been there: issued, presented or seen before."""
    moments = [brought.presented_at]
    if brought.verdict.stated_iat is not None:
        moments.append(brought.verdict.stated_iat)
    if trace is not None:
        moments.append(trace.seen_at)
    return min(moments)


def _known(draft: Draft, brought: Brought) -> Grant | None:
    """Return the grant that the tokens belong to already.

    A refresh token decides alone: one that is not known yet is never joined to the grant of a
    known access token, since only its first refresh shows whose it is.
    """
    return draft.rows.grant_of(brought.access if brought.refresh is None else brought.refresh)


def _belongs(grant: Grant, brought: Brought) -> bool:
    principal = brought.verdict.principal
    return (grant.issuer, grant.subject, grant.client) == (
        principal.issuer,
        principal.subject,
        brought.client,
    )


def _refresh_at(draft: Draft, brought: Brought) -> datetime:
    rules = draft.rules
    return refresh_at(
        brought.verdict.lease, share=rules.share, jitter=rules.jitter, draw=brought.draw
    )


def _remember(draft: Draft, grant: Grant, brought: Brought) -> None:
    """Keep the traces of tokens that were not known, or whose grant was gone."""
    keep_until = brought.verdict.lease.expires_at
    if brought.verdict.stated_iat is None:
        keep_until = max(keep_until, draft.now + UNDATED_KEPT)
    for token in (brought.access, brought.refresh):
        trace = None if token is None else draft.rows.tokens.get(token)
        if token is not None and (trace is None or trace.grant is None):
            seen_at = brought.presented_at if trace is None else trace.seen_at
            draft.put(
                KnownToken(hash=token, grant=grant.id, seen_at=seen_at, keep_until=keep_until)
            )
