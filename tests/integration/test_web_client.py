"""The web client of an issuer against npm's oidc-provider: codes, ID tokens, refreshes, logouts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from sessiond.clock import SystemClock
from sessiond.config import IssuerConfig, WebClientConfig
from sessiond.core.errors import (
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    SignInRefused,
    TokenRejected,
)
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.issuers.authorization_code import AuthorizationCodeGrant
from sessiond.issuers.build import Issuer, RefreshLimits, build_issuer
from sessiond.issuers.http import trust
from sessiond.issuers.our_clients import ClientSecrets
from sessiond.web.web_client import AuthorizationRequest, Redeemed
from tests import canary
from tests.issuer.browser import walk
from tests.issuer.running import ALICE, API, BOB, RunningIssuer, usual_password

pytestmark = pytest.mark.anyio

SECRET = "kdb-web-secret"
BASE = "https://gateway.example.com:5007"
BACK = f"{BASE}/.sessiond/callback"
BEGUN = AuthorizationRequest(
    redirect_uri=BACK, state="state-1", nonce="nonce-1", verifier=Secret("verifier-" * 6)
)


@dataclass(frozen=True)
class Stage:
    """A web client, the issuer that it is registered at, and browsers."""

    parts: Issuer
    issuer: RunningIssuer

    @property
    def web(self) -> AuthorizationCodeGrant:
        assert self.parts.web is not None
        return self.parts.web

    async def sent_back(
        self, user: str = ALICE, begun: AuthorizationRequest = BEGUN, **form: str
    ) -> dict[str, str]:
        """Return the query that a browser comes back with, once somebody has signed in."""
        url = await self.web.authorization_url(begun)
        filled = {"login": user, "password": usual_password(user), **form}
        with self.issuer._client() as browser:
            return walk(browser, browser.get(url), filled)

    async def redeem(self, code: str, begun: AuthorizationRequest = BEGUN) -> Redeemed:
        redeemed = await self.web.redeem(
            code=code,
            redirect_uri=begun.redirect_uri,
            verifier=begun.verifier,
            nonce=begun.nonce,
        )
        for token in (redeemed.tokens.access_token, redeemed.tokens.refresh_token):
            assert token is not None
            canary.remember(token.reveal(), "a token by the browser")
        return redeemed

    async def verdict(self, access: Secret) -> Verdict:
        return await self.parts.verifier.verify(access, now=SystemClock().now())


@asynccontextmanager
async def staged(
    issuer: RunningIssuer,
    client: str = "kdb-web",
    secret: str | None = SECRET,
    **keys: object,
) -> AsyncIterator[Stage]:
    issuer.control.register_web_bases(BASE)
    table: dict[str, object] = {
        "name": "corp",
        "issuer": issuer.issuer,
        "verify": "jwt",
        "audience": (API,),
        "insecure_http": issuer.ca_file is None,
        "web": WebClientConfig(client_id=client),
        **keys,
    }
    parts = build_issuer(
        IssuerConfig(**table),  # type: ignore[arg-type]
        leeway=30.0,
        refresh=RefreshLimits(timeout=10.0, concurrency=4),
        secrets=ClientSecrets(web=None if secret is None else Secret(secret)),
        clock=SystemClock(),
        tls=trust(str(issuer.ca_file or "")),
    )
    try:
        yield Stage(parts, issuer)
    finally:
        await parts.close()


@pytest.mark.parametrize(("client", "secret"), [("kdb-web", SECRET), ("kdb-web-public", None)])
async def test_a_code_is_redeemed_its_grant_refreshed_and_given_back(
    strict_issuer: RunningIssuer, client: str, secret: str | None
) -> None:
    async with staged(strict_issuer, client, secret) as stage:
        back = await stage.sent_back()
        assert (back["state"], await stage.web.iss_fault(back["iss"])) == ("state-1", "")
        redeemed = await stage.redeem(back["code"])
        first = await stage.verdict(redeemed.tokens.access_token)
        assert (first.principal.name, first.principal.subject) == (ALICE, redeemed.subject)
        assert redeemed.tokens.refresh_token is not None
        refreshed = await stage.web.tokens.refresh(redeemed.tokens.refresh_token)
        canary.remember(refreshed.access_token.reveal(), "a token by the browser")
        assert (await stage.verdict(refreshed.access_token)).principal == first.principal
        assert refreshed.refresh_token is not None
        assert await stage.web.tokens.revoke(refreshed.refresh_token)
        with pytest.raises(RefreshRefused, match="invalid_grant"):
            await stage.web.tokens.refresh(refreshed.refresh_token)


async def test_entra_gives_tokens_of_the_api_by_the_browser_and_at_each_refresh(
    tls_issuer: RunningIssuer,
) -> None:
    """A refresh there that does not name the API is answered with a token for Graph."""
    web = WebClientConfig(
        client_id="kdb-web-public",
        scope="openid profile offline_access api://kdb/session.login",
        parameters={"prompt": "consent"},  # oidc-provider leaves offline_access out without it
    )
    async with staged(
        tls_issuer,
        secret=None,
        web=web,
        kind="entra",
        typ=("JWT",),
        subject_claim="oid",
    ) as stage:
        redeemed = await stage.redeem((await stage.sent_back())["code"])
        first = await stage.verdict(redeemed.tokens.access_token)
        assert first.principal.subject == redeemed.subject
        assert redeemed.tokens.refresh_token is not None
        refreshed = await stage.web.tokens.refresh(redeemed.tokens.refresh_token)
        canary.remember(refreshed.access_token.reveal(), "a token by the browser")
        assert (await stage.verdict(refreshed.access_token)).principal == first.principal


async def test_a_refresh_token_by_the_browser_is_refused_to_peoples_programs(
    strict_issuer: RunningIssuer,
) -> None:
    async with staged(strict_issuer) as stage:
        redeemed = await stage.redeem((await stage.sent_back())["code"])
        assert redeemed.tokens.refresh_token is not None
        answer = strict_issuer.refresh(redeemed.tokens.refresh_token.reveal(), client="qstudio")
        assert answer.json()["error"] == "invalid_grant"


async def test_a_code_is_good_once_and_a_second_time_ends_what_the_first_brought(
    strict_issuer: RunningIssuer,
) -> None:
    async with staged(strict_issuer) as stage:
        code = (await stage.sent_back())["code"]
        redeemed = await stage.redeem(code)
        with pytest.raises(SignInRefused) as refused:
            await stage.redeem(code)
        assert refused.value.error == "invalid_grant"
        assert redeemed.tokens.refresh_token is not None
        with pytest.raises(RefreshRefused):
            await stage.web.tokens.refresh(redeemed.tokens.refresh_token)


@pytest.mark.parametrize(
    "other",
    [
        replace(BEGUN, verifier=Secret("another-verifier-" * 3)),
        replace(BEGUN, redirect_uri=f"{BASE}/elsewhere"),
    ],
)
async def test_a_code_of_another_browser_or_for_another_place_is_worth_nothing(
    strict_issuer: RunningIssuer, other: AuthorizationRequest
) -> None:
    async with staged(strict_issuer) as stage:
        code = (await stage.sent_back())["code"]
        with pytest.raises(SignInRefused) as refused:
            await stage.redeem(code, other)
        assert refused.value.error == "invalid_grant"


async def test_a_code_of_another_sign_in_lets_nobody_in_and_what_it_brought_is_given_back(
    strict_issuer: RunningIssuer,
) -> None:
    """The verifier is a thief's own here: the ID token's nonce alone tells."""
    async with staged(strict_issuer) as stage:
        code = (await stage.sent_back(BOB, replace(BEGUN, nonce="bobs")))["code"]
        with pytest.raises(TokenRejected) as rejected:
            await stage.redeem(code)
        assert rejected.value.reason is Refusal.USERMISMATCH
        assert strict_issuer.control.calls("/revoke") == 1


async def test_whoever_denies_comes_back_with_that(strict_issuer: RunningIssuer) -> None:
    async with staged(strict_issuer) as stage:
        back = await stage.sent_back(decision="deny")
        assert (back["error"], back["state"]) == ("access_denied", "state-1")
        assert await stage.web.iss_fault(back["iss"]) == ""


async def test_an_answer_without_its_issuer_is_not_taken_where_they_all_name_it(
    strict_issuer: RunningIssuer,
) -> None:
    async with staged(strict_issuer) as stage:
        assert "iss is missing" in await stage.web.iss_fault(None)
        assert "iss is" in await stage.web.iss_fault("https://evil.example.com/")


@pytest.mark.parametrize(
    ("client", "secret"), [("kdb-web", "wrong"), ("kdb-web", None), ("nobody", "s")]
)
async def test_a_client_that_the_issuer_does_not_take_is_told_as_ours(
    strict_issuer: RunningIssuer, client: str, secret: str | None
) -> None:
    async with staged(strict_issuer, client, secret) as stage:
        with pytest.raises(SignInRefused, match=r"invalid_client: check \[issuer\.web\]"):
            await stage.redeem("some-code")


async def test_a_disabled_users_code_is_refused(strict_issuer: RunningIssuer) -> None:
    async with staged(strict_issuer) as stage:
        code = (await stage.sent_back())["code"]
        strict_issuer.control.disable(ALICE)
        with pytest.raises(SignInRefused) as refused:
            await stage.redeem(code)
        assert refused.value.error == "invalid_grant"


@pytest.mark.parametrize("fault", ["drop", "html"])
async def test_a_code_is_sent_once_whatever_becomes_of_the_answer(
    strict_issuer: RunningIssuer, fault: str
) -> None:
    async with staged(strict_issuer) as stage:
        code = (await stage.sent_back())["code"]
        strict_issuer.control.fault("/token", fault)
        with pytest.raises(IssuerUnavailable):
            await stage.redeem(code)
        assert strict_issuer.control.calls("/token") == 1


async def test_a_person_is_asked_to_sign_in_again_where_a_process_wants_it_fresh(
    strict_issuer: RunningIssuer,
) -> None:
    begun = replace(BEGUN, max_age=0)
    async with staged(strict_issuer) as stage:
        with strict_issuer._client() as browser:
            form = {"login": ALICE, "password": usual_password(ALICE)}
            url = await stage.web.authorization_url(BEGUN)
            walk(browser, browser.get(url), form)
            again = browser.get(await stage.web.authorization_url(begun))
            shown = browser.get(httpx.URL(str(again.url)).join(again.headers["location"]))
            assert 'name="prompt" value="login"' in shown.text


async def test_the_issuer_shows_a_page_to_sign_out_and_takes_the_way_back(
    strict_issuer: RunningIssuer,
) -> None:
    async with staged(strict_issuer) as stage:
        url = await stage.web.end_session_url(BACK)
        assert dict(parse_qsl(urlsplit(url).query))["client_id"] == "kdb-web"
        with strict_issuer._client() as browser:
            page = browser.get(url)
            assert (page.status_code, "<form" in page.text) == (200, True)
            refused = browser.get(await stage.web.end_session_url("https://evil.example.com/"))
            assert refused.status_code == 400
