"""An issuer for tests: well, badly, in process and on loopback."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio
import httpx
import pytest
import trustme
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


async def test_a_body_comes_byte_by_byte_or_for_ever_by_the_clock_and_a_dropped_one_not_at_all(
    client: httpx.AsyncClient, issuer: FakeIssuer, clock: FakeClock
) -> None:
    got: list[bytes] = []

    async def get() -> None:
        async with client.stream("GET", f"{issuer.url}/keys") as answer:
            got.extend([chunk async for chunk in answer.aiter_raw()])

    async with anyio.create_task_group() as tasks:
        issuer.fail("keys", pace=1, body=b"abc")
        tasks.start_soon(get)
        await clock.advance(3)
        assert got == [b"a", b"b", b"c"]
        issuer.fail("keys", endless=True, pace=1)
        tasks.start_soon(get)
        await clock.advance(3600)
        assert len(got) == 3
        tasks.cancel_scope.cancel()
    issuer.fail("keys", drop=True)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(f"{issuer.url}/keys")


async def test_what_is_answered_badly_is_not_done(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    issued = issuer.sign_in()
    issuer.fail("token", status=500, times=1)
    assert (await refreshed(client, issuer, issued.refresh.reveal())).status_code == 500
    assert (await refreshed(client, issuer, issued.refresh.reveal())).status_code == 200
    assert issuer.calls("token") == 2
    assert issuer.calls("/elsewhere") == 0


async def test_an_answer_can_have_other_headers(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    issuer.fail("keys", status=302, headers={"Location": "elsewhere", "Content-Type": "text/html"})
    answer = await client.get(f"{issuer.url}/keys")
    assert (answer.status_code, answer.headers["Location"]) == (302, "elsewhere")


async def test_where_reuse_is_detected_it_ends_the_whole_sign_in(clock: FakeClock) -> None:
    issuer = FakeIssuer(clock=clock, detects_reuse=True)
    first = issuer.sign_in().refresh.reveal()
    async with issuer.client() as client:
        second = (await refreshed(client, issuer, first)).json()["refresh_token"]
        for token in (first, second):
            assert (await refreshed(client, issuer, token)).json() == {"error": "invalid_grant"}


async def test_users_sign_in_with_passwords_where_it_has_some(clock: FakeClock) -> None:
    told: list[tuple[str, int]] = []
    issuer = FakeIssuer(
        clock=clock,
        claims={"scope": "read", "jti": None},
        life=60,
        client="app",
        passwords={"bob": "builder"},
        on_answer=lambda asked, answer: told.append((asked.path, answer.status)),
    )
    form = {"grant_type": "password", "client_id": "app", "username": "bob", "password": "builder"}
    async with issuer.client() as client:

        async def answered(**other: str) -> httpx.Response:
            return await client.post(f"{issuer.url}/token", data={**form, **other})

        given = (await answered(resource="api://other")).json()
        claims = (await claims_of(client, issuer, Secret(given["access_token"]))).claims
        assert (claims["aud"], claims["scope"], given["expires_in"]) == ("api://other", "read", 60)
        assert issuer.user_of(Secret(given["refresh_token"])) == "bob"
        assert issuer.user_of(Secret("unknown")) == ""
        assert (await answered(password="wrong")).json() == {"error": "invalid_grant"}
        assert (await answered(client_id="other")).json() == {"error": "invalid_client"}
        issuer.disable("bob")
        assert (await answered()).json() == {"error": "invalid_grant"}
        again = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
        assert (await answered(**again)).json() == {"error": "invalid_grant"}
    assert told[0] == ("/token", 200)
    assert told[-1] == ("/token", 400)


async def test_a_refresh_brings_other_tokens_where_that_is_wanted(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    issuer.bring(expires_in=30, skew=-10, answer={"refresh_token": None, "more": 1}, sub="eve")
    given = (await refreshed(client, issuer, issuer.sign_in().refresh.reveal())).json()
    claims = (await claims_of(client, issuer, Secret(given.pop("access_token")))).claims
    assert given == {"token_type": "Bearer", "expires_in": 30, "more": 1}
    now = int(START.timestamp())
    assert (claims["iat"], claims["exp"], claims["sub"]) == (now - 10, now + 20, "eve")


async def test_its_clock_and_its_metadata_can_be_wrong(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    issuer.skew = 60.0
    claims = (await claims_of(client, issuer, issuer.issue())).claims
    assert claims["iat"] == int(START.timestamp()) + 60
    issuer.publish(jwks_uri="https://other.example.com/keys", userinfo_endpoint=None)
    told = await metadata(client, issuer)
    assert told["jwks_uri"] == "https://other.example.com/keys"
    assert "userinfo_endpoint" not in told


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
    with issuer.serve() as url, httpx.Client(trust_env=False) as client:
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


def test_on_loopback_connections_are_closed_and_bodies_never_end() -> None:
    issuer = FakeIssuer()
    with issuer.serve() as url, httpx.Client(trust_env=False) as client:
        issuer.fail("keys", drop=True, times=1)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(f"{url}/keys")
        issuer.fail("keys", endless=True, times=1)
        with client.stream("GET", f"{url}/keys") as answer:
            assert [next(answer.iter_raw(1)) for _ in range(1)] == [b"{"]
        issuer.fail("keys", pace=0.001, body=b"abc")
        assert client.get(f"{url}/keys").text == "abc"
        answer = client.post(f"{url}/token", content=b"x" * 70_000)
        assert answer.json() == {"error": "unsupported_grant_type"}


def test_on_loopback_it_shows_the_certificate_that_it_is_given() -> None:
    authority = trustme.CA()
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(shown)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    issuer = FakeIssuer()
    client = httpx.Client(verify=trust, trust_env=False)
    with issuer.serve(tls=lambda: shown) as url, client:
        assert url.startswith("https://localhost:")
        assert client.get(f"{url}/keys").json() == issuer.keys()
