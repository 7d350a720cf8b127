"""From a table to what asks for a source's tokens."""

from typing import Any

import pytest

from sessiond.config import IssuerConfig, SourceConfig, read
from sessiond.core.errors import ConfigError, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.issuers.source_build import SourceParts, SourceSecrets, build_source
from sessiond.sources.authorizing import BrowserSignIn
from tests.unit.config.test_issuers import TENANT
from tests.unit.config.test_issuers import issuer as table
from tests.unit.issuers.fake import ISSUER, TLS, IssuerStub, form_of

pytestmark = pytest.mark.anyio
ANSWER = {"access_token": "token", "token_type": "Bearer", "expires_in": 300}


def config(**keys: Any) -> SourceConfig:
    return SourceConfig(**{"name": "quotes", "issuer": "corp", "client_id": "us", **keys})


def corp(**keys: object) -> IssuerConfig:
    (found,) = read(table(**{"issuer": ISSUER, **keys})).issuers
    return found


def built(
    issuer: IssuerStub,
    source: SourceConfig,
    of: IssuerConfig | None,
    secrets: SourceSecrets | None = None,
) -> SourceParts:
    return build_source(
        source,
        of,
        secrets=secrets or SourceSecrets(client=Secret("s3cret")),
        timeout=5.0,
        leeway=30.0,
        clock=issuer.clock,
        tls=TLS,
        network=issuer.network,
    )


async def test_at_an_issuer_its_own_token_endpoint_is_asked(issuer: IssuerStub) -> None:
    issuer.publishes()
    issuer.says("/token", ANSWER)
    parts = built(issuer, config(), corp())
    assert (await parts.tokens.fetch()).access_token.reveal() == "token"
    assert parts.sign_in is None
    assert parts.tokens.identity == f"us at {ISSUER}"


async def test_alone_the_endpoint_of_the_table_is(issuer: IssuerStub) -> None:
    issuer.says("/own", ANSWER)
    alone = config(issuer="", token_endpoint=f"{ISSUER}own")
    await built(issuer, alone, None).tokens.fetch()
    assert [request.url.path for request in issuer.requests] == ["/own"]


async def test_a_password_is_of_the_user_that_is_named(issuer: IssuerStub) -> None:
    issuer.publishes()
    issuer.says("/token", ANSWER)
    both = SourceSecrets(client=Secret("s3cret"), password=Secret("pw"))
    named = config(grant="password", username="svc")
    await built(issuer, named, corp(), both).tokens.fetch()
    form = form_of(issuer.requests[-1])
    assert (form["username"], form["password"]) == ("svc", "pw")
    with pytest.raises(ConfigError, match=r"source.quotes.: password_file is missing"):
        built(issuer, named, corp())


async def test_at_entra_users_tokens_are_handed_on_in_its_way(issuer: IssuerStub) -> None:
    entra = corp(
        kind="entra",
        issuer=f"https://login.microsoftonline.com/{TENANT}/v2.0",
        token_endpoint=f"{ISSUER}token",
    )
    issuer.says("/token", ANSWER)
    await built(issuer, config(grant="on_behalf_of"), entra).tokens.exchange(Secret("alices"))
    assert form_of(issuer.requests[-1])["requested_token_use"] == "on_behalf_of"


def test_without_its_secret_a_source_is_none(issuer: IssuerStub) -> None:
    with pytest.raises(ConfigError, match=r"source.quotes.: client 'us': basic needs a secret"):
        built(issuer, config(), corp(), SourceSecrets())


def signing_in(issuer: IssuerStub, **keys: Any) -> Any:
    parts = built(issuer, config(grant="refresh_token", **keys), corp())
    assert parts.sign_in is not None
    return parts.sign_in


BROWSER = BrowserSignIn(
    redirect_uri="http://127.0.0.1:1/", state="st", nonce="no", verifier=Secret("verifier")
)


async def test_an_operator_is_sent_to_the_issuers_page(issuer: IssuerStub) -> None:
    issuer.publishes(authorization_endpoint=f"{ISSUER}authorize")
    url = await signing_in(issuer, scope="quotes.read", audience="quotes").address(BROWSER)
    assert url.startswith(f"{ISSUER}authorize?audience=quotes&response_type=code&client_id=us")
    assert "code_challenge_method=S256" in url
    assert "prompt" not in url
    asked = await signing_in(issuer, scope="openid offline_access").address(BROWSER)
    assert "prompt=consent" in asked  # OpenID Connect Core 1.0, 11


async def test_what_is_not_wanted_stands_not_in_the_address(issuer: IssuerStub) -> None:
    issuer.publishes(authorization_endpoint=f"{ISSUER}authorize")
    assert "scope" not in await signing_in(issuer).address(BROWSER)


async def test_a_code_is_redeemed_with_what_proves_who_asked(issuer: IssuerStub) -> None:
    issuer.publishes()
    issuer.says("/token", {**ANSWER, "refresh_token": "brought"})
    tokens = await signing_in(issuer).redeem("code", BROWSER)
    assert tokens.refresh_token.reveal() == "brought"
    form = form_of(issuer.requests[-1])
    assert (form["code"], form["code_verifier"]) == ("code", "verifier")
    assert await signing_in(issuer).iss_fault("https://other.example.com") != ""


async def test_a_device_code_is_shown_where_the_issuer_has_them(issuer: IssuerStub) -> None:
    issuer.publishes()
    with pytest.raises(UnusableAnswer, match="has no device codes"):
        await signing_in(issuer).prompt()
    issuer.publishes(device_authorization_endpoint=f"{ISSUER}device")
    code = {"device_code": "secret", "user_code": "ABCD", "verification_uri": f"{ISSUER}d"}
    issuer.says("/device", code)
    issuer.says("/token", {**ANSWER, "refresh_token": "brought"})
    prompt = await signing_in(issuer, scope="quotes.read").prompt()
    assert (prompt.user_code, prompt.url) == ("ABCD", f"{ISSUER}d")
    assert form_of(issuer.requests[-1])["scope"] == "quotes.read"
    assert "secret" not in repr(prompt)
    assert (await prompt.finish()).refresh_token is not None
