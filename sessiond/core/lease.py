"""From when until when an access token is good, and when to ask for the next."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
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
    begin = now if issued_at is None else min(issued_at, now)
    ends = [] if expires_at is None else [expires_at]
    if expires_in is not None:
        ends.append(now + timedelta(seconds=expires_in))
    end = min(ends, default=begin + otherwise)
    return Lease(issued_at=begin, expires_at=end) if end > max(begin, now) else None


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
