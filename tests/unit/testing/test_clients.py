"""Programs at a fake issuer: tokens of their own, for those that show their secret."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from sessiond.testing import FakeIssuer

pytestmark = pytest.mark.anyio

ASKED = {"grant_type": "client_credentials", "scope": "quotes.read"}
SHOWN = {"client_id": "feeds", "client_secret": "s3cret"}


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer(client="qstudio", programs={"feeds": "s3cret"})


@pytest.fixture
async def http(issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    async with issuer.client() as http:
        yield http


async def asked(http: httpx.AsyncClient, issuer: FakeIssuer, **form: str) -> httpx.Response:
    return await http.post(f"{issuer.url}/token", data={**ASKED, **form})


async def test_a_program_gets_a_token_that_stands_for_itself_and_no_refresh_token(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    answer: dict[str, Any] = (await asked(http, issuer, **SHOWN, resource="api://quotes")).json()
    assert set(answer) == {"access_token", "token_type", "expires_in"}
    keys = KeySet.import_key_set((await http.get(f"{issuer.url}/keys")).json())
    claims = jwt.decode(answer["access_token"], keys, algorithms=["ES256"]).claims
    assert (claims["sub"], claims["client_id"], claims["aud"]) == ("feeds", "feeds", "api://quotes")
    assert claims["scope"] == "quotes.read"
    assert "preferred_username" not in claims


async def test_its_secret_may_come_in_the_basic_header(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    def header(pair: bytes) -> dict[str, str]:
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}

    url = f"{issuer.url}/token"
    assert (await http.post(url, data=ASKED, headers=header(b"feeds:s3cret"))).status_code == 200
    refused = await http.post(url, data=ASKED, headers=header(b"feeds:another"))
    assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")  # RFC 6749, 5.2


@pytest.mark.parametrize(
    ("shown", "error"),
    [
        ({"client_id": "feeds", "client_secret": "another"}, "invalid_client"),
        ({"client_id": "feeds"}, "invalid_client"),
        ({"client_id": "nobody", "client_secret": "s3cret"}, "invalid_client"),
        ({"client_id": "qstudio", "client_secret": "s3cret"}, "unauthorized_client"),
        ({}, "invalid_client"),
    ],
)
async def test_others_get_none(
    http: httpx.AsyncClient, issuer: FakeIssuer, shown: dict[str, str], error: str
) -> None:
    refused = await asked(http, issuer, **shown)
    assert (refused.status_code, refused.json()) == (400, {"error": error})


async def test_one_that_is_disabled_gets_no_more(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    issuer.disable("feeds")
    assert (await asked(http, issuer, **SHOWN)).json() == {"error": "unauthorized_client"}


async def test_where_no_program_is_known_the_grant_is_none() -> None:
    issuer = FakeIssuer()
    async with issuer.client() as http:
        assert (await asked(http, issuer, **SHOWN)).json() == {"error": "unsupported_grant_type"}


async def test_people_sign_in_beside_them(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    form = {"grant_type": "refresh_token", "client_id": "qstudio"}
    form |= {"refresh_token": issuer.sign_in().refresh.reveal()}
    assert (await http.post(f"{issuer.url}/token", data=form)).status_code == 200
