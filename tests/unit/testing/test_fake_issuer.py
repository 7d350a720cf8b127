"""An issuer for tests: well, badly, in process and on loopback."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio
import httpx
import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet

from sessiond.api import Secret
from sessiond.testing import START, FakeClock, FakeIssuer

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> FakeIssuer:
    return FakeIssuer(clock=clock)


@pytest.fixture
async def client(issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    async with issuer.client() as client:
        yield client


async def metadata(client: httpx.AsyncClient, issuer: FakeIssuer) -> dict[str, str]:
    found = await client.get(f"{issuer.url}/.well-known/openid-configuration")
    told: dict[str, str] = found.json()
    return told


async def claims_of(client: httpx.AsyncClient, issuer: FakeIssuer, token: Secret) -> jwt.Token:
    ends = await metadata(client, issuer)
    keys = KeySet.import_key_set((await client.get(ends["jwks_uri"])).json())
    return jwt.decode(token.reveal(), keys, algorithms=["ES256"])


async def refreshed(client: httpx.AsyncClient, issuer: FakeIssuer, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await client.post((await metadata(client, issuer))["token_endpoint"], data=form)


async def test_its_tokens_are_signed_with_the_key_that_it_publishes(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    token = issuer.issue("bob", roles=("trader",), expires_in=60, desk="rates", jti=None)
    told = await claims_of(client, issuer, token)
    now = int(START.timestamp())
    assert told.header["typ"] == "at+jwt"
    subject = told.claims.pop("sub")
    assert told.claims == {
        "iss": issuer.url,
        "aud": "api://kdb",
        "client_id": "qstudio",
        "iat": now,
        "exp": now + 60,
        "preferred_username": "bob",
        "roles": ["trader"],
        "desk": "rates",
    }
    assert (await claims_of(client, issuer, issuer.issue("bob"))).claims["sub"] == subject


async def test_a_strangers_signature_is_not_its_own(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    with pytest.raises(BadSignatureError):
        await claims_of(client, issuer, issuer.issue(by_stranger=True))


@pytest.mark.parametrize(("withdraw", "is_known"), [(True, False), (False, True)])
async def test_an_earlier_key_is_withdrawn_or_stays_known(
    client: httpx.AsyncClient, issuer: FakeIssuer, withdraw: bool, is_known: bool
) -> None:
    earlier = issuer.issue()
    issuer.rotate_keys(withdraw=withdraw)
    await claims_of(client, issuer, issuer.issue())
    found = False
    with suppress(InvalidKeyIdError):
        found = bool(await claims_of(client, issuer, earlier))
    assert found is is_known


async def test_a_refresh_token_is_good_once(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    issued = issuer.sign_in("bob", expires_in=60)
    answer = (await refreshed(client, issuer, issued.refresh.reveal())).json()
    assert answer["expires_in"] == issued.expires_in == 60
    told = await claims_of(client, issuer, Secret(answer["access_token"]))
    assert told.claims["preferred_username"] == "bob"
    again = await refreshed(client, issuer, issued.refresh.reveal())
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    assert (await refreshed(client, issuer, answer["refresh_token"])).status_code == 200
    other = await client.post(f"{issuer.url}/token", data={"grant_type": "password"})
    assert other.json() == {"error": "unsupported_grant_type"}


async def test_introspection_and_userinfo_know_a_token_until_it_is_over(
    client: httpx.AsyncClient, issuer: FakeIssuer, clock: FakeClock
) -> None:
    async def asked(token: Secret) -> tuple[bool, int]:
        ends = await metadata(client, issuer)
        introspected = await client.post(
            ends["introspection_endpoint"], data={"token": token.reveal()}
        )
        bearer = {"Authorization": f"Bearer {token.reveal()}"}
        user = await client.get(ends["userinfo_endpoint"], headers=bearer)
        if user.status_code == 200:
            assert user.json()["preferred_username"] == "alice"
            assert "exp" not in user.json()
        return introspected.json()["active"], user.status_code

    opaque, revoked = issuer.issue(is_opaque=True, expires_in=60), issuer.issue()
    assert "." not in opaque.reveal()
    assert await asked(opaque) == await asked(revoked) == (True, 200)
    await client.post(f"{issuer.url}/revocation", data={"token": revoked.reveal()})
    assert await asked(revoked) == (False, 401)
    assert await asked(opaque) == (True, 200)
    await clock.advance(60)
    assert await asked(opaque) == (False, 401)
    assert await asked(Secret("unknown")) == (False, 401)


async def test_who_is_revoked_cannot_refresh(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    issued = issuer.sign_in()
    issuer.revoke(issued.access)
    issuer.revoke(Secret("unknown"))
    assert (await refreshed(client, issuer, issued.refresh.reveal())).status_code == 400


async def test_faults_last_as_often_as_they_are_to(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    keys = f"{issuer.url}/keys"
    issuer.fail("keys", status=500, times=2)
    assert [(await client.get(keys)).status_code for _ in range(3)] == [500, 500, 200]
    issuer.fail("keys", status=429, retry_after=30)
    answer = await client.get(keys)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    issuer.fail("keys", body=b"<html>")
    assert (await client.get(keys)).text == "<html>"
    issuer.mend()
    assert "keys" in (await client.get(keys)).json()
    issuer.fail("token", error="invalid_grant")
    refused = await refreshed(client, issuer, issuer.sign_in().refresh.reveal())
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})
    issuer.fail("token", error="invalid_client", status=401)
    refused = await refreshed(client, issuer, "x")
    assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})
    with pytest.raises(ValueError, match="no endpoint 'tokens'; there are: discovery"):
        issuer.fail("tokens", status=500)


async def test_a_slow_answer_comes_by_the_clock_and_a_hanging_one_never(
    client: httpx.AsyncClient, issuer: FakeIssuer, clock: FakeClock
) -> None:
    got: list[int] = []

    async def get() -> None:
        got.append((await client.get(f"{issuer.url}/keys")).status_code)

    async with anyio.create_task_group() as tasks:
        issuer.fail("keys", delay=5, times=1)
        tasks.start_soon(get)
        await clock.advance(4.9)
        assert got == []
        await clock.advance(0.1)
        assert got == [200]
        issuer.fail("keys", hang=True)
        tasks.start_soon(get)
        await clock.advance(3600)
        assert got == [200]
        tasks.cancel_scope.cancel()


async def test_what_was_asked_is_there_to_be_looked_at(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    await client.post(f"{issuer.url}/introspection", data={"token": "x"}, auth=("me", "secret"))
    (asked,) = issuer.asked
    assert (asked.method, asked.path, asked.form) == ("POST", "/introspection", {"token": "x"})
    assert asked.headers["authorization"].startswith("Basic ")
    assert (await client.get(f"{issuer.url}/elsewhere")).status_code == 404


def test_it_can_be_asked_on_loopback() -> None:
    issuer = FakeIssuer()
    with issuer.serve() as url, httpx.Client() as client:
        assert url == issuer.url
        ends = client.get(f"{url}/.well-known/openid-configuration").json()
        keys = KeySet.import_key_set(client.get(ends["jwks_uri"]).json())
        token = issuer.issue().reveal()
        assert jwt.decode(token, keys, algorithms=["ES256"]).claims["iss"] == url
        answer = client.post(ends["introspection_endpoint"], data={"token": token})
        assert json.loads(answer.content)["active"] is True
        issuer.fail("keys", status=503, retry_after=2, delay=0.01)
        assert client.get(f"{url}/keys").headers["retry-after"] == "2"
        issuer.fail("keys", hang=True)
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{url}/keys", timeout=0.05)
