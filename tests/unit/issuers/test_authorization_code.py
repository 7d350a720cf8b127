"""Sign-ins by the browser: where it is sent, what its code is worth, and whom an answer is from."""

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.lowlevel
import pytest
from joserfc import jwt
from structlog.testing import capture_logs

from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    SignInRefused,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.secret import Secret
from sessiond.issuers.authorization_code import AuthorizationCodeGrant, WebRules
from sessiond.issuers.client import Client, Method
from sessiond.issuers.pkce import challenge_of
from sessiond.issuers.token_endpoint import FINAL, MAX_CODE, OURS, TokenEndpoint
from sessiond.web.web_client import AuthorizationRequest, Redeemed, WebClient
from tests.unit.issuers.fake import ISSUER, METADATA, IssuerStub, form_of
from tests.unit.jwt.forge import RSA, T, b64

pytestmark = pytest.mark.anyio

BACK = "https://gateway.example.com:5007/.sessiond/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
NONCE = "n-0S6_WzA2Mj"
HEADER = b64('{"alg":"RS256"}')
REQUEST = AuthorizationRequest(
    redirect_uri=BACK, state="s+t/a=te", nonce=NONCE, verifier=Secret(VERIFIER)
)


def web_client(
    issuer: IssuerStub,
    *,
    scope: str = "openid profile session.login",
    parameters: Mapping[str, str] | None = None,
    secret: Secret | None = None,
    method: Method = "none",
    subject_claim: str = "sub",
    **members: object,
) -> AuthorizationCodeGrant:
    issuer.publishes(
        **{
            "authorization_endpoint": f"{ISSUER}authorize",
            "end_session_endpoint": f"{ISSUER}logout",
            **members,
        }
    )
    http = issuer.http()
    client = Client(client_id="kdb-web", method=method, secret=secret, clock=issuer.clock)
    discovery = issuer.discovery(http)
    made = AuthorizationCodeGrant(
        http=http,
        discovery=discovery,
        client=client,
        tokens=TokenEndpoint(http=http, discovery=discovery, client=client),
        rules=WebRules(
            name="corp",
            issuer=ISSUER,
            issuers=frozenset({ISSUER, "https://old.example.com/"}),
            subject_claim=subject_claim,
            scope=scope,
            parameters=parameters or {},
            leeway=timedelta(seconds=30),
        ),
        clock=issuer.clock,
    )
    fulfilled: WebClient = made
    assert (fulfilled.issuer, fulfilled.client_id) == ("corp", "kdb-web")
    return made


def id_token(**claims: object) -> str:
    said = {
        "iss": ISSUER,
        "sub": "a-1",
        "aud": "kdb-web",
        "exp": T + 300,
        "iat": T,
        "nonce": NONCE,
        **claims,
    }
    return f"{HEADER}.{b64(json.dumps(said))}.c2ln"


def answer(**members: object) -> dict[str, object]:
    return {
        "access_token": "the-access-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "refresh_token": "the-refresh-token",
        "id_token": id_token(),
        **members,
    }


async def redeem(
    client: AuthorizationCodeGrant, *, code: str = "the-code", nonce: str = NONCE
) -> Redeemed:
    return await client.redeem(code=code, redirect_uri=BACK, verifier=Secret(VERIFIER), nonce=nonce)


# Where a browser is sent


async def asked(client: AuthorizationCodeGrant, request: AuthorizationRequest = REQUEST) -> Any:
    parts = urlsplit(await client.authorization_url(request))
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs)), "RFC 6749, 3.1: no parameter twice"
    return f"{parts.scheme}://{parts.netloc}{parts.path}", dict(pairs)


async def test_a_browser_is_sent_to_the_authorization_endpoint_with_pkce_state_and_nonce(
    issuer: IssuerStub,
) -> None:
    page, query = await asked(web_client(issuer))
    assert page == f"{ISSUER}authorize"
    assert query == {
        "response_type": "code",
        "client_id": "kdb-web",
        "redirect_uri": BACK,
        "scope": "openid profile session.login",
        "state": "s+t/a=te",
        "nonce": NONCE,
        **challenge_of(VERIFIER),
    }
    assert issuer.asked(METADATA) == 1


async def test_the_verifier_and_the_secret_stay_here(issuer: IssuerStub) -> None:
    client = web_client(issuer, method="post", secret=Secret("s3cret"))
    url = await client.authorization_url(REQUEST)
    assert VERIFIER not in url
    assert "s3cret" not in url


async def test_what_the_process_asks_of_people_is_asked_there(issuer: IssuerStub) -> None:
    request = AuthorizationRequest(
        redirect_uri=BACK,
        state="s",
        nonce="n",
        verifier=Secret(VERIFIER),
        max_age=0,
        acr_values=("urn:mfa", "phr"),
    )
    _, query = await asked(web_client(issuer), request)
    assert (query["max_age"], query["acr_values"]) == ("0", "urn:mfa phr")


async def test_what_the_table_adds_is_added_and_replaces_nothing_of_the_flow(
    issuer: IssuerStub,
) -> None:
    added = {"audience": "api://kdb", "prompt": "select_account", "state": "x", "client_id": "y"}
    _, query = await asked(web_client(issuer, parameters=added))
    assert (query["audience"], query["prompt"]) == ("api://kdb", "select_account")
    assert (query["state"], query["client_id"]) == ("s+t/a=te", "kdb-web")


async def test_without_openid_there_is_no_nonce(issuer: IssuerStub) -> None:
    _, query = await asked(web_client(issuer, scope="session.login"))
    assert "nonce" not in query


async def test_an_endpoint_with_a_query_of_its_own_keeps_it(issuer: IssuerStub) -> None:
    client = web_client(issuer, authorization_endpoint=f"{ISSUER}authorize?p=B2C_1")
    page, query = await asked(client)
    assert (page, query["p"], query["client_id"]) == (f"{ISSUER}authorize", "B2C_1", "kdb-web")


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        "javascript:alert(1)",
        "http://login.example.com/authorize",
        "https://user@login.example.com/authorize",
        "https://login.example.com/authorize#x",
        "https://login.example.com/\r\nSet-Cookie: x=y",
    ],
)
async def test_a_browser_is_sent_nowhere_that_is_no_https_page(
    issuer: IssuerStub, url: object
) -> None:
    with pytest.raises(UnusableAnswer, match="authorization_endpoint"):
        await web_client(issuer, authorization_endpoint=url).authorization_url(REQUEST)


def web_client_of_one_that_is_away(issuer: IssuerStub) -> AuthorizationCodeGrant:
    client = web_client(issuer)
    issuer.says(METADATA, {}, status=503)
    return client


async def test_where_to_send_it_is_known_before_anybody_waits(issuer: IssuerStub) -> None:
    client, looks = web_client_of_one_that_is_away(issuer), issuer.clock.slept
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.keep_ready)
        while len(looks) < 2:
            await anyio.lowlevel.checkpoint()
        web_client(issuer)  # it is back
        seen = len(looks)
        while len(looks) < seen + 2:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    issuer.says(METADATA, {}, status=503)
    assert (await client.authorization_url(REQUEST)).startswith(f"{ISSUER}authorize?")


async def test_without_metadata_nobody_is_sent_anywhere(issuer: IssuerStub) -> None:
    client = web_client(issuer)
    issuer.says(METADATA, {}, status=503)
    with pytest.raises(IssuerUnavailable, match="503"):
        await client.authorization_url(REQUEST)


# What a code is worth


@pytest.mark.parametrize(
    ("method", "by_form", "by_header"),
    [
        ("none", {"client_id": "kdb-web"}, ""),
        ("basic", {}, "kdb-web:s3cret"),
        ("post", {"client_id": "kdb-web", "client_secret": "s3cret"}, ""),
    ],
)
async def test_a_code_is_redeemed_with_its_verifier_once(
    issuer: IssuerStub, method: Method, by_form: dict[str, str], by_header: str
) -> None:
    secret = None if method == "none" else Secret("s3cret")
    client = web_client(issuer, method=method, secret=secret)
    issuer.says("/token", answer())
    redeemed = await redeem(client)
    tokens = redeemed.tokens
    assert tokens.access_token.reveal() == "the-access-token"
    assert tokens.refresh_token is not None
    assert tokens.refresh_token.reveal() == "the-refresh-token"
    assert (tokens.expires_in, redeemed.subject) == (300.0, "a-1")
    request = issuer.requests[-1]
    assert form_of(request) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        **by_form,
    }
    header = request.headers.get("authorization", "").removeprefix("Basic ")
    assert b64decode(header).decode() == by_header
    assert request.extensions["is_repeatable"] is False


async def test_a_client_with_a_key_signs_for_the_token_endpoint(issuer: IssuerStub) -> None:
    key = Secret(RSA.as_pem(private=True).decode())
    client = web_client(issuer, method="private_key_jwt", secret=key)
    issuer.says("/token", answer())
    await redeem(client)
    assertion = form_of(issuer.requests[-1])["client_assertion"]
    said = jwt.decode(assertion, RSA, algorithms=["PS256", "RS256"])
    assert (said.claims["iss"], said.claims["aud"]) == ("kdb-web", f"{ISSUER}token")


async def test_a_resource_is_named_to_the_token_endpoint_too_and_nothing_else_is(
    issuer: IssuerStub,
) -> None:
    client = web_client(issuer, parameters={"resource": "api://kdb", "audience": "x"})
    issuer.says("/token", answer())
    await redeem(client)
    form = form_of(issuer.requests[-1])
    assert (form["resource"], "audience" in form) == ("api://kdb", False)


async def test_without_openid_there_is_no_subject_and_no_id_token_is_read(
    issuer: IssuerStub,
) -> None:
    client = web_client(issuer, scope="session.login")
    issuer.says("/token", answer(id_token="none at all"))
    assert (await redeem(client)).subject == ""


@pytest.mark.parametrize(
    ("claim", "claims", "subject"),
    [
        ("sub", {"oid": "o-1"}, "a-1"),
        ("oid", {"oid": "o-1"}, "o-1"),
        ("oid", {}, ""),
        ("oid", {"oid": 7}, ""),
        ("/ids/oid", {"ids": {"oid": "o-1"}}, "o-1"),
    ],
)
async def test_the_subject_is_the_claim_that_access_tokens_name_people_by(
    issuer: IssuerStub, claim: str, claims: dict[str, object], subject: str
) -> None:
    client = web_client(issuer, subject_claim=claim)
    issuer.says("/token", answer(id_token=id_token(**claims)))
    assert (await redeem(client)).subject == subject


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, Refusal.MALFORMED),
        ("no JWT", Refusal.MALFORMED),
        (id_token(nonce="another browser's"), Refusal.USERMISMATCH),
        (id_token(aud="qstudio"), Refusal.WRONGAUDIENCE),
        (id_token(iss="https://evil.example.com/"), Refusal.WRONGISSUER),
        (id_token(exp=T), Refusal.EXPIRED),
        (id_token(iat=T + 3600), Refusal.NOTYET),
        (id_token(sub=""), Refusal.MALFORMED),
    ],
)
async def test_an_id_token_of_no_such_sign_in_lets_nobody_in_and_its_tokens_are_given_back(
    issuer: IssuerStub, given: object, reason: Refusal
) -> None:
    client = web_client(issuer)
    issuer.says("/token", answer(id_token=given))
    issuer.says("/revoke", {})
    with pytest.raises(TokenRejected) as rejected:
        await redeem(client)
    assert rejected.value.reason is reason
    assert form_of(issuer.requests[-1])["token"] == "the-refresh-token"
    assert issuer.asked("/revoke") == 1


async def test_an_issuer_that_takes_nothing_back_stops_no_refusal(issuer: IssuerStub) -> None:
    client = web_client(issuer)
    issuer.says("/token", answer(id_token=None))
    issuer.says("/revoke", {}, status=503)
    with capture_logs() as logs, pytest.raises(TokenRejected):
        await redeem(client)
    assert [each["event"] for each in logs] == ["not revoked at the issuer"]
    issuer.says("/token", answer(id_token=None, refresh_token=None))
    with pytest.raises(TokenRejected):
        await redeem(client)
    assert issuer.asked("/revoke") == 1


@pytest.mark.parametrize("error", [*sorted(FINAL), "unmet_authentication_requirements", "new_one"])
async def test_a_refusal_is_told_by_its_code_alone(issuer: IssuerStub, error: str) -> None:
    client = web_client(issuer)
    said = {"error": error, "error_description": "<script>the-code</script>"}
    issuer.says("/token", said, status=400)
    with pytest.raises(SignInRefused) as refused:
        await redeem(client)
    assert refused.value.error == error
    assert str(refused.value) == f"the issuer says {error}"


async def test_entras_numbers_are_told_beside_it(issuer: IssuerStub) -> None:
    client = web_client(issuer)
    issuer.says("/token", {"error": "invalid_grant", "error_codes": [500112]}, status=400)
    with pytest.raises(SignInRefused, match=r"invalid_grant: \(AADSTS500112\)$"):
        await redeem(client)


@pytest.mark.parametrize("error", sorted(OURS))
async def test_what_an_operator_has_to_mend_is_told_as_that(issuer: IssuerStub, error: str) -> None:
    client = web_client(issuer)
    issuer.says("/token", {"error": error}, status=401)
    with pytest.raises(SignInRefused, match=rf"{error}: check \[issuer\.web\]") as refused:
        await redeem(client)
    assert refused.value.error == error


async def test_of_a_code_without_end_the_begin_is_told(issuer: IssuerStub) -> None:
    client = web_client(issuer)
    issuer.says("/token", {"error": "x" * 9000}, status=400)
    with pytest.raises(SignInRefused) as refused:
        await redeem(client)
    assert refused.value.error == "x" * MAX_CODE
    assert str(refused.value) == f"the issuer says {'x' * MAX_CODE}"


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (400, {"error": "server_error"}, "server_error"),
        (400, {"error": "temporarily_unavailable"}, "temporarily_unavailable"),
        (400, {"error": ["x"]}, "no error code"),
        (400, {"error": 'a"\n'}, "no error code"),
        (400, {}, "no error code"),
        (403, {"error": "access_denied"}, "403 with access_denied"),
        (400, b"<html>", "without a JSON object"),
        (200, b"<html>", "without a JSON object"),
        (200, {"error": "invalid_grant"}, "not a bearer token's"),
        (200, answer(token_type="DPoP"), "not a bearer token's"),
        (200, answer(access_token=""), "not a bearer token's"),
        (302, {}, "302"),
    ],
)
async def test_any_other_answer_is_no_verdict_about_the_person(
    issuer: IssuerStub, status: int, content: object, words: str
) -> None:
    client = web_client(issuer)
    issuer.says("/token", content, status=status)
    with pytest.raises(UnusableAnswer, match=words):
        await redeem(client)
    assert issuer.asked("/token") == 1


async def test_an_issuer_that_is_away_or_throttles_is_asked_once(issuer: IssuerStub) -> None:
    client = web_client(issuer)
    issuer.says("/token", {}, status=503)
    with pytest.raises(IssuerUnavailable):
        await redeem(client)
    issuer.says("/token", {}, status=429)
    with pytest.raises(IssuerThrottled):
        await redeem(client)
    assert issuer.asked("/token") == 2


async def test_an_issuer_that_has_enough_of_codes_is_left_alone_but_not_for_long(
    issuer: IssuerStub,
) -> None:
    client = web_client(issuer)
    for wish, waits in (("3", 3), ("3000", 60)):
        issuer.says("/token", {}, status=429, headers={"retry-after": wish})
        asked = issuer.asked("/token")
        for _ in range(9):
            with pytest.raises(IssuerThrottled):
                await redeem(client)
        assert issuer.asked("/token") == asked + 1
        issuer.clock.pass_(waits)
    issuer.says("/token", answer())
    assert (await redeem(client)).tokens.access_token.reveal() == "the-access-token"


@pytest.mark.parametrize("code", ["", "a b", "a\r\nb", "caf\u00e9", "\udcff", "x" * 32769])
async def test_what_can_be_no_code_is_sent_to_nobody(issuer: IssuerStub, code: str) -> None:
    client = web_client(issuer)
    with pytest.raises(SignInRefused) as refused:
        await redeem(client, code=code)
    assert refused.value.error == "invalid_grant"
    assert issuer.requests == []


# Whom an answer is from


@pytest.mark.parametrize(
    ("iss", "states_iss", "fault"),
    [
        (ISSUER, True, ""),
        (ISSUER, False, ""),
        (None, False, ""),
        (None, "true", ""),
        (None, None, ""),
        (None, True, f'iss is missing, wanted "{ISSUER}"'),
        ("https://evil.example.com/", False, 'iss is "https://evil.example.com/", wanted'),
        ("https://evil.example.com/", True, 'iss is "https://evil.example.com/", wanted'),
        (ISSUER.rstrip("/"), False, 'iss is "https://login.example.com", wanted'),
        ("https://old.example.com/", True, 'iss is "https://old.example.com/", wanted'),
        ("", False, 'iss is "", wanted'),
    ],
)
async def test_an_answer_names_this_issuer_where_it_names_one_or_must(
    issuer: IssuerStub, iss: str | None, states_iss: object, fault: str
) -> None:
    client = web_client(issuer, authorization_response_iss_parameter_supported=states_iss)
    said = await client.iss_fault(iss)
    assert said.startswith(fault)
    assert bool(said) is bool(fault)


# Signing out


async def test_a_browser_is_signed_out_at_the_issuer_by_the_clients_id(issuer: IssuerStub) -> None:
    parts = urlsplit(await web_client(issuer).end_session_url(BACK))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{ISSUER}logout"
    assert dict(parse_qsl(parts.query)) == {
        "client_id": "kdb-web",
        "post_logout_redirect_uri": BACK,
    }


async def test_an_issuer_without_such_a_page_signs_nobody_out(issuer: IssuerStub) -> None:
    assert await web_client(issuer, end_session_endpoint=None).end_session_url(BACK) == ""


async def test_a_bad_page_is_told_and_stops_no_login(issuer: IssuerStub) -> None:
    client = web_client(issuer, end_session_endpoint="http://login.example.com/logout")
    with pytest.raises(UnusableAnswer, match="end_session_endpoint"):
        await client.end_session_url(BACK)
    issuer.says("/token", answer())
    assert (await redeem(client)).subject == "a-1"
