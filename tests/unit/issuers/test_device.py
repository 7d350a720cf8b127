"""Device codes (RFC 8628): asked for, shown, and waited for as the issuer wants it."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx
import pytest

from sessiond.core.errors import SignInRefused, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client
from sessiond.issuers.device import (
    GRANT,
    MAX_LIFE,
    DeviceCode,
    DeviceEndpoints,
    DeviceGrant,
    device_endpoints,
)
from sessiond.issuers.discovery import Place
from tests.unit.issuers.fake import ISSUER, METADATA, HandClock, IssuerStub, form_of

pytestmark = pytest.mark.anyio

DEVICE, TOKEN = "/device", "/token"
CODE = {
    "device_code": "d-123",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://login.example.com/go",
    "verification_uri_complete": "https://login.example.com/go?c=ABCD-EFGH",
    "expires_in": 600,
    "interval": 3,
}
TOKENS = {"access_token": "a" * 30, "token_type": "Bearer", "expires_in": 3600}


@pytest.fixture
def stub() -> IssuerStub:
    stub = IssuerStub(HandClock())
    stub.says(DEVICE, CODE)
    return stub


def grant(stub: IssuerStub, *, pkce: bool = False, secret: str = "") -> DeviceGrant:
    client = Client(
        client_id="qstudio",
        method="basic" if secret else "none",
        secret=Secret(secret) if secret else None,
        clock=stub.clock,
    )
    endpoints = DeviceEndpoints(
        Place("https://login.example.com/device"), Place("https://login.example.com/token"), pkce
    )
    return DeviceGrant(http=stub.http(), endpoints=endpoints, client=client, clock=stub.clock)


def in_turn(stub: IssuerStub, *answers: tuple[int, object] | Exception) -> None:
    """Have the token endpoint answer these, one after the other."""
    left = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        said = left.pop(0)
        if isinstance(said, Exception):
            raise said
        return httpx.Response(said[0], json=said[1])

    stub.on(TOKEN, answer)


def error(code: str, **more: str) -> tuple[int, object]:
    return 400, {"error": code, **more}


async def signed_in(stub: IssuerStub, **options: Any) -> str:
    device = grant(stub, **options)
    tokens = await device.finish(await device.begin({"scope": "kdb"}))
    return tokens.access_token.reveal()


async def test_the_endpoints_are_those_of_the_metadata(stub: IssuerStub) -> None:
    url = f"{ISSUER.rstrip('/')}{METADATA}"
    stub.publishes()
    assert await device_endpoints(stub.http(), issuer=ISSUER, url=url) is None
    stub.publishes(device_authorization_endpoint=f"{ISSUER}device")
    found = await device_endpoints(stub.http(), issuer=ISSUER, url=url)
    assert found == DeviceEndpoints(Place(f"{ISSUER}device"), Place(f"{ISSUER}token"), False)
    stub.publishes(
        device_authorization_endpoint=f"{ISSUER}device",
        code_challenge_methods_supported=["plain", "S256"],
    )
    other = f"{ISSUER}other"
    found = await device_endpoints(stub.http(), issuer=ISSUER, url=url, token_endpoint=other)
    assert found == DeviceEndpoints(Place(f"{ISSUER}device"), Place(other), True)


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "https://evil.example.org/"},
        {"device_authorization_endpoint": "http://login.example.com/device"},
        {"device_authorization_endpoint": 5},
        {"device_authorization_endpoint": f"{ISSUER}device", "token_endpoint": None},
    ],
)
async def test_metadata_that_is_not_in_order_sends_nobody_anywhere(
    stub: IssuerStub, members: dict[str, object]
) -> None:
    stub.publishes(**members)
    url = f"{ISSUER.rstrip('/')}{METADATA}"
    with pytest.raises(UnusableAnswer):
        await device_endpoints(stub.http(), issuer=ISSUER, url=url)


async def test_a_code_is_asked_for_with_what_is_wanted_and_no_secret(stub: IssuerStub) -> None:
    code = await grant(stub).begin({"scope": "kdb", "resource": "api://kdb"})
    assert (code.user_code, code.url) == ("ABCD-EFGH", "https://login.example.com/go")
    assert code.complete_url.endswith("?c=ABCD-EFGH")
    assert (code.expires_in, code.interval) == (600, 3)
    assert form_of(stub.requests[0]) == {
        "client_id": "qstudio",
        "scope": "kdb",
        "resource": "api://kdb",
    }
    assert "d-123" not in repr(code)


async def test_a_confidential_program_proves_itself(stub: IssuerStub) -> None:
    in_turn(stub, (200, TOKENS))
    assert await signed_in(stub, secret="s") == "a" * 30
    assert all(each.headers["authorization"].startswith("Basic ") for each in stub.requests)


async def test_with_pkce_only_who_asked_gets_the_token(stub: IssuerStub) -> None:
    in_turn(stub, (200, TOKENS))
    await signed_in(stub, pkce=True)
    begun, finished = map(form_of, stub.requests)
    digest = sha256(finished["code_verifier"].encode()).digest()
    assert begun["code_challenge"] == urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert begun["code_challenge_method"] == "S256"
    assert "code_verifier" not in begun


async def test_the_token_is_waited_for_at_the_issuers_pace(stub: IssuerStub) -> None:
    in_turn(
        stub,
        error("authorization_pending"),
        error("slow_down"),
        TimeoutError("no answer"),
        (429, {}),
        (200, TOKENS),
    )
    assert await signed_in(stub) == "a" * 30
    # 3 s as it says; 5 s more after slow_down; twice as long after silence (RFC 8628, 3.5).
    assert stub.clock.slept == [3, 3, 8, 16, 16]
    assert form_of(stub.requests[-1]) == {
        "grant_type": GRANT,
        "device_code": "d-123",
        "client_id": "qstudio",
    }


@pytest.mark.parametrize("code", ["access_denied", "expired_token", "invalid_client"])
async def test_a_refusal_ends_it_with_its_code(stub: IssuerStub, code: str) -> None:
    in_turn(stub, error(code, error_description="AADSTS7000218:\r\n no \x1b[2Jsecret"))
    with pytest.raises(SignInRefused) as refused:
        await signed_in(stub)
    assert refused.value.error == code
    assert str(refused.value) == f"the issuer says {code}: AADSTS7000218: no \\x1b[2Jsecret"


async def test_a_client_that_gets_no_code_is_told_why(stub: IssuerStub) -> None:
    stub.says(DEVICE, {"error": "unauthorized_client"}, status=401)
    with pytest.raises(SignInRefused, match=r"^the issuer says unauthorized_client$"):
        await grant(stub).begin({})


async def test_nobody_is_waited_for_longer_than_the_code_is_good(stub: IssuerStub) -> None:
    stub.on(TOKEN, lambda _: httpx.Response(400, json={"error": "authorization_pending"}))
    with pytest.raises(SignInRefused) as refused:
        await signed_in(stub)
    assert refused.value.error == "expired_token"
    assert sum(stub.clock.slept) == 600


@pytest.mark.parametrize(
    "answer",
    [
        (400, []),
        (400, {"error": 5}),
        (400, {"error": "a\nb"}),
        (200, {"access_token": "a b"}),
        (200, {"access_token": "a" * 30, "token_type": "DPoP"}),
    ],
)
async def test_an_answer_of_no_kind_is_none(stub: IssuerStub, answer: tuple[int, object]) -> None:
    in_turn(stub, answer)
    with pytest.raises(UnusableAnswer):
        await signed_in(stub)


@pytest.mark.parametrize(
    "members",
    [
        {"device_code": None},
        {"device_code": "a b"},
        {"user_code": "\x1b"},
        {"verification_uri": ""},
    ],
)
async def test_a_code_that_cannot_be_shown_is_not(
    stub: IssuerStub, members: dict[str, object]
) -> None:
    stub.says(DEVICE, CODE | members)
    with pytest.raises(UnusableAnswer):
        await grant(stub).begin({})


Has = Callable[[DeviceCode], bool]


@pytest.mark.parametrize(
    ("members", "has"),
    [
        ({"interval": None}, lambda code: code.interval == 5),
        ({"interval": True}, lambda code: code.interval == 5),
        ({"interval": 0}, lambda code: code.interval == 1),
        ({"interval": 1e300}, lambda code: code.interval == 60),
        ({"expires_in": "600"}, lambda code: code.expires_in == MAX_LIFE),
        ({"verification_uri_complete": 5}, lambda code: code.complete_url == ""),
    ],
)
async def test_odd_members_are_brought_within_bounds(
    stub: IssuerStub, members: dict[str, object], has: Has
) -> None:
    stub.says(DEVICE, CODE | members)
    assert has(await grant(stub).begin({}))


async def test_the_drafts_name_of_the_url_is_known(stub: IssuerStub) -> None:
    google = {key: value for key, value in CODE.items() if key != "verification_uri"}
    stub.says(DEVICE, google | {"verification_url": "https://google.example.com/device"})
    assert (await grant(stub).begin({})).url == "https://google.example.com/device"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,<form>",
        "file:///etc/passwd",
        "http://login.example.com/go",
        "https://login.example.com@evil.example.org/go",
        "evil.example.org/go",
    ],
)
async def test_nobody_is_sent_to_sign_in_where_a_token_would_not_be_sent(
    stub: IssuerStub, url: str
) -> None:
    stub.says(DEVICE, {**CODE, "verification_uri": url})
    with pytest.raises(UnusableAnswer, match="verification_uri"):
        await grant(stub).begin({})
    stub.says(DEVICE, {**CODE, "verification_uri_complete": url})
    assert (await grant(stub).begin({})).complete_url == ""


async def test_a_page_may_have_its_place_after_a_hash(stub: IssuerStub) -> None:
    stub.says(DEVICE, {**CODE, "verification_uri": "https://login.example.com/#/device"})
    assert (await grant(stub).begin({})).url == "https://login.example.com/#/device"
