"""A person signs a device in at a fake issuer: codes (RFC 8628), and the page that takes them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import KeySet

from sessiond.testing import FakeClock, FakeIssuer

pytestmark = pytest.mark.anyio

CLIENT = "app"
ALICE = {"user": "alice", "password": "wonderland"}


@pytest.fixture
def issuer(clock: FakeClock) -> FakeIssuer:
    return FakeIssuer(clock=clock, client=CLIENT, passwords={"alice": "wonderland"})


@pytest.fixture
async def http(issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    async with issuer.client() as client:
        client.base_url = httpx.URL(issuer.url)
        yield client


async def begun(http: httpx.AsyncClient, **other: str) -> dict[str, Any]:
    """Return what a device is told that begins."""
    form = {"client_id": CLIENT, "scope": "openid", **other}
    answer = await http.post("/device_authorization", data=form)
    codes: dict[str, Any] = answer.json()
    return codes


async def asked(http: httpx.AsyncClient, device_code: str, **other: str) -> dict[str, str]:
    """Return what it is told that asks for its tokens."""
    kind = "urn:ietf:params:oauth:grant-type:device_code"
    form = {"grant_type": kind, "device_code": device_code, "client_id": CLIENT, **other}
    said: dict[str, str] = (await http.post("/token", data=form)).json()
    return said


async def test_a_device_is_let_in_by_the_person_who_has_its_code(
    issuer: FakeIssuer, http: httpx.AsyncClient, clock: FakeClock
) -> None:
    codes = await begun(http, resource="api://other")
    assert codes["verification_uri"] == f"{issuer.url}/device"
    assert (codes["expires_in"], codes["interval"]) == (600, 1)
    assert await asked(http, codes["device_code"]) == {"error": "authorization_pending"}
    assert await asked(http, codes["device_code"]) == {"error": "slow_down"}
    await clock.advance(1)
    assert await asked(http, codes["device_code"]) == {"error": "authorization_pending"}

    page = await http.get(codes["verification_uri_complete"])
    assert codes["user_code"] in page.text
    typed = codes["user_code"].replace("-", " ").lower()
    done = await http.post("/device", data={**ALICE, "code": typed})
    assert "You can close this page" in done.text

    given = await asked(http, codes["device_code"])
    keys = KeySet.import_key_set((await http.get("/keys")).json())
    identity = jwt.decode(given["id_token"], keys, algorithms=["ES256"]).claims
    assert (identity["preferred_username"], identity["aud"]) == ("alice", CLIENT)
    assert "nonce" not in identity
    access = jwt.decode(given["access_token"], keys, algorithms=["ES256"]).claims
    assert access["aud"] == "api://other"
    assert await asked(http, codes["device_code"]) == {"error": "invalid_grant"}


async def test_a_browser_that_remembers_its_person_asks_for_no_password(
    http: httpx.AsyncClient,
) -> None:
    first, second = await begun(http), await begun(http)
    await http.post("/device", data={**ALICE, "code": first["user_code"]})
    assert "You are alice." in (await http.get("/device")).text
    await http.post("/device", data={"code": second["user_code"]})
    assert "access_token" in await asked(http, second["device_code"])


async def test_who_does_not_want_it_denies_it(http: httpx.AsyncClient) -> None:
    codes = await begun(http)
    page = await http.post("/device", data={"code": codes["user_code"], "answer": "deny"})
    assert "Denied" in page.text
    assert await asked(http, codes["device_code"]) == {"error": "access_denied"}


async def test_a_wrong_code_or_password_lets_nothing_in(http: httpx.AsyncClient) -> None:
    codes = await begun(http)
    for wrong in ({**ALICE, "code": "<b>"}, {**ALICE, "password": "x"}, {"user": "alice"}):
        page = await http.post("/device", data={"code": codes["user_code"], **wrong})
        assert 'role="alert"' in page.text
        assert "<b>" not in page.text
    assert await asked(http, codes["device_code"]) == {"error": "authorization_pending"}


async def test_codes_end(http: httpx.AsyncClient, clock: FakeClock) -> None:
    codes = await begun(http)
    await clock.advance(600)
    page = await http.post("/device", data={**ALICE, "code": codes["user_code"]})
    assert "No device waits with this code." in page.text
    assert await asked(http, codes["device_code"]) == {"error": "expired_token"}
    assert await asked(http, "unknown") == {"error": "invalid_grant"}


async def test_another_client_gets_nothing(http: httpx.AsyncClient) -> None:
    assert await begun(http, client_id="other") == {"error": "invalid_client"}
    codes = await begun(http)
    stolen = await asked(http, codes["device_code"], client_id="other")
    assert stolen == {"error": "invalid_client"}


async def test_whoever_asks_is_a_client_where_none_was_named_but_codes_stay_their_own() -> None:
    issuer = FakeIssuer(passwords={"alice": "wonderland"})
    async with issuer.client() as http:
        http.base_url = httpx.URL(issuer.url)
        codes = await begun(http)
        stolen = await asked(http, codes["device_code"], client_id="other")
        assert stolen == {"error": "invalid_grant"}


async def test_a_challenge_that_came_with_the_request_wants_its_verifier(
    http: httpx.AsyncClient,
) -> None:
    verifier = "v" * 43
    codes = await begun(http, code_challenge=create_s256_code_challenge(verifier))
    await http.post("/device", data={**ALICE, "code": codes["user_code"]})
    assert await asked(http, codes["device_code"]) == {"error": "invalid_grant"}
    assert "access_token" in await asked(http, codes["device_code"], code_verifier=verifier)
