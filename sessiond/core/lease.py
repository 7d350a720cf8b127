"""From when until when an access token is good, and when to ask for the next."""

from datetime import datetime, timedelta

from msgspec import Struct

# Two ends nearer than this are one: issuers state whole seconds (RFC 7519, 2; RFC 6749, 5.1).
SAME_END = timedelta(seconds=1)
# Between a refresh that gained nothing and the next. Shorter than what is left of a lease of 10 s
# once it was refreshed in time, so that a short lease has another try too.
FLOOR = timedelta(seconds=5)


class Lease(Struct, frozen=True, gc=False):
    """The span an access token is good. Times are aware UTC; the end is exclusive."""

    issued_at: datetime
    expires_at: datetime  # always later than issued_at

    def __post_init__(self) -> None:
        if self.expires_at <= self.issued_at:
            raise ValueError(f"a lease from {self.issued_at} to {self.expires_at} is empty")


def lease_of(
    *,
    now: datetime,
    issued_at: datetime | None,
    expires_at: datetime | None,
    expires_in: float | None,
    otherwise: timedelta,
) -> Lease | None:
    """Return the lease an issuer's statements amount to, or None when it is already over.

    Args:
        now: When the answer came.
        issued_at: `iat` (RFC 7519, 4.1.6), where stated; a future one counts as now.
        expires_at: `exp` (RFC 7519, 4.1.4), where stated.
        expires_in: Seconds from now (RFC 6749, 5.1), where stated. The earlier end counts.
        otherwise: The length from the lease's begin where the issuer states no end.
    """
    begin = now if issued_at is None or issued_at > now else issued_at
    end = begin + otherwise if expires_at is None else expires_at
    if expires_in is not None:
        stated = now + timedelta(seconds=expires_in)
        end = stated if expires_at is None else min(expires_at, stated)
    return Lease(issued_at=begin, expires_at=end) if end > now else None


def refresh_at(lease: Lease, *, share: float, jitter: float, draw: float) -> datetime:
    """Return the moment to ask the issuer for the next access token.

    Args:
        lease: The current one.
        share: Part of the lease to use up first, 0 < share < 1.
        jitter: Part of the lease by which the moment is moved at most, either way.
        draw: Uniform in [0, 1), drawn by the caller so that this stays pure.
    """
    length = lease.expires_at - lease.issued_at
    return lease.issued_at + length * max(0.0, share + jitter * (2 * draw - 1))


def next_refresh_at(
    old: Lease | None, new: Lease, *, now: datetime, share: float, jitter: float, draw: float
) -> datetime:
    """Return the moment for the refresh after one that has just brought a new lease.

    An issuer that cuts every lease to the end of its own session gives nothing any more: it is
    asked less and less, and not at all within FLOOR of the end. One whose clock is far behind is
    not asked again at once, for ever.

    Args:
        old: The lease until now. None: it was refreshed before its time, to prove the refresh
            token, so that nothing was to be gained.
        new: What the refresh has brought.
        now: When it did.
        share, jitter, draw: As for `refresh_at`.
    """
    due = refresh_at(new, share=share, jitter=jitter, draw=draw)
    if due <= now:
        due = now + (new.expires_at - now) * share
    if old is not None and new.expires_at - old.expires_at < SAME_END:
        due = max(due, now + FLOOR)
    return due


def is_same_end(one: Lease, other: Lease) -> bool:
    """Say whether two leases end together, as nearly as issuers can say it."""
    return abs(one.expires_at - other.expires_at) < SAME_END
