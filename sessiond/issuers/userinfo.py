"""Asks the issuer who an access token's user is: OpenID Connect's UserInfo, or Graph's /me.

That shows that the issuer takes the token for a good one of this user, and no more: not for
whom it was issued (OpenID Connect Core 1.0, 5.3; `prove_by_refresh` closes this gap).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sessiond.core.claims import ClaimRules, check_times, verdict_of
from sessiond.core.errors import Refusal, TokenRejected, UnusableAnswer
from sessiond.core.jsontext import read_object
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.issuers.asked import (
    made_up_token,
    own_claims,
    own_times,
    refuse_too_large,
    sendable,
)
from sessiond.issuers.discovery import Discovery, Endpoint
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.jwt.access import check_audience
from sessiond.jwt.kind import NO_EXCEPTIONS, KindRules, check_kind


class UserinfoVerifier:
    """A Verifier (sessiond.api) that believes what the userinfo endpoint answers."""

    is_online = True

    def __init__(
        self,
        *,
        http: IssuerHttp,
        discovery: Discovery,
        rules: ClaimRules,
        audience: Iterable[str] = (),
        audience_claim: str = "aud",
        kind: KindRules = NO_EXCEPTIONS,
        leeway: timedelta,
    ) -> None:
        """Ask nothing yet.

        Args:
            http: Asks the issuer.
            discovery: Knows the endpoint.
            rules: How to read the answer's claims.
            audience: One of these must be in a JWT-shaped token's `aud`; an opaque token's is
                not to be known.
            audience_claim: What stands for `aud` there.
            kind: Which tokens may stand for no user.
            leeway: Excused for `iat`.
        """
        self._http = http
        self._discovery = discovery
        self._rules = rules
        self._audience = frozenset(audience)
        self._audience_claim = audience_claim
        self._kind = kind
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
        if own and self._audience:
            check_audience(own, self._audience, claim=self._audience_claim)
        times = own_times(own)
        check_times(times, now=now, leeway=self._leeway)
        reply = await self._ask(token)
        if reply.status != 200:
            raise _fault(reply)
        claims = reply.read()
        check_kind({**own, **claims}, self._kind)  # the answer does not say which client it is
        return verdict_of(claims, self._rules, times=times, now=now, expires_in=expires_in)

    def still_valid(self, verdict: Verdict) -> bool:
        """Say True: no key of ours stands behind a verdict; time alone ends it."""
        return True

    async def prepare(self) -> None:
        """Learn where the endpoint is, so that no login waits for that."""
        await self._discovery.need(Endpoint.USERINFO)

    async def probe(self) -> None:
        """Show a made-up token, which must be refused."""
        reply = await self._ask(made_up_token())
        if reply.status not in (400, 401, 403):
            raise reply.trouble(
                f"userinfo answered a made-up token with {reply.status}, wanted 401: see "
                "userinfo_endpoint"
            )

    async def _ask(self, token: Secret) -> Reply:
        bearer = sendable(token)
        place = await self._discovery.need(Endpoint.USERINFO)
        return await self._http.get(place.url, headers={"authorization": f"Bearer {bearer}"})


def _fault(reply: Reply) -> TokenRejected | UnusableAnswer:
    refuse_too_large(reply.status)
    if reply.status in (400, 401):
        return TokenRejected(
            Refusal.INACTIVE,
            f"userinfo answered {reply.status}, wanted 200: sign in again, if the token is over or "
            "revoked; else see that it has the scope openid, and of which issuer it is",
        )
    # A proxy's 403 says nothing of the token; the issuer's has a challenge or an error (RFC 6750).
    if reply.status == 403 and (reply.challenge or "error" in (read_object(reply.body) or {})):
        return TokenRejected(
            Refusal.WRONGSCOPE,
            "userinfo answered 403, wanted 200: have the program ask for a scope that shows its "
            "user, such as openid",
        )
    return reply.trouble(f"userinfo answered {reply.status}, wanted 200: see userinfo_endpoint")
