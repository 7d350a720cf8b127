"""What a source asks of the token endpoint that gives it tokens."""

from typing import Protocol

from sessiond.core.errors import SessiondError
from sessiond.core.secret import Secret
from sessiond.refresher.refresh_issuer import Tokens


class SourceRefused(SessiondError):  # noqa: N818 - a verdict, not a fault
    """The issuer gives this source no token: tell whoever asks, and ask it again seldom.

    The text is for operators: the OAuth error code (RFC 6749, 5.2), and nothing else of the answer.
    """


class SourceClient(Protocol):
    """One source's client at a token endpoint. Called from several tasks at once."""

    @property
    def identity(self) -> str:
        """Whom its refresh tokens are bound to, and where: neither may be sent another's."""
        ...

    async def fetch(self) -> Tokens:
        """Return a token by the client's own standing, or by a user's password.

        Raises:
            SourceRefused: The issuer gives none.
            IssuerUnavailable: Nothing is known; ask again later.
            IssuerThrottled: The same, and not before `retry_after` seconds.
        """
        ...

    async def refresh(self, token: Secret) -> Tokens:
        """Spend a refresh token (RFC 6749, 6).

        Raises:
            RefreshRefused: Final for this refresh token: never send it again.
            SourceRefused, IssuerUnavailable, IssuerThrottled: As `fetch`; it may be good still.
        """
        ...

    async def exchange(self, subject: Secret) -> Tokens:
        """Return a token on behalf of the user whose access token this is.

        Raises as `fetch`: a refusal is about this user.
        """
        ...
