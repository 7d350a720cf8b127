"""What a sign-in asks of one issuer, whose client the daemon is."""

from dataclasses import dataclass, field
from typing import Protocol

from sessiond.core.secret import Secret
from sessiond.refresher.refresh_issuer import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What is asked at the authorization endpoint (RFC 6749, 4.1.1; RFC 7636)."""

    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: Secret
    max_age: int | None = None  # seconds since the person signed in there; None: not asked
    acr_values: tuple[str, ...] = ()  # one of these authentication contexts (RFC 9470, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """What an authorization code was worth."""

    tokens: Tokens
    subject: str  # of the ID token; empty: there is none, or it names people otherwise


class WebClient(Protocol):
    """The daemon as one issuer's client. Called from several tasks at once."""

    @property
    def issuer(self) -> str:
        """The issuer's configured name."""
        ...

    @property
    def client_id(self) -> str:
        """Whom its refresh tokens are bound to."""
        ...

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """Return where a browser is sent to sign in.

        Raises:
            IssuerUnavailable: It is not known now.
        """
        ...

    async def redeem(
        self, *, code: str, redirect_uri: str, verifier: Secret, nonce: str
    ) -> Redeemed:
        """Spend a code (RFC 6749, 4.1.3); what comes with it is of this sign-in and no other.

        Raises:
            SignInRefused: The issuer does not take it.
            TokenRejected: The ID token is not of this sign-in.
            IssuerUnavailable: Nothing is known; a code is not sent twice.
        """
        ...

    async def give_back(self, tokens: Tokens) -> None:
        """Have the issuer end a refresh token that nobody is to have; it may not be able to."""
        ...

    async def iss_fault(self, iss: str | None) -> str:
        """Return why an answer is not this issuer's (RFC 9207, 2.4); empty where it may be."""
        ...

    async def end_session_url(self, post_logout_redirect_uri: str) -> str:
        """Return where a browser is signed out there too; empty where the issuer has none.

        Raises:
            IssuerUnavailable: It is not known now.
        """
        ...
