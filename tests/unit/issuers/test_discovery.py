import pytest

from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, UnusableAnswer
from sessiond.issuers.discovery import MAX_AGE, Discovery, Endpoint, Page, Place
from tests.unit.issuers.fake import ISSUER, METADATA, HandClock, IssuerStub

pytestmark = pytest.mark.anyio


async def test_endpoints_come_from_the_metadata(issuer: IssuerStub) -> None:
    issuer.publishes()
    async with issuer.http() as http:
        discovery = issuer.discovery(http)
        found = {name: await discovery.need(name) for name in Endpoint}
    assert found == {
        Endpoint.KEYS: Place(f"{ISSUER}keys"),
        Endpoint.INTROSPECTION: Place(f"{ISSUER}introspect"),
        Endpoint.TOKEN: Place(f"{ISSUER}token"),
        Endpoint.USERINFO: Place(f"{ISSUER}userinfo"),
        Endpoint.REVOCATION: Place(f"{ISSUER}revoke"),
    }
    assert issuer.asked(METADATA) == 1


async def test_nothing_is_asked_before_an_endpoint_is_needed(issuer: IssuerStub) -> None:
    async with issuer.http() as http:
        issuer.discovery(http)
    assert issuer.requests == []


async def test_a_configured_endpoint_needs_no_metadata(issuer: IssuerStub) -> None:
    async with issuer.http() as http:
        discovery = issuer.discovery(http, keys="https://keys.example.com/")
        assert await discovery.need(Endpoint.KEYS) == Place("https://keys.example.com/")
    assert issuer.requests == []


async def test_a_configured_endpoint_overrides_the_metadata_and_leaves_the_others(
    issuer: IssuerStub,
) -> None:
    issuer.publishes()
    async with issuer.http() as http:
        discovery = issuer.discovery(http, keys="https://keys.example.com/", token="")
        assert (await discovery.need(Endpoint.TOKEN)).url == f"{ISSUER}token"
        assert (await discovery.need(Endpoint.KEYS)).url == "https://keys.example.com/"


async def test_the_metadata_may_be_elsewhere(issuer: IssuerStub, clock: HandClock) -> None:
    issuer.says("/elsewhere", {"issuer": ISSUER, "jwks_uri": f"{ISSUER}keys"})
    async with issuer.http() as http:
        discovery = Discovery(http=http, clock=clock, issuer=ISSUER, url=f"{ISSUER}elsewhere")
        assert (await discovery.need(Endpoint.KEYS)).url == f"{ISSUER}keys"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("https://login.example.com", "'https://login.example.com', wanted"),
        ("https://LOGIN.example.com/", "'https://LOGIN.example.com/', wanted"),
        ("https://l\u043egin.example.com/", "'https://l\\u043egin.example.com/', wanted"),
        ("\x1b[2J", "'\\x1b[2J', wanted"),
        ("x" * 9000, f"'{'x' * 199}, wanted"),
        ("", "'', wanted"),
        (1, "1, wanted"),
        (None, "names no issuer, wanted"),
    ],
)
async def test_metadata_of_another_issuer_is_not_believed_and_both_names_are_shown(
    issuer: IssuerStub, name: object, shown: str
) -> None:
    issuer.publishes(issuer=name)
    async with issuer.http() as http:
        with pytest.raises(UnusableAnswer) as raised:
            await issuer.discovery(http).need(Endpoint.KEYS)
    assert f"{shown} '{ISSUER}'" in str(raised.value)
    is_by_slash = name == ISSUER.rstrip("/")
    assert ("they differ by a slash at the end" in str(raised.value)) is is_by_slash


@pytest.mark.parametrize(
    "url",
    ["http://login.example.com/keys", "http://localhost/keys", "keys", "https://a@b/", "", 1, None],
)
async def test_an_endpoint_that_is_no_https_url_is_refused(issuer: IssuerStub, url: object) -> None:
    issuer.publishes(jwks_uri=url)
    async with issuer.http() as http:
        with pytest.raises(IssuerUnavailable, match="jwks_uri"):
            await issuer.discovery(http).need(Endpoint.KEYS)


async def test_an_endpoint_that_the_issuer_lacks_is_none_or_named(issuer: IssuerStub) -> None:
    issuer.says(METADATA, {"issuer": ISSUER})
    async with issuer.http() as http:
        discovery = issuer.discovery(http)
        assert await discovery.find(Endpoint.REVOCATION) is None
        with pytest.raises(IssuerUnavailable, match="introspection_endpoint"):
            await discovery.need(Endpoint.INTROSPECTION)


async def test_an_issuer_without_metadata_is_unavailable(issuer: IssuerStub) -> None:
    async with issuer.http() as http:
        with pytest.raises(IssuerUnavailable, match="404"):
            await issuer.discovery(http).need(Endpoint.KEYS)


async def test_a_throttled_look_at_the_metadata_says_until_when(issuer: IssuerStub) -> None:
    issuer.says(METADATA, {}, status=429, headers={"Retry-After": "9"})
    async with issuer.http() as http:
        with pytest.raises(IssuerThrottled) as raised:
            await issuer.discovery(http).need(Endpoint.KEYS)
    assert raised.value.retry_after == 9.0


async def test_endpoints_are_looked_up_again_and_the_old_ones_serve_meanwhile(
    issuer: IssuerStub, clock: HandClock
) -> None:
    issuer.publishes()
    async with issuer.http() as http:
        discovery = issuer.discovery(http)
        await discovery.need(Endpoint.KEYS)
        clock.pass_(MAX_AGE)
        issuer.says(METADATA, {}, status=503)
        assert (await discovery.need(Endpoint.KEYS)).url == f"{ISSUER}keys"
        clock.pass_(MAX_AGE)
        issuer.publishes(jwks_uri=f"{ISSUER}other")
        assert (await discovery.need(Endpoint.KEYS)).url == f"{ISSUER}other"


async def test_an_endpoint_says_how_clients_may_sign_there(issuer: IssuerStub) -> None:
    issuer.publishes(
        token_endpoint_auth_signing_alg_values_supported=["RS256", 1, "PS256"],
        introspection_endpoint_auth_signing_alg_values_supported=["ES256"],
        revocation_endpoint_auth_signing_alg_values_supported="RS256",
    )
    async with issuer.http() as http:
        discovery = issuer.discovery(http)
        assert (await discovery.need(Endpoint.TOKEN)).signing == ("RS256", "PS256")
        assert (await discovery.need(Endpoint.INTROSPECTION)).signing == ("ES256",)
        assert (await discovery.need(Endpoint.USERINFO)).signing == ("RS256", "PS256")
        assert (await discovery.need(Endpoint.REVOCATION)).signing == ()


async def test_pages_for_browsers_come_from_the_metadata_where_it_has_them(
    issuer: IssuerStub,
) -> None:
    issuer.publishes(authorization_endpoint=f"{ISSUER}authorize", end_session_endpoint=None)
    async with issuer.http() as http:
        discovery = issuer.discovery(http)
        assert await discovery.page(Page.AUTHORIZATION) == f"{ISSUER}authorize"
        assert await discovery.page(Page.END_SESSION) == ""
    assert issuer.asked(METADATA) == 1


@pytest.mark.parametrize("url", ["http://login.example.com/", "javascript:alert(1)", "", 1, {}])
async def test_a_bad_page_is_refused_when_a_browser_is_to_go_there_and_nothing_else_is(
    issuer: IssuerStub, url: object
) -> None:
    issuer.publishes(authorization_endpoint=url)
    async with issuer.http() as http:
        discovery = issuer.discovery(http)
        assert (await discovery.need(Endpoint.KEYS)).url == f"{ISSUER}keys"
        with pytest.raises(UnusableAnswer, match=r"authorization_endpoint .* see the issuer$"):
            await discovery.page(Page.AUTHORIZATION)


@pytest.mark.parametrize(("stated", "states"), [(True, True), (False, False), ("true", False)])
async def test_whether_answers_name_the_issuer_is_in_the_metadata(
    issuer: IssuerStub, stated: object, states: bool
) -> None:
    issuer.publishes(authorization_response_iss_parameter_supported=stated)
    async with issuer.http() as http:
        assert await issuer.discovery(http).states_iss() is states
    issuer.publishes()
    async with issuer.http() as http:
        assert await issuer.discovery(http).states_iss() is False
