"""Signs people in by the browser: the authorization code flow (RFC 6749, 4.1; RFC 9700, 2.1.1)."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

from sessiond.clock import Clock
from sessiond.core.claim_values import claim_at
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    SignInRefused,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.password import is_sendable
from sessiond.core.printable import seen
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client
from sessiond.issuers.discovery import Discovery, Endpoint, Page, Place
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.issuers.pkce import challenge_of
from sessiond.issuers.token_endpoint import (
    MAX_CODE,
    NO_BEARER,
    OURS,
    guards_fault,
    said_of,
    tokens_of,
)
from sessiond.jwt.id_token import IdTokenRules, read_id_token
from sessiond.refresher import Tokens, TokenSource
from sessiond.refresher.giving_back import give_back
from sessiond.web.web_client import AuthorizationRequest, Redeemed

MAX_HOLD = 60.0  # seconds that no code is spent for one 429: who floods us keeps nobody out longer
LOOKS_EVERY = 5.0  # seconds between looks at whether the metadata is at hand, and new enough
RESOURCE = "resource"  # the one parameter that the token endpoint is told too (RFC 8707, 2.2)
# The issuer's own trouble, whatever its status: nobody was refused (RFC 6749, 4.1.2.1; RFC 8628).
_TRANSIENT = ("server_error", "temporarily_unavailable", "slow_down")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRules:
    """How one issuer's web client asks, and what it believes."""

    name: str  # the issuer's configured name
    issuer: str  # who it is: what an answer of its own names (RFC 9207, 2.4)
    issuers: Collection[str]  # `iss` of its ID tokens
    subject_claim: str
    scope: str
    parameters: Mapping[str, str] = field(default_factory=dict)  # beside those of the flow
    leeway: timedelta  # of clock skew


class AuthorizationCodeGrant:
    """A WebClient (sessiond.web), for one client of one issuer."""

    def __init__(
        self,
        *,
        http: IssuerHttp,
        discovery: Discovery,
        client: Client,
        tokens: TokenSource,
        rules: WebRules,
        clock: Clock,
    ) -> None:
        """Ask nothing yet.

        Args:
            http: Asks the issuer.
            discovery: Knows its endpoints and pages.
            client: Ours.
            tokens: Refreshes what was granted so, and takes back what nobody is to have.
            rules: How to ask.
            clock: Wall time, that ID tokens are judged by.
        """
        self._http = http
        self._discovery = discovery
        self._client = client
        self.tokens = tokens
        self._rules = rules
        self._clock = clock
        self._held_until = float("-inf")  # monotonic

    @property
    def issuer(self) -> str:
        """The issuer's configured name."""
        return self._rules.name

    @property
    def client_id(self) -> str:
        """Whom its refresh tokens are bound to."""
        return self._client.id

    async def keep_ready(self) -> None:
        """Know where the pages are, so that no browser waits for that; until cancelled."""
        while True:
            with suppress(IssuerUnavailable):
                await self._discovery.page(Page.AUTHORIZATION)
            await self._clock.sleep(LOOKS_EVERY)

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """Return where a browser is sent to sign in; see `sessiond.web.web_client.WebClient`."""
        page = await self._discovery.page(Page.AUTHORIZATION)
        if not page:
            raise UnusableAnswer(
                "the issuer's metadata has no authorization_endpoint, wanted its URL: nobody can "
                "sign in there by the browser; see discovery"
            )
        rules = self._rules
        asked = {
            **rules.parameters,
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": request.redirect_uri,
            "state": request.state,
            **challenge_of(request.verifier.reveal()),
        }
        if rules.scope:  # else what the client is registered for (RFC 6749, 3.3)
            asked["scope"] = rules.scope
        if self._has_id_token:
            asked["nonce"] = request.nonce
        if request.max_age is not None:
            asked["max_age"] = str(request.max_age)
        if request.acr_values:
            asked["acr_values"] = " ".join(request.acr_values)
        return _with(page, asked)

    async def redeem(
        self, *, code: str, redirect_uri: str, verifier: Secret, nonce: str
    ) -> Redeemed:
        """Spend a code; see `sessiond.web.web_client.WebClient`."""
        if not is_sendable(code):
            raise SignInRefused("invalid_grant")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier.reveal(),
        }
        if RESOURCE in self._rules.parameters:
            form[RESOURCE] = self._rules.parameters[RESOURCE]
        place = await self._discovery.need(Endpoint.TOKEN)
        reply = await self._ask(place, form)
        if reply.status != 200:
            raise _fault(reply)
        answer = reply.read()
        tokens = tokens_of(answer)
        if tokens is None:
            raise reply.trouble(NO_BEARER)
        try:
            return Redeemed(tokens=tokens, subject=self._subject(answer.get("id_token"), nonce))
        except TokenRejected:
            await self.give_back(tokens)
            raise

    async def _ask(self, place: Place, form: Mapping[str, str]) -> Reply:
        """Ask about a code, unless the issuer has just wished to be left alone.

        Anybody can bring codes that are none. An issuer that is asked about them all the same may
        turn our client away altogether, and refreshes with it.
        """
        left = self._held_until - self._clock.monotonic()
        if left > 0:
            raise IssuerThrottled(
                "the issuer was asked about too many codes and said so, wanted it to take more: "
                f"wait, it is asked again in {left:.0f} s",
                retry_after=left,
            )
        try:
            return await self._client.post(self._http, place, form)
        except IssuerThrottled as throttled:
            pause = min(throttled.retry_after, MAX_HOLD)
            self._held_until = self._clock.monotonic() + pause
            raise

    async def give_back(self, tokens: Tokens) -> None:
        """Have the issuer end a refresh token that nobody is to have (RFC 7009)."""
        if tokens.refresh_token is not None:
            await give_back(tokens.refresh_token, self.tokens, issuer=self.issuer)

    async def iss_fault(self, iss: str | None) -> str:
        """Return why an answer is not this issuer's; see `sessiond.web.web_client.WebClient`."""
        if iss is None and await self._discovery.states_iss():
            return f"iss is missing, wanted {seen(self._rules.issuer)} (RFC 9207): sign in again"
        if iss is not None and iss != self._rules.issuer:
            return f"iss is {seen(iss)}, wanted {seen(self._rules.issuer)}: sign in again"
        return ""

    async def end_session_url(self, post_logout_redirect_uri: str) -> str:
        """Return where a browser is signed out too; see `sessiond.web.web_client.WebClient`.

        OpenID Connect RP-Initiated Logout 1.0, 2: the client's id stands for a hint of who it is,
        since no ID token is kept.
        """
        page = await self._discovery.page(Page.END_SESSION)
        asked = {
            "client_id": self._client.id,
            "post_logout_redirect_uri": post_logout_redirect_uri,
        }
        return _with(page, asked) if page else ""

    @property
    def _has_id_token(self) -> bool:
        return "openid" in self._rules.scope.split()

    def _subject(self, id_token: object, nonce: str) -> str:
        """Return who an ID token says it is, as access tokens call him; empty: it does not say."""
        if not self._has_id_token:
            return ""
        rules = IdTokenRules(
            issuers=self._rules.issuers, client_id=self._client.id, leeway=self._rules.leeway
        )
        claims = read_id_token(id_token, rules, nonce=nonce, now=self._clock.now())
        subject = claim_at(claims, self._rules.subject_claim)
        return subject if isinstance(subject, str) else ""


def _fault(reply: Reply) -> SignInRefused | UnusableAnswer:
    """Return what an answer other than 200 amounts to, by its code alone (RFC 6749, 5.2)."""
    guarded = guards_fault(reply)
    if guarded is not None:
        return guarded
    answer = reply.read()
    error, said = answer.get("error"), said_of(answer)
    if not isinstance(error, str) or not said or error in _TRANSIENT:
        return reply.trouble(
            f"no sign-in: the issuer says {said or 'no error code (RFC 6749, 5.2)'}, wanted tokens "
            "for the code: try again, or see that issuer"
        )
    ours = "check [issuer.web], and this client at the issuer" if error in OURS else ""
    numbers = said.removeprefix(error[:MAX_CODE]).strip()
    return SignInRefused(error[:MAX_CODE], " ".join(filter(None, (numbers, ours))))


def _with(url: str, parameters: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
