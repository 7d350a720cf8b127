"""Asks the issuer whether an access token is active (RFC 7662)."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from sessiond.core.claim_values import Claims
from sessiond.core.claims import ClaimRules, check_times, times_of, verdict_of
from sessiond.core.errors import ClientRefused, Refusal, TokenRejected, UnusableAnswer
from sessiond.core.jsontext import read_object
from sessiond.core.printable import any_of, seen
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.issuers.asked import (
    made_up_token,
    own_claims,
    own_times,
    refuse_too_large,
    sendable,
)
from sessiond.issuers.client import Client, is_refused
from sessiond.issuers.discovery import Discovery, Endpoint
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.jwt.access import check_audience, check_issuer, check_scope
from sessiond.jwt.kind import NO_EXCEPTIONS, KindRules, check_kind

# What an issuer refuses a request with because of the token, and not because of us.
_ABOUT_THE_TOKEN = {
    "unsupported_token_type": Refusal.WRONGTYPE,  # RFC 7009, 2.2.1: one that it cannot look up
    "invalid_token": Refusal.INACTIVE,
}
# How an access token is presented (RFC 6749, 7.1); IdentityServer and Salesforce say what it is.
_ACCESS_TOKEN = frozenset({"bearer", "access_token"})


class IntrospectionVerifier:
    """A Verifier (sessiond.api) that believes what the introspection endpoint answers."""

    is_online = True

    def __init__(
        self,
        *,
        http: IssuerHttp,
        discovery: Discovery,
        client: Client,
        rules: ClaimRules,
        issuers: Iterable[str],
        audience: Iterable[str] = (),
        audience_claim: str = "aud",
        required_scope: str = "",
        issued_to: Collection[str] = (),
        kind: KindRules = NO_EXCEPTIONS,
        is_type_optional: bool = False,
        leeway: timedelta,
    ) -> None:
        """Ask nothing yet.

        Args:
            http: Asks the issuer.
            discovery: Knows the endpoint.
            client: Who asks.
            rules: How to read the answer's claims.
            issuers: The `iss` values that are this issuer, where the answer has one.
            audience: One of these must be in `aud`; where none is given, it is not looked at.
            audience_claim: What stands for `aud`.
            required_scope: Each of its words must be in `scope`.
            issued_to: Where there is no audience to check, an answer's `client_id` must be one of
                these: else any program's token would do. Empty means that any will do.
            kind: Which tokens may stand for no user.
            is_type_optional: An answer without `token_type` may be an access token's.
            leeway: Excused for `nbf` and `iat`.
        """
        self._http = http
        self._discovery = discovery
        self._client = client
        self._rules = rules
        self._issuers = frozenset(issuers)
        self._audience = frozenset(audience)
        self._required_scope = required_scope
        self._audience_claim = audience_claim
        self._issued_to = frozenset(issued_to)
        self._kind = kind
        self._is_type_optional = is_type_optional
        self._leeway = leeway

    def needs_call(self, token: Secret) -> bool:
        """Say True: every token costs a call."""
        return True

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the issuer vouches for; see `sessiond.api.Verifier`."""
        own = own_claims(token)
        check_kind(own, self._kind)
        times = own_times(own)
        check_times(times, now=now, leeway=self._leeway)
        claims = await self._ask(token)
        if claims["active"] is not True:
            raise TokenRejected(
                Refusal.INACTIVE,
                f"active is {seen(claims['active'])}, wanted true: sign in again, if the token is "
                "over or revoked; else see that our client_id may ask about it (Keycloak: aud must "
                "have it), and of which issuer it is",
            )
        check_kind({**own, **claims}, self._kind)
        self._check(claims)
        times = times_of(claims).narrowed(times)
        check_times(times, now=now, leeway=self._leeway)
        return verdict_of(claims, self._rules, times=times, now=now, expires_in=expires_in)

    def still_valid(self, verdict: Verdict) -> bool:
        """Say True: no key of ours stands behind a verdict; time alone ends it."""
        return True

    async def prepare(self) -> None:
        """Learn where the endpoint is, so that no login waits for that."""
        await self._discovery.need(Endpoint.INTROSPECTION)

    async def probe(self) -> None:
        """Ask about a made-up token, which must be answered as inactive, or refused."""
        with suppress(TokenRejected):
            if (await self._ask(made_up_token()))["active"] is not False:
                raise UnusableAnswer(
                    "the issuer calls a made-up token active, wanted false: see "
                    "introspection_endpoint, and let nobody in by it until then"
                )

    async def _ask(self, token: Secret) -> Claims:
        """Return an answer that has `active`."""
        form = {"token": sendable(token), "token_type_hint": "access_token"}
        place = await self._discovery.need(Endpoint.INTROSPECTION)
        reply = await self._client.post(self._http, place, form, is_repeatable=True)
        if reply.status != 200:
            raise _fault(reply)
        claims = reply.read()
        if "active" not in claims:
            raise reply.trouble(
                "introspection answered without active, wanted true or false (RFC 7662, 2.2): see "
                "introspection_endpoint"
            )
        return claims

    def _check(self, claims: Claims) -> None:
        self._check_type(claims)
        if "iss" in claims:
            check_issuer(claims, self._issuers)
        if self._audience:
            check_audience(claims, self._audience, claim=self._audience_claim)
        elif self._issued_to:
            self._check_client(claims.get("client_id"))
        check_scope(claims, self._required_scope)

    def _check_client(self, client: object) -> None:
        if not isinstance(client, str) or client not in self._issued_to:
            raise TokenRejected(
                Refusal.WRONGAUDIENCE,
                f"client_id is {seen(client)}, wanted {any_of(self._issued_to)}: sign in with that "
                "program, or mend refresh_client_id",
            )

    def _check_type(self, claims: Claims) -> None:
        """Refuse other tokens: issuers answer for those too, with another type or with none."""
        kind = claims.get("token_type")
        if isinstance(kind, str) and kind.lower() in _ACCESS_TOKEN:
            return
        if kind is None and self._is_type_optional:
            _refuse_refresh_token(claims)
            return
        saw = "missing" if kind is None else seen(kind)
        do = "see token_type_optional" if kind is None else "present a bearer access token"
        raise TokenRejected(Refusal.WRONGTYPE, f'token_type is {saw}, wanted "Bearer": {do}')


def _refuse_refresh_token(claims: Claims) -> None:
    """Refuse a refresh token, of which authentik says what it says of an access token but for this.

    Raises:
        TokenRejected: WRONGTYPE: `at_hash` tells of an access token beside it.
    """
    if "at_hash" in claims:
        raise TokenRejected(
            Refusal.WRONGTYPE,
            "at_hash is there and token_type is not, so it is a refresh token, wanted an access "
            "token: present that one",
        )


def _fault(reply: Reply) -> TokenRejected | UnusableAnswer:
    refuse_too_large(reply.status)
    error = (read_object(reply.body) or {}).get("error")
    if reply.status in (400, 401) and isinstance(error, str) and error in _ABOUT_THE_TOKEN:
        return TokenRejected(
            _ABOUT_THE_TOKEN[error],
            f"introspection answered {error}, wanted a verdict: present an access token of this "
            "issuer, or see whether it introspects them",
        )
    if reply.status == 401 or is_refused(error):
        return ClientRefused(
            f"introspection answered {reply.status}: the issuer does not take our client, wanted "
            "200: check client_id, client_auth and the secret"
        )
    return reply.trouble(
        f"introspection answered {reply.status}, with no verdict, wanted 200: see "
        "introspection_endpoint"
    )
