"""Whether verified tokens are taken all the same, by what is known of them. Only read."""

from datetime import datetime

from sessiond.core.access import Access, Denied, access_by, stepup_of
from sessiond.core.errors import Refusal
from sessiond.core.grant import Grant, KnownToken, TokenHash
from sessiond.core.lease import Lease
from sessiond.core.reading import Reading
from sessiond.core.refusal_words import denied
from sessiond.core.rows import RowsView
from sessiond.core.session import ProcessAbout
from sessiond.core.verdict import PresentedTokens, Verdict

MAX_UNPROVED = 4  # refresh tokens that one access token may come with, over its life
MAX_BESIDE = 16  # the same, those that a refresh has proved included


def admitted(
    reading: Reading,
    presented: PresentedTokens,
    about: ProcessAbout,
    *,
    is_proof_due: bool = True,
) -> Access | Denied:
    """Return what verified tokens that were presented at a process come to there."""
    refusal = denied_by_rows(reading, presented, is_proof_due=is_proof_due)
    if refusal is not None:
        return refusal
    rules, verdict = reading.rules.access, presented.verdict
    access = access_by(rules, about, verdict)
    if isinstance(access, Denied):
        return access
    return stepup_of(rules, about, verdict, now=reading.now) or access


def denied_by_rows(
    reading: Reading, presented: PresentedTokens, *, is_proof_due: bool = True
) -> Denied | None:
    """Return why verified tokens are refused by what is known of them, if they are."""
    refusal = _refusal_of(reading, presented, is_proof_due=is_proof_due)
    return None if refusal is None else denied(refusal)


def _refusal_of(
    reading: Reading, presented: PresentedTokens, *, is_proof_due: bool
) -> Refusal | None:
    rows, principal = reading.rows, presented.verdict.principal
    if reading.rules.are_newer_than(presented.verdict):  # verified by what was configured before
        is_gone = principal.issuer not in reading.rules.generations
        return Refusal.WRONGISSUER if is_gone else Refusal.UNAVAILABLE
    access = rows.tokens.get(presented.access)
    refresh = None if presented.refresh is None else rows.tokens.get(presented.refresh)
    if lease_of_token(presented.verdict, access).expires_at <= reading.now:
        return Refusal.EXPIRED
    oldest = min(_known_since(presented, access), refresh.seen_at if refresh else reading.now)
    if any(oldest <= each.at for each in rows.revocations_of(principal)):
        return Refusal.REVOKED
    owner = rows.owner_of(principal.name)
    if owner is not None and (owner.issuer, owner.subject) != (
        principal.issuer,
        principal.subject,
    ):
        return Refusal.USERMISMATCH
    if (access is not None and access.is_refused) or (refresh is not None and refresh.is_refused):
        return Refusal.INACTIVE
    known = [*grants_beside(rows, access), rows.grant_of(presented.refresh)]
    if any(grant is not None and not _belongs(grant, presented) for grant in known):
        return Refusal.USERMISMATCH
    if _is_access_token(rows, presented) or _is_refresh_token(rows, presented):
        return Refusal.WRONGTYPE
    if _are_too_many(rows, presented.refresh, access):
        return Refusal.THROTTLED
    is_proof_due = is_proof_due and principal.issuer in reading.rules.proved
    if is_proof_due and not _is_proved(rows, presented, access):
        return Refusal.WRONGAUDIENCE
    return None


def lease_of_token(verdict: Verdict, trace: KnownToken | None) -> Lease:
    """Return the access token's own lease: without a stated end, from when it was first seen."""
    lease = verdict.lease
    if verdict.states_end or trace is None:
        return lease
    begin = min(lease.issued_at, trace.seen_at)
    return Lease(issued_at=begin, expires_at=begin + (lease.expires_at - lease.issued_at))


def grants_beside(rows: RowsView, access: KnownToken | None) -> list[Grant]:
    """Return the grants that know an access token: its own, and those it came with.

    Not one that has it for its refresh token: somebody took it for that, and who says whose it is?
    """
    if access is None:
        return []
    own, beside = rows.grant_of(access.hash), map(rows.grant_of, access.came_with)
    refreshed = [each for each in beside if each is not None and each.has_refresh_token]
    if own is None or own.has_refresh_token:
        return refreshed
    return [own, *refreshed]


def _known_since(presented: PresentedTokens, trace: KnownToken | None) -> datetime:
    """Return since when the access token has been there: issued, presented or seen before."""
    moments = [presented.presented_at]
    if presented.verdict.stated_iat is not None:
        moments.append(presented.verdict.stated_iat)
    if trace is not None:
        moments.append(trace.seen_at)
    return min(moments)


def _is_access_token(rows: RowsView, presented: PresentedTokens) -> bool:
    """Say whether what came as the refresh token is known to be an access token."""
    trace = None if presented.refresh is None else rows.tokens.get(presented.refresh)
    if trace is None or presented.refresh == presented.access:
        return presented.refresh == presented.access
    own = rows.grant_of(trace.hash)
    return bool(trace.came_with) or (own is not None and not own.has_refresh_token)


def _is_refresh_token(rows: RowsView, presented: PresentedTokens) -> bool:
    """Say whether what came as the access token is one that the issuer has taken to refresh with.

    Not one that nobody has proved: another's access token may have been brought in that place.
    """
    own = rows.grant_of(presented.access)
    return own is not None and own.has_refresh_token and own.proven


def _are_too_many(rows: RowsView, refresh: TokenHash | None, access: KnownToken | None) -> bool:
    """Say whether an access token has come with as many refresh tokens as are taken with one."""
    if refresh is None or access is None or refresh in access.came_with:
        return False
    grant, beside = rows.grant_of(refresh), grants_beside(rows, access)
    if grant is not None and grant in beside:
        return False
    if len(access.came_with) >= MAX_BESIDE:
        return True
    is_proved = grant is not None and grant.proven
    unproved = len(access.came_with) - sum(each.proven for each in beside)
    return not is_proved and unproved >= MAX_UNPROVED


def _is_proved(rows: RowsView, presented: PresentedTokens, access: KnownToken | None) -> bool:
    """Say whether the refresh token is proved, or one that the access token came with before."""
    if presented.refresh is None:
        return any(each.proven for each in grants_beside(rows, access))
    grant = rows.grant_of(presented.refresh)
    return grant is not None and grant.proven


def _belongs(grant: Grant, presented: PresentedTokens) -> bool:
    principal = presented.verdict.principal
    return (grant.issuer, grant.subject, grant.client) == (
        principal.issuer,
        principal.subject,
        presented.client,
    )
