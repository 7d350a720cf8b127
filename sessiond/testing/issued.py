"""What an issuer gives a user who signs in."""

from dataclasses import dataclass

from sessiond.api import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What came of a sign-in."""

    access: Secret
    refresh: Secret
    expires_in: float  # seconds
