import logging
from functools import partial

import anyio
import httpx
import msal
import pytest

from sessiond.core.errors import (
    ConfigError,
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    UnusableAnswer,
)
from sessiond.core.secret import Secret
from sessiond.issuers.entra import EntraTokens
from sessiond.issuers.token_endpoint import FINAL
from sessiond.refresher import Tokens, TokenSource
from tests.unit.issuers.fake import HandClock, IssuerStub, form_of

pytestmark = pytest.mark.anyio

HOST = "https://login.example.com"
METADATA = "/tenant/v2.0/.well-known/openid-configuration"
TOKEN = "/tenant/oauth2/v2.0/token"
SCOPE = "api://kdb/session.login"
REFRESH = Secret("1.refresh!*$token-1234567")
ANSWER: dict[str, object] = {
    "access_token": "new-access-token",
    "token_type": "Bearer",
    "expires_in": 3599,
    "ext_expires_in": 3599,
    "scope": SCOPE,
    "refresh_token": "1.new-refresh-token",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def issuer() -> IssuerStub:
    entra = IssuerStub(HandClock())
    publish(entra)
    entra.says(TOKEN, ANSWER)
    return entra


def publish(entra: IssuerStub, host: str = HOST) -> None:
    entra.says(
        METADATA,
        {
            "issuer": f"{host}/tenant/v2.0",
            "authorization_endpoint": f"{host}/tenant/oauth2/v2.0/authorize",
            "token_endpoint": f"{host}{TOKEN}",
            "jwks_uri": f"{host}/tenant/discovery/v2.0/keys",
        },
    )


def source_of(
    issuer: IssuerStub, *, host: str = HOST, scope: str = SCOPE, secret: Secret | None = None
) -> EntraTokens:
    return EntraTokens(
        http=issuer.http(),
        clock=issuer.clock,
        issuer=f"{host}/tenant/v2.0",
        client_id="qstudio",
        client_secret=secret,
        scope=scope,
        threads=8,
    )


async def test_a_refresh_token_is_spent_for_new_tokens(issuer: IssuerStub) -> None:
    part: TokenSource = source_of(issuer)
    tokens = await part.refresh(REFRESH)
    assert tokens.access_token.reveal() == "new-access-token"
    assert tokens.refresh_token is not None
    assert tokens.refresh_token.reveal() == "1.new-refresh-token"
    assert tokens.expires_in == 3599.0
    sent = form_of(issuer.requests[-1])
    assert (sent["grant_type"], sent["client_id"]) == ("refresh_token", "qstudio")
    assert sent["refresh_token"] == REFRESH.reveal()
    assert set(sent["scope"].split()) == {SCOPE, "openid", "profile", "offline_access"}
    assert "client_secret" not in sent


async def test_a_confidential_client_sends_its_secret(issuer: IssuerStub) -> None:
    await source_of(issuer, secret=Secret("s3cret")).refresh(REFRESH)
    assert form_of(issuer.requests[-1])["client_secret"] == "s3cret"


def test_a_private_key_is_not_sent_as_a_secret(issuer: IssuerStub) -> None:
    with pytest.raises(ConfigError, match="key"):
        source_of(issuer, secret=Secret("-----BEGIN PRIVATE KEY-----\n..."))


async def test_scopes_that_msal_adds_itself_may_be_configured(issuer: IssuerStub) -> None:
    await source_of(issuer, scope=f"openid {SCOPE} offline_access").refresh(REFRESH)
    assert SCOPE in form_of(issuer.requests[-1])["scope"].split()


@pytest.mark.parametrize("scope", ["", "openid profile"])
async def test_nothing_is_refreshed_without_a_scope_for_that_would_be_a_graph_token(
    issuer: IssuerStub, scope: str
) -> None:
    with pytest.raises(IssuerUnavailable, match="refresh_scope"):
        await source_of(issuer, scope=scope).refresh(REFRESH)
    assert issuer.requests == []


async def test_nothing_is_asked_before_it_is_needed_and_the_tenant_only_once(
    issuer: IssuerStub,
) -> None:
    part = source_of(issuer)
    assert issuer.requests == []
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(part.refresh, Secret(f"refresh-token-of-user-{number}"))
    assert issuer.asked(METADATA) == 1
    assert issuer.asked(TOKEN) == 20


@pytest.mark.parametrize("host", [HOST, "https://login.microsoftonline.com"])
async def test_nobody_but_the_issuer_is_asked(issuer: IssuerStub, host: str) -> None:
    publish(issuer, host)
    await source_of(issuer, host=host).refresh(REFRESH)
    assert {request.url.host for request in issuer.requests} == {httpx.URL(host).host}
    assert len(issuer.requests) == 2


async def test_the_users_of_one_client_are_not_mixed(issuer: IssuerStub) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        mine = form_of(request)["refresh_token"]
        return httpx.Response(
            200, json={**ANSWER, "access_token": f"for-{mine}", "refresh_token": f"next-{mine}"}
        )

    issuer.on(TOKEN, answer)
    part = source_of(issuer)
    got: dict[str, Tokens] = {}

    async def refresh(name: str) -> None:
        got[name] = await part.refresh(Secret(name))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(refresh, f"user-{number}")
    assert {name: tokens.access_token.reveal() for name, tokens in got.items()} == {
        f"user-{number}": f"for-user-{number}" for number in range(20)
    }


async def test_msal_keeps_no_token(issuer: IssuerStub) -> None:
    part = source_of(issuer)
    await part.refresh(REFRESH)
    application = part._application.newest
    assert application is not None
    assert application.token_cache._cache == {}


async def test_what_is_wrong_beside_the_tokens_does_not_lose_them(issuer: IssuerStub) -> None:
    odd = {"id_token": "no token", "client_info": "%%%", "refresh_in": "1800", "foci": 1}
    issuer.says(TOKEN, {**ANSWER, **odd, "expires_in": "3599"})
    tokens = await source_of(issuer).refresh(REFRESH)
    assert tokens.access_token.reveal() == "new-access-token"
    assert tokens.expires_in == 3599.0


@pytest.mark.parametrize("error", sorted(FINAL))
async def test_a_final_error_is_a_refusal(issuer: IssuerStub, error: str) -> None:
    said = {"error": error, "error_description": "AADSTS70000: ...", "error_codes": [70000]}
    issuer.says(TOKEN, said, status=400)
    with pytest.raises(RefreshRefused) as raised:
        await source_of(issuer).refresh(REFRESH)
    assert raised.value.error == error


async def test_entras_numbers_come_through_msal(issuer: IssuerStub) -> None:
    said = {"error": "invalid_resource", "error_description": "x", "error_codes": [500011]}
    issuer.says(TOKEN, said, status=400)
    with pytest.raises(IssuerUnavailable, match=r"invalid_resource \(AADSTS500011\)"):
        await source_of(issuer).refresh(REFRESH)


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "invalid_scope"])
async def test_an_error_of_ours_is_an_alarm_and_no_refusal(issuer: IssuerStub, error: str) -> None:
    issuer.says(TOKEN, {"error": error}, status=401)
    with pytest.raises(IssuerUnavailable, match=f"{error}.*configuration"):
        await source_of(issuer).refresh(REFRESH)


async def test_a_refusal_is_not_asked_for_twice_in_a_minute(issuer: IssuerStub) -> None:
    issuer.says(TOKEN, {"error": "invalid_grant"}, status=400)
    part = source_of(issuer)
    for _ in range(3):
        with pytest.raises(RefreshRefused):
            await part.refresh(REFRESH)
    assert issuer.asked(TOKEN) == 1


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, {}),
        (200, {"token_type": "Bearer"}),
        (200, {**ANSWER, "access_token": 1}),
        (200, {**ANSWER, "refresh_token": 1}),
        (200, {"error": "invalid_grant"}),
        (200, b"[]"),
        (200, b"null"),
        (200, b"<html>"),
        (200, b""),
        (302, {}),
        (400, b"<html>"),
        (400, {}),
        (400, {"error": None}),
        (400, {"error": {"code": "invalid_grant"}}),
        (500, {"error": "invalid_grant"}),
        (503, b""),
    ],
)
async def test_any_other_answer_is_no_verdict(
    issuer: IssuerStub, status: int, content: object
) -> None:
    issuer.says(TOKEN, content, status=status)
    with pytest.raises(IssuerUnavailable):
        await source_of(issuer).refresh(REFRESH)


@pytest.mark.parametrize("status", [400, 429, 503])
async def test_retry_after_is_obeyed(issuer: IssuerStub, status: int) -> None:
    issuer.says(
        TOKEN, {"error": "temporarily_unavailable"}, status=status, headers={"Retry-After": "21"}
    )
    kind = UnusableAnswer if status < 429 else IssuerThrottled
    with pytest.raises(kind) as raised:
        await source_of(issuer).refresh(REFRESH)
    assert raised.value.retry_after == 21.0  # type: ignore[attr-defined]


async def test_a_final_error_stays_one_with_a_retry_after(issuer: IssuerStub) -> None:
    issuer.says(TOKEN, {"error": "invalid_grant"}, status=400, headers={"Retry-After": "21"})
    with pytest.raises(RefreshRefused):
        await source_of(issuer).refresh(REFRESH)


@pytest.mark.parametrize(
    ("status", "content"),
    [(503, {}), (400, {"error": "invalid_tenant"}), (200, {}), (200, b"<html>"), (404, b"")],
)
async def test_a_tenant_that_cannot_be_looked_up_is_looked_up_again_later(
    issuer: IssuerStub, status: int, content: object
) -> None:
    issuer.says(METADATA, content, status=status)
    part = source_of(issuer)
    with pytest.raises(IssuerUnavailable):
        await part.refresh(REFRESH)
    assert issuer.asked(TOKEN) == 0
    publish(issuer)
    assert (await part.refresh(REFRESH)).access_token.reveal() == "new-access-token"


async def test_a_token_endpoint_that_is_not_https_gets_nothing(issuer: IssuerStub) -> None:
    publish(issuer, "http://login.example.com")
    with pytest.raises(IssuerUnavailable):
        await source_of(issuer).refresh(REFRESH)
    assert issuer.asked(TOKEN) == 0


async def test_an_issuer_that_is_not_https_is_given_up(issuer: IssuerStub) -> None:
    with pytest.raises(IssuerUnavailable, match="MSAL"):
        await source_of(issuer, host="http://login.example.com").refresh(REFRESH)
    assert issuer.requests == []


async def test_a_cancelled_refresh_ends_at_once_and_frees_its_thread(issuer: IssuerStub) -> None:
    asked, cancelled = anyio.Event(), anyio.Event()

    async def never(_: httpx.Request) -> httpx.Response:
        asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    issuer.on(TOKEN, never)
    part = source_of(issuer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(part.refresh, REFRESH)
        await asked.wait()
        tasks.cancel_scope.cancel()
    assert cancelled.is_set()
    assert part._threads.borrowed_tokens == 0
    issuer.says(TOKEN, ANSWER)
    assert (await part.refresh(REFRESH)).expires_in == 3599.0


@pytest.mark.parametrize(
    "content",
    [b'{"access_token": "very-secret', b"very-secret", {**ANSWER, "id_token": "very-secret"}],
)
async def test_no_token_reaches_a_log_or_an_error(
    issuer: IssuerStub, caplog: pytest.LogCaptureFixture, content: object
) -> None:
    issuer.says(TOKEN, content)
    caplog.set_level(logging.DEBUG)
    error = ""
    try:
        await source_of(issuer).refresh(REFRESH)
    except IssuerUnavailable as unavailable:
        error = str(unavailable)
    for text in (error, caplog.text):
        assert "very-secret" not in text
        assert "new-access-token" not in text
        assert REFRESH.reveal() not in text


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        [],
        {},
        "text",
        msal.exceptions.MsalServiceError("very-secret", error="e", error_description="very-secret"),
        ValueError("very-secret"),
        AttributeError("very-secret"),
        KeyError("very-secret"),
        RuntimeError("very-secret"),
        AssertionError("very-secret"),
    ],
)
async def test_whatever_msal_does_is_an_answer_or_unavailable(
    issuer: IssuerStub, monkeypatch: pytest.MonkeyPatch, outcome: object
) -> None:
    def acquire(*_: object, **__: object) -> object:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(msal.PublicClientApplication, "acquire_token_by_refresh_token", acquire)
    with pytest.raises(IssuerUnavailable) as raised:
        await source_of(issuer).refresh(REFRESH)
    assert "very-secret" not in str(raised.value)
    assert raised.value.__context__ is None


async def test_entra_revokes_nothing(issuer: IssuerStub) -> None:
    assert not await source_of(issuer).revoke(REFRESH)
    assert issuer.requests == []


async def test_refreshes_wait_for_a_thread_and_not_for_each_other(issuer: IssuerStub) -> None:
    inside, most = 0, 0
    full = anyio.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 8:
            full.set()
        await full.wait()
        inside -= 1
        return httpx.Response(200, json=ANSWER)

    issuer.on(TOKEN, answer)
    part = source_of(issuer)
    async with anyio.create_task_group() as tasks:
        for number in range(24):
            tasks.start_soon(partial(part.refresh, Secret(f"refresh-token-of-user-{number}")))
    assert most == 8
