"""Which of our clients redeems and refreshes what, and how it proves itself."""

from base64 import b64decode

import pytest

from sessiond.config import IssuerConfig, WebClientConfig
from sessiond.core.errors import ConfigError, RefreshRefused, SignInRefused
from sessiond.core.secret import Secret
from sessiond.issuers.build import Issuer, RefreshLimits, build_issuer
from sessiond.issuers.entra import EntraTokens
from sessiond.issuers.our_clients import ClientSecrets
from tests.unit.issuers.fake import ISSUER, TLS, IssuerStub, form_of
from tests.unit.jwt.forge import RSA

pytestmark = pytest.mark.anyio

WEB = WebClientConfig(client_id="kdb-web")
REFUSED = {"error": "invalid_grant"}


def built(
    issuer: IssuerStub,
    /,
    *,
    web: WebClientConfig | None = WEB,
    secrets: ClientSecrets | None = None,
    **keys: object,
) -> Issuer:
    given: dict[str, object] = {
        "name": "corp",
        "issuer": ISSUER,
        "verify": "jwt",
        "audience": ("api://kdb",),
        "client_auth": "post",
        **keys,
    }
    issuer.publishes(authorization_endpoint=f"{ISSUER}authorize")
    issuer.says("/token", REFUSED, status=400)
    return build_issuer(
        IssuerConfig(web=web, **given),  # type: ignore[arg-type]
        leeway=30.0,
        refresh=RefreshLimits(timeout=10.0, concurrency=16),
        secrets=secrets or ClientSecrets(),
        clock=issuer.clock,
        tls=TLS,
        network=issuer.network,
    )


def secrets(
    *, client: str | None = None, refresh: str | None = None, web: str | None = None
) -> ClientSecrets:
    found = {"client": client, "refresh": refresh, "web": web}
    return ClientSecrets(**{name: Secret(each) for name, each in found.items() if each is not None})


async def redeemed_as(parts: Issuer, issuer: IssuerStub) -> dict[str, str]:
    """Return what a code was sent with."""
    assert parts.web is not None
    with pytest.raises(SignInRefused):
        await parts.web.redeem(
            code="code", redirect_uri="https://back/", verifier=Secret("v"), nonce="n"
        )
    return form_of(issuer.requests[-1])


async def refreshed_as(parts: Issuer, issuer: IssuerStub) -> dict[str, str]:
    """Return what a refresh token that came by the browser was sent with."""
    assert parts.web is not None
    with pytest.raises(RefreshRefused):
        await parts.web.tokens.refresh(Secret("r"))
    return form_of(issuer.requests[-1])


def test_without_the_table_nobody_signs_in_by_the_browser(issuer: IssuerStub) -> None:
    assert built(issuer, web=None).web is None


@pytest.mark.parametrize(
    ("web", "ids", "given", "secret"),
    [
        ("kdb-web", {}, secrets(), None),
        ("kdb-web", {}, secrets(web="w"), "w"),
        ("kdb-web", {}, secrets(client="c", refresh="r"), None),  # they are others'
        ("kdb-web", {"refresh_client_id": "qstudio"}, secrets(refresh="r", web="w"), "w"),
        ("sessiond", {}, secrets(client="c"), "c"),
        ("sessiond", {}, secrets(client="c", web="w"), "w"),
        ("sessiond", {"client_auth": "none"}, secrets(client="c"), None),
        ("qstudio", {"refresh_client_id": "qstudio"}, secrets(client="c", refresh="r"), "r"),
    ],
)
async def test_a_web_client_proves_itself_by_its_own_secret_or_by_that_of_the_registration_it_is(
    issuer: IssuerStub, web: str, ids: dict[str, str], given: ClientSecrets, secret: str | None
) -> None:
    parts = built(issuer, web=WebClientConfig(client_id=web), secrets=given, **ids)
    for form in (await redeemed_as(parts, issuer), await refreshed_as(parts, issuer)):
        assert (form["client_id"], form.get("client_secret")) == (web, secret)


async def test_one_registration_refreshes_alike_whichever_key_has_its_secret(
    issuer: IssuerStub,
) -> None:
    web = WebClientConfig(client_id="qstudio")
    parts = built(issuer, web=web, secrets=secrets(web="w"), refresh_client_id="qstudio")
    with pytest.raises(RefreshRefused):
        await parts.tokens.refresh(Secret("r"))
    assert form_of(issuer.requests[-1])["client_secret"] == "w"


async def test_where_our_own_client_has_no_secret_a_web_client_uses_basic(
    issuer: IssuerStub,
) -> None:
    parts = built(issuer, secrets=secrets(web="w"), client_auth="none")
    await redeemed_as(parts, issuer)
    header = issuer.requests[-1].headers["authorization"].removeprefix("Basic ")
    assert b64decode(header).decode() == "kdb-web:w"


async def test_what_was_granted_by_the_browser_is_refreshed_as_it_was_granted(
    issuer: IssuerStub,
) -> None:
    web = WebClientConfig(
        client_id="kdb-web", parameters={"resource": "api://kdb", "audience": "x"}
    )
    parts = built(issuer, web=web, refresh_scope="offline_access session.login")
    assert await refreshed_as(parts, issuer) == {
        "grant_type": "refresh_token",
        "refresh_token": "r",
        "client_id": "kdb-web",
        "resource": "api://kdb",
    }
    with pytest.raises(RefreshRefused):
        await parts.tokens.refresh(Secret("r"))
    form = form_of(issuer.requests[-1])
    assert (form["client_id"], form["scope"]) == ("sessiond", "offline_access session.login")


async def test_entra_refreshes_what_the_browser_got_with_the_scope_that_it_asked_for(
    issuer: IssuerStub,
) -> None:
    web = WebClientConfig(client_id="kdb-web", scope="openid offline_access api://kdb/login")
    parts = built(
        issuer, web=web, kind="entra", issuer=f"{ISSUER}tenant/v2.0", refresh_scope="api://kdb/x"
    )
    assert parts.web is not None
    assert isinstance(parts.web.tokens, EntraTokens)
    assert parts.web.tokens._scopes == ["api://kdb/login"]


async def test_a_key_for_a_secret_is_refused_before_anybody_signs_in(issuer: IssuerStub) -> None:
    given = secrets(web="no key", client=RSA.as_pem(private=True).decode())
    with pytest.raises(ConfigError, match=r"issuer\[corp\]: the client's key cannot be used"):
        built(issuer, secrets=given, client_auth="private_key_jwt")


async def test_sign_ins_have_connections_of_their_own(issuer: IssuerStub) -> None:
    parts = built(issuer)
    assert parts.web is not None
    assert parts.web._http not in (parts.connections[0], parts.connections[1])
    assert parts.web._http in parts.connections


async def test_tokens_of_the_web_client_are_for_us_where_only_our_clients_are(
    issuer: IssuerStub,
) -> None:
    parts = built(
        issuer,
        verify="introspection",
        audience=(),
        refresh_client_id="qstudio",
        secrets=secrets(client="c"),
    )
    active = {"active": True, "token_type": "Bearer", "sub": "a-1", "preferred_username": "a@b"}
    for client in ("qstudio", "kdb-web"):
        issuer.says("/introspect", {**active, "client_id": client})
        verdict = await parts.verifier.verify(Secret("opaque"), now=issuer.clock.now())
        assert verdict.principal.subject == "a-1"
