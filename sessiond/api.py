"""All that a plugin may import, beside `sessiond.qipc` and, in tests, `sessiond.testing`."""

from datetime import datetime
from typing import Protocol

from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict

__all__ = [
    "IssuerThrottled",
    "IssuerUnavailable",
    "Lease",
    "Principal",
    "Refusal",
    "Secret",
    "TokenRejected",
    "Verdict",
    "Verifier",
]


class Verifier(Protocol):
    """Says whether one issuer's access tokens are good for this daemon.

    Called from many tasks at once, any of which may be cancelled.
    """

    @property
    def asks(self) -> bool:
        """True when each token costs a call to the issuer (introspection, userinfo)."""
        ...

    def needs_issuer(self, token: Secret) -> bool:
        """Say whether verifying this token now means a call to the issuer.

        Always where `asks`; for a signed token only when the key it names is not at hand and
        may be fetched. Where False, `verify` answers without waiting.
        """
        ...

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the token proves.

        Args:
            token: The access token alone.
            now: The wall time to judge by.
            expires_in: Seconds from now, where a token endpoint has stated them (RFC 6749, 5.1).

        Raises:
            TokenRejected: Final for this token.
            IssuerUnavailable: No verdict; sessiond asks again later.
            IssuerThrottled: The same, and not before `retry_after` seconds.
        """
        ...

    def vouches(self, verdict: Verdict) -> bool:
        """Say whether an earlier verdict still stands: False once its key was withdrawn."""
        ...

    async def probe(self) -> None:
        """Make one trial call that needs no user's token, to learn whether the issuer is well.

        Raises:
            IssuerUnavailable: It is not.
        """
        ...
