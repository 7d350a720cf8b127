"""A person signs in at a fake issuer with a browser: codes, PKCE, and what its page does."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import KeySet

from sessiond.api import Secret
from sessiond.testing import START, FakeClock, FakeIssuer

pytestmark = pytest.mark.anyio

CLIENT, BACK = "app", "http://127.0.0.1:54321/callback"
VERIFIER = "v" * 43
WANTED = {
    "response_type": "code",
    "client_id": CLIENT,
    "redirect_uri": BACK,
    "scope": "openid",
    "state": "a-state",
    "nonce": "a-nonce",
    "code_challenge": create_s256_code_challenge(VERIFIER),
    "code_challenge_method": "S256",
}
ALICE = {"user": "alice", "password": "wonderland"}
REDEEMS = {
    "grant_type": "authorization_code",
    "client_id": CLIENT,
    "redirect_uri": BACK,
    "code_verifier": VERIFIER,
}


@pytest.fixture
def issuer(clock: FakeClock) -> FakeIssuer:
    return FakeIssuer(clock=clock, client=CLIENT, passwords={"alice": "wonderland"})


@pytest.fixture
async def browser(issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    async with issuer.client() as client:
        client.base_url = httpx.URL(issuer.url)
        yield client


def page_of(**other: str | None) -> str:
    """Return the address that a client opens."""
    wanted = {name: value for name, value in {**WANTED, **other}.items() if value is not None}
    return f"/authorization?{urlencode(wanted)}"


def told(answer: httpx.Response) -> dict[str, str]:
    """Return what the browser is sent back to its client with."""
    assert answer.status_code == 303, answer.text
    there = urlsplit(answer.headers["Location"])
    assert f"{there.scheme}://{there.netloc}{there.path}" == BACK
    return dict(parse_qsl(there.query))


async def test_a_password_on_the_page_gives_a_code_and_the_code_gives_tokens(
    issuer: FakeIssuer, browser: httpx.AsyncClient
) -> None:
    page = await browser.get(page_of())
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    back = told(await browser.post(page_of(), data=ALICE))
    code = back.pop("code")
    assert back == {"state": "a-state", "iss": issuer.url}

    given = (await browser.post("/token", data={**REDEEMS, "code": code})).json()
    keys = KeySet.import_key_set((await browser.get("/keys")).json())
    claims = jwt.decode(given["id_token"], keys, algorithms=["ES256"]).claims
    now = int(START.timestamp())
    subject = claims.pop("sub")
    assert claims == {
        "iss": issuer.url,
        "aud": CLIENT,
        "nonce": "a-nonce",
        "preferred_username": "alice",
        "iat": now,
        "exp": now + 300,
        "auth_time": now,
    }
    access = jwt.decode(given["access_token"], keys, algorithms=["ES256"]).claims
    assert (access["sub"], access["client_id"], access["auth_time"]) == (subject, CLIENT, now)
    assert issuer.user_of(Secret(given["refresh_token"])) == "alice"


async def test_who_does_not_ask_for_openid_gets_no_id_token(browser: httpx.AsyncClient) -> None:
    asked = page_of(scope="read", resource="api://other")
    code = told(await browser.post(asked, data=ALICE))["code"]
    given = (await browser.post("/token", data={**REDEEMS, "code": code})).json()
    assert "id_token" not in given
    keys = KeySet.import_key_set((await browser.get("/keys")).json())
    access = jwt.decode(given["access_token"], keys, algorithms=["ES256"])
    assert access.claims["aud"] == "api://other"


async def test_a_code_that_comes_twice_ends_what_came_of_it(browser: httpx.AsyncClient) -> None:
    code = told(await browser.post(page_of(), data=ALICE))["code"]
    given = (await browser.post("/token", data={**REDEEMS, "code": code})).json()
    again = await browser.post("/token", data={**REDEEMS, "code": code})
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    refused = await browser.post("/token", data={**refresh, "client_id": CLIENT})
    assert refused.json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "other",
    [
        {"code": "unknown"},
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:1/callback"},
    ],
)
async def test_a_code_is_good_only_with_what_it_was_asked_with(
    browser: httpx.AsyncClient, other: dict[str, str]
) -> None:
    code = told(await browser.post(page_of(), data=ALICE))["code"]
    refused = await browser.post("/token", data={**REDEEMS, "code": code, **other})
    assert refused.json() == {"error": "invalid_grant"}


async def test_a_code_is_good_for_a_minute_and_while_its_user_may_sign_in(
    issuer: FakeIssuer, browser: httpx.AsyncClient, clock: FakeClock
) -> None:
    codes = [told(await browser.post(page_of(), data=ALICE))["code"] for _ in range(2)]
    issuer.disable("alice")
    refused = await browser.post("/token", data={**REDEEMS, "code": codes[0]})
    assert refused.json() == {"error": "invalid_grant"}
    await clock.advance(60)
    late = await browser.post("/token", data={**REDEEMS, "code": codes[1]})
    assert late.json() == {"error": "invalid_grant"}


@pytest.mark.parametrize("answer", [{**ALICE, "password": "x"}, {"user": "", "password": ""}, {}])
async def test_a_wrong_password_shows_the_page_again(
    browser: httpx.AsyncClient, answer: dict[str, str]
) -> None:
    page = await browser.post(page_of(), data=answer)
    assert page.status_code == 200
    assert "Wrong name or password" in page.text
    assert "wonderland" not in page.text
    assert "set-cookie" not in page.headers


async def test_the_browser_is_remembered_so_that_nobody_is_asked_twice(
    issuer: FakeIssuer, browser: httpx.AsyncClient
) -> None:
    silent = page_of(prompt="none")
    assert told(await browser.get(silent))["error"] == "login_required"
    told(await browser.post(page_of(), data=ALICE))
    assert "code" in told(await browser.get(silent))
    assert "code" in told(await browser.get(page_of()))
    assert (await browser.get(page_of(prompt="login"))).status_code == 200
    issuer.disable("alice")
    assert told(await browser.get(silent))["error"] == "login_required"


async def test_a_password_that_was_typed_too_long_ago_is_asked_for_again(
    browser: httpx.AsyncClient, clock: FakeClock
) -> None:
    told(await browser.post(page_of(), data=ALICE))
    await clock.advance(61)
    recent = page_of(prompt="none", max_age="60")
    assert told(await browser.get(recent))["error"] == "login_required"
    assert "code" in told(await browser.get(page_of(prompt="none", max_age="62")))
    assert "code" in told(await browser.post(page_of(max_age="60"), data=ALICE))


async def test_who_does_not_want_to_is_sent_back_with_that(browser: httpx.AsyncClient) -> None:
    back = told(await browser.post(page_of(), data={"answer": "deny"}))
    assert (back["error"], back["state"]) == ("access_denied", "a-state")


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
    ],
)
async def test_what_is_asked_wrongly_goes_back_as_an_error(
    browser: httpx.AsyncClient, other: dict[str, str | None], error: str
) -> None:
    assert told(await browser.get(page_of(**other)))["error"] == error


@pytest.mark.parametrize(
    "other",
    [
        {"client_id": "another"},
        {"client_id": "<b>"},
        {"redirect_uri": None},
        {"redirect_uri": "ftp://127.0.0.1:5/callback"},
        {"redirect_uri": "http://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:5/callback#there"},
        {"redirect_uri": "http://[::1/callback"},
        {"redirect_uri": "http://127.0.0.1:5/\r\nSet-Cookie: fake-issuer=another"},
        {"redirect_uri": "http://127.0.0.1:5/\u20ac"},
    ],
)
async def test_a_browser_is_never_sent_where_no_client_of_this_machine_is(
    browser: httpx.AsyncClient, other: dict[str, str | None]
) -> None:
    for answer in (await browser.get(page_of(**other)), await browser.post(page_of(**other))):
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "<b>" not in answer.text


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:1", "http://[::1]:2", "http://localhost", "https://localhost:5007"]
)
async def test_any_port_of_loopback_will_do(browser: httpx.AsyncClient, origin: str) -> None:
    uri = f"{origin}/?mine=1"
    answer = await browser.post(page_of(redirect_uri=uri), data=ALICE)
    assert answer.headers["Location"].startswith(f"{uri}&code=")


async def test_a_cookie_that_is_none_of_ours_is_nobodys(browser: httpx.AsyncClient) -> None:
    for cookie in ("fake-issuer=stranger", "fake-issuer", "\x00=;;", "a=b"):
        answer = await browser.get(page_of(prompt="none"), headers={"Cookie": cookie})
        assert told(answer)["error"] == "login_required"


def test_a_stock_library_signs_in_on_loopback() -> None:
    issuer = FakeIssuer(client=CLIENT, passwords={"alice": "wonderland"})
    with (
        issuer.serve() as url,
        OAuth2Client(
            client_id=CLIENT,
            token_endpoint_auth_method="none",
            redirect_uri=BACK,
            code_challenge_method="S256",
            scope="openid",
            trust_env=False,
        ) as client,
    ):
        verifier = generate_token(48)
        address, state = client.create_authorization_url(
            f"{url}/authorization", code_verifier=verifier
        )
        back = httpx.post(address, data=ALICE, trust_env=False).headers["Location"]
        token = client.fetch_token(
            f"{url}/token", authorization_response=back, state=state, code_verifier=verifier
        )
        assert issuer.user_of(Secret(token["access_token"])) == "alice"
        client.revoke_token(f"{url}/revocation", token["refresh_token"])
        assert issuer.calls("revocation") == 1


async def test_a_client_may_say_who_it_is_by_basic_authentication(
    browser: httpx.AsyncClient,
) -> None:
    code = told(await browser.post(page_of(), data=ALICE))["code"]
    redeems = {**REDEEMS, "code": code}
    del redeems["client_id"]
    refused = await browser.post("/token", data=redeems, auth=("another", "secret"))
    assert refused.json() == {"error": "invalid_client"}
    for proof in ("", "Basic !", "Basic /w==", "Bearer app"):
        refused = await browser.post("/token", data=redeems, headers={"Authorization": proof})
        assert refused.json() == {"error": "invalid_client"}
    given = await browser.post("/token", data=redeems, auth=(CLIENT, "secret"))
    assert given.status_code == 200


async def test_who_signs_out_is_remembered_no_more(
    issuer: FakeIssuer, browser: httpx.AsyncClient
) -> None:
    metadata = (await browser.get("/.well-known/openid-configuration")).json()
    there = metadata["end_session_endpoint"]
    assert there == f"{issuer.url}/end_session"
    told(await browser.post(page_of(), data=ALICE))
    leaving = {"client_id": CLIENT, "post_logout_redirect_uri": BACK}
    question = await browser.get(there, params=leaving)
    assert "Sign out of this issuer" in question.text
    stays = await browser.post(there, params=leaving, data={"answer": "deny"})
    assert "still signed in" in stays.text
    assert "code" in told(await browser.get(page_of(prompt="none")))

    left = await browser.post(there, params=leaving)

    assert (left.status_code, left.headers["Location"]) == (303, BACK)
    assert told(await browser.get(page_of(prompt="none")))["error"] == "login_required"
    assert "You are signed out" in (await browser.post(there)).text


async def test_a_sign_out_brings_the_state_back(browser: httpx.AsyncClient) -> None:
    for uri, back in ((BACK, f"{BACK}?state=s"), (f"{BACK}?a=b", f"{BACK}?a=b&state=s")):
        asked = {"post_logout_redirect_uri": uri, "state": "s"}
        assert (await browser.post("/end_session", params=asked)).headers["Location"] == back


@pytest.mark.parametrize(
    "asked",
    [
        {"client_id": "<b>"},
        {"post_logout_redirect_uri": "https://evil.example/"},
        {"post_logout_redirect_uri": "http://127.0.0.1:5/\r\nSet-Cookie: fake-issuer=another"},
    ],
)
async def test_a_sign_out_leads_to_no_client_elsewhere(
    browser: httpx.AsyncClient, asked: dict[str, str]
) -> None:
    for answer in (
        await browser.get("/end_session", params=asked),
        await browser.post("/end_session", params=asked),
    ):
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "<b>" not in answer.text
