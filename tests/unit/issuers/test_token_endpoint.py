import pytest

from sessiond.core.errors import (
    ClientRefused,
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    UnusableAnswer,
)
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client
from sessiond.issuers.token_endpoint import FINAL, MAX_CODE, OURS, TokenEndpoint
from sessiond.refresher import TokenSource
from tests.unit.issuers.fake import METADATA, IssuerStub, form_of

pytestmark = pytest.mark.anyio

GUARDS_WORDS = ("access_denied", "invalid_token")

REFRESH = Secret("refresh!*$token-1234567")
ANSWER: dict[str, object] = {
    "access_token": "new-access-token",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": "new-refresh-token",
}


def source_of(
    issuer: IssuerStub, *, scope: str = "", resource: str = "", secret: Secret | None = None
) -> TokenEndpoint:
    issuer.publishes()
    http = issuer.http()
    client = Client(
        client_id="qstudio",
        method="none" if secret is None else "basic",
        secret=secret,
        clock=issuer.clock,
    )
    discovery = issuer.discovery(http)
    return TokenEndpoint(
        http=http, discovery=discovery, client=client, scope=scope, resource=resource
    )


async def test_a_refresh_token_is_spent_for_new_tokens(issuer: IssuerStub) -> None:
    issuer.says("/token", ANSWER)
    part: TokenSource = source_of(issuer)
    tokens = await part.refresh(REFRESH)
    assert tokens.access_token.reveal() == "new-access-token"
    assert tokens.refresh_token is not None
    assert tokens.refresh_token.reveal() == "new-refresh-token"
    assert tokens.expires_in == 3600.0
    assert form_of(issuer.requests[-1]) == {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH.reveal(),
        "client_id": "qstudio",
    }


async def test_a_refresh_token_is_never_sent_twice_by_one_call_and_one_given_back_may_be(
    issuer: IssuerStub,
) -> None:
    issuer.says("/token", ANSWER)
    issuer.says("/revoke", {})
    source = source_of(issuer)
    await source.refresh(REFRESH)
    assert issuer.requests[-1].extensions["is_repeatable"] is False
    await source.revoke(REFRESH)
    assert issuer.requests[-1].extensions["is_repeatable"] is True


async def test_the_scope_is_sent_where_there_is_one(issuer: IssuerStub) -> None:
    issuer.says("/token", ANSWER)
    await source_of(issuer, scope="api://kdb/session.login").refresh(REFRESH)
    assert form_of(issuer.requests[-1])["scope"] == "api://kdb/session.login"


async def test_the_resource_is_sent_where_there_is_one(issuer: IssuerStub) -> None:
    issuer.says("/token", ANSWER)
    await source_of(issuer, resource="api://kdb").refresh(REFRESH)
    form = form_of(issuer.requests[-1])
    assert (form["resource"], "scope" in form) == ("api://kdb", False)


async def test_a_confidential_client_proves_itself(issuer: IssuerStub) -> None:
    issuer.says("/token", ANSWER)
    await source_of(issuer, secret=Secret("s")).refresh(REFRESH)
    assert issuer.requests[-1].headers["authorization"].startswith("Basic ")
    assert "client_id" not in form_of(issuer.requests[-1])


async def test_without_a_new_refresh_token_the_old_one_stays_good(issuer: IssuerStub) -> None:
    issuer.says("/token", {"access_token": "a", "token_type": "bearer"})
    tokens = await source_of(issuer).refresh(REFRESH)
    assert (tokens.refresh_token, tokens.expires_in) == (None, None)


@pytest.mark.parametrize("empty", ["", None])
async def test_an_empty_refresh_token_is_none(issuer: IssuerStub, empty: str | None) -> None:
    issuer.says("/token", {**ANSWER, "refresh_token": empty})
    tokens = await source_of(issuer).refresh(REFRESH)
    assert (tokens.access_token.reveal(), tokens.refresh_token) == ("new-access-token", None)


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        (3599, 3599.0),
        (3599.5, 3599.5),
        ("3599", 3599.0),
        ("3599.5", 3599.5),
        (0, 0.0),
        (-1, -1.0),
        (10**30, None),
        ("99999999999", None),
        ("1e3", None),
        ("-1", None),
        ("soon", None),
        (True, None),
        (None, None),
        ([3600], None),
    ],
)
async def test_expires_in_is_a_number_or_its_text(
    issuer: IssuerStub, stated: object, seconds: float | None
) -> None:
    issuer.says("/token", {**ANSWER, "expires_in": stated})
    assert (await source_of(issuer).refresh(REFRESH)).expires_in == seconds


@pytest.mark.parametrize(
    ("error", "status"),
    [(error, status) for error in sorted(FINAL) for status in (400, 401)]
    + [(error, 403) for error in sorted(FINAL.difference(GUARDS_WORDS))],  # Auth0's
)
async def test_a_final_error_is_a_refusal(issuer: IssuerStub, error: str, status: int) -> None:
    issuer.says("/token", {"error": error, "error_description": "AADSTS70000"}, status=status)
    with pytest.raises(RefreshRefused) as raised:
        await source_of(issuer).refresh(REFRESH)
    assert raised.value.error == error


@pytest.mark.parametrize("error", GUARDS_WORDS)
async def test_what_a_gateway_says_of_whoever_it_lets_not_through_ends_nobodys_session(
    issuer: IssuerStub, error: str
) -> None:
    said = {"error": error, "error_description": "Access is denied"}
    issuer.says("/token", said, status=403, headers={"Retry-After": "9"})
    with pytest.raises(UnusableAnswer, match=f"403 with {error}, wanted 400") as raised:
        await source_of(issuer).refresh(REFRESH)
    assert raised.value.retry_after == 9


async def test_a_final_error_stays_one_with_a_retry_after(issuer: IssuerStub) -> None:
    issuer.says("/token", {"error": "invalid_grant"}, status=400, headers={"Retry-After": "9"})
    with pytest.raises(RefreshRefused):
        await source_of(issuer).refresh(REFRESH)


@pytest.mark.parametrize("error", sorted(OURS))
async def test_an_error_of_ours_is_an_alarm_and_no_refusal(issuer: IssuerStub, error: str) -> None:
    issuer.says("/token", {"error": error}, status=400)
    with pytest.raises(IssuerUnavailable, match=f"{error}.*configuration"):
        await source_of(issuer).refresh(REFRESH)


@pytest.mark.parametrize(
    "error",
    [
        "temporarily_unavailable",
        "server_error",
        "slow_down",
        "INVALID_GRANT",
        "",
        None,
        ["invalid_grant"],
    ],
)
async def test_any_other_error_is_no_refusal(issuer: IssuerStub, error: object) -> None:
    issuer.says("/token", {"error": error}, status=400)
    with pytest.raises(IssuerUnavailable):
        await source_of(issuer).refresh(REFRESH)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"error": "server_error"}, "no refresh: the issuer says server_error"),
        ({"error": "policy denied!"}, "no refresh: the issuer says policy denied!"),
        ({"error": "x" * 100}, f"no refresh: the issuer says {'x' * MAX_CODE}"),
        (
            {"error": "invalid_resource", "error_codes": [500011]},
            "no refresh: invalid_resource (AADSTS500011), it does not know what refresh_scope is "
            "for",
        ),
        (
            {"error": "temporarily_unavailable", "error_codes": [1, True, "2", 0, 10**9, 5]},
            "no refresh: the issuer says temporarily_unavailable (AADSTS1)",
        ),
        (
            {"error": "odd", "error_codes": [1, 2, 3, 4, 5]},
            "no refresh: the issuer says odd (AADSTS1, AADSTS2, AADSTS3, AADSTS4)",
        ),
        ({"error": "odd", "error_codes": 50076}, "no refresh: the issuer says odd"),
        *(
            ({"error": unfit}, "no refresh: the issuer gives no error code (RFC 6749, 5.2)")
            for unfit in ['a"b', "a\\b", "a\nb", "a\x1b[31m", "é", "", None, 7, ["a"]]
        ),
    ],
)
async def test_the_error_code_is_shown_and_what_is_none_is_not(
    issuer: IssuerStub, said: dict[str, object], shown: str
) -> None:
    issuer.says("/token", said, status=400)
    with pytest.raises(IssuerUnavailable) as raised:
        await source_of(issuer).refresh(REFRESH)
    assert str(raised.value) == (f"{shown}, wanted new tokens: check this issuer's configuration")


async def test_a_refusal_says_the_numbers_beside_its_code(issuer: IssuerStub) -> None:
    issuer.says("/token", {"error": "invalid_grant", "error_codes": [700082]}, status=400)
    with pytest.raises(RefreshRefused) as raised:
        await source_of(issuer).refresh(REFRESH)
    assert raised.value.said == "invalid_grant (AADSTS700082)"


async def test_what_the_issuer_writes_beside_its_code_is_not_repeated(issuer: IssuerStub) -> None:
    said = {"error": "odd", "error_description": f"very-secret {REFRESH.reveal()}"}
    issuer.says("/token", said, status=400)
    with pytest.raises(IssuerUnavailable) as raised:
        await source_of(issuer).refresh(REFRESH)
    assert "very-secret" not in str(raised.value)
    assert REFRESH.reveal() not in str(raised.value)


@pytest.mark.parametrize("status", [400, 401, 429, 503])
async def test_retry_after_is_obeyed(issuer: IssuerStub, status: int) -> None:
    issuer.says(
        "/token",
        {"error": "temporarily_unavailable"},
        status=status,
        headers={"Retry-After": "33"},
    )
    kind = UnusableAnswer if status < 429 else IssuerThrottled
    with pytest.raises(kind) as raised:
        await source_of(issuer).refresh(REFRESH)
    assert raised.value.retry_after == 33.0  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", [500, 502, 503, 302])
async def test_a_failing_issuer_refuses_nobody(issuer: IssuerStub, status: int) -> None:
    issuer.says("/token", {"error": "invalid_grant"}, status=status)
    with pytest.raises(IssuerUnavailable):
        await source_of(issuer).refresh(REFRESH)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        {},
        {**ANSWER, "access_token": None},
        {**ANSWER, "access_token": 1},
        {**ANSWER, "access_token": ""},
        {**ANSWER, "access_token": "a b"},
        {**ANSWER, "access_token": "é"},
        {**ANSWER, "access_token": "x" * 32769},
        {**ANSWER, "token_type": "DPoP"},
        {**ANSWER, "token_type": None},
        {**ANSWER, "refresh_token": 1},
        {**ANSWER, "refresh_token": ["a"]},
        {**ANSWER, "refresh_token": True},
        {"error": "invalid_grant"},
    ],
)
async def test_a_200_that_is_no_token_answer_is_no_verdict(
    issuer: IssuerStub, content: object
) -> None:
    issuer.says("/token", content)
    with pytest.raises(IssuerUnavailable):
        await source_of(issuer).refresh(REFRESH)


async def test_only_200_brings_tokens(issuer: IssuerStub) -> None:
    issuer.says("/token", ANSWER, status=201)
    with pytest.raises(IssuerUnavailable):
        await source_of(issuer).refresh(REFRESH)


async def test_a_token_is_revoked_where_the_issuer_can(issuer: IssuerStub) -> None:
    issuer.says("/revoke", b"")
    assert await source_of(issuer).revoke(REFRESH)
    assert form_of(issuer.requests[-1]) == {"token": REFRESH.reveal(), "client_id": "qstudio"}


async def test_nothing_is_revoked_where_the_issuer_cannot(issuer: IssuerStub) -> None:
    part = source_of(issuer)
    issuer.says(METADATA, {"issuer": "https://login.example.com/"})
    assert not await part.revoke(REFRESH)
    issuer.publishes()
    issuer.says("/revoke", {"error": "unsupported_token_type"}, status=400)
    assert not await source_of(issuer).revoke(REFRESH)


@pytest.mark.parametrize("status", [400, 401, 503])
async def test_a_revocation_that_failed_is_told(issuer: IssuerStub, status: int) -> None:
    issuer.says("/revoke", {"error": "invalid_client"}, status=status)
    with pytest.raises(IssuerUnavailable):
        await source_of(issuer).revoke(REFRESH)


async def test_why_a_revocation_failed_is_told_by_its_code(issuer: IssuerStub) -> None:
    source = source_of(issuer)
    issuer.says("/revoke", {"error": "invalid_client"}, status=401)
    with pytest.raises(ClientRefused, match="revocation answered 401: invalid_client"):
        await source.revoke(REFRESH)
    issuer.says("/revoke", {"error": "odd"}, status=400)
    with pytest.raises(UnusableAnswer, match="revocation answered 400: the issuer says odd"):
        await source.revoke(REFRESH)
