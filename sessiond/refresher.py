"""Refreshes grants ahead of time."""

from dataclasses import dataclass
from typing import Protocol

from sessiond.core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A token endpoint's answer (RFC 6749, 5.1)."""

    access_token: Secret
    refresh_token: Secret | None  # None: the old one stays good
    expires_in: float | None  # seconds, where stated


class TokenSource(Protocol):
    """Gets the next access token from one issuer. Called from several tasks at once."""

    async def refresh(self, token: Secret) -> Tokens:
        """Spend a refresh token (RFC 6749, 6).

        Raises:
            RefreshRefused: Final for this refresh token.
            IssuerUnavailable: Nothing is known; ask again later.
            IssuerThrottled: The same, and not before `retry_after` seconds.
        """
        ...
