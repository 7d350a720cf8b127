"""The test issuer does what the other tests rely on."""

import base64
import hashlib
import json
import re
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest

from tests.issuer.browser import LoginError, challenge, walk
from tests.issuer.control import ALWAYS, ControlError
from tests.issuer.process import IssuerError
from tests.issuer.running import ALICE, API, BOB, RunningIssuer

GRAPH = "00000003-0000-0000-c000-000000000000"


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client whose requests are counted and struck, as sessiond's are."""
    with httpx.Client(timeout=10, trust_env=False) as client:
        yield client


def claims(token: str) -> dict[str, Any]:
    """Return the claims, unverified."""
    part = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


def refresh_form(issuer: RunningIssuer) -> dict[str, str]:
    return {
        "grant_type": "refresh_token",
        "client_id": "qstudio",
        "refresh_token": issuer.tokens()["refresh_token"],
    }


def published_keys(issuer: RunningIssuer) -> dict[str, Any]:
    verify = ssl.create_default_context(cafile=issuer.ca_file) if issuer.ca_file else True
    keys = httpx.get(issuer.jwks_uri, verify=verify, trust_env=False).json()["keys"]
    return {key["kid"]: key for key in keys}


# Tokens


@pytest.mark.parametrize(
    ("resource", "algorithm"),
    [(API, "RS256"), ("api://kdb-ec", "ES256"), ("api://kdb-ed", "EdDSA")],
)
def test_each_resource_has_its_algorithm_and_a_signature_that_holds(
    strict_issuer: RunningIssuer, resource: str, algorithm: str
) -> None:
    token = strict_issuer.tokens(resource=resource)["access_token"]
    header = jwt.get_unverified_header(token)
    key = jwt.PyJWK(published_keys(strict_issuer)[header["kid"]])
    verified = jwt.decode(
        token, key, algorithms=[algorithm], audience=resource, issuer=strict_issuer.issuer
    )
    assert header["typ"] == "at+jwt"
    assert verified["preferred_username"] == ALICE
    assert verified["scp"] == "session.login"
    assert verified["roles"] == ["trader"]


def test_a_login_by_code_brings_the_same_kind_of_token(strict_issuer: RunningIssuer) -> None:
    by_code = strict_issuer.tokens_by_code(BOB)
    by_password = strict_issuer.tokens(BOB)
    fleeting = {"jti", "iat", "exp"}
    assert {"access_token", "refresh_token", "id_token"} <= set(by_code)
    assert {k: v for k, v in claims(by_code["access_token"]).items() if k not in fleeting} == {
        k: v for k, v in claims(by_password["access_token"]).items() if k not in fleeting
    }


def test_a_wrong_password_is_refused(strict_issuer: RunningIssuer) -> None:
    with pytest.raises(IssuerError, match="invalid_grant"):
        strict_issuer.tokens(password="no")


def test_an_app_token_has_no_user(strict_issuer: RunningIssuer) -> None:
    read = claims(strict_issuer.app_token())
    assert read["idtyp"] == "app"
    assert not {"scp", "oid", "preferred_username"} & set(read)


def test_an_opaque_token_is_introspected_and_userinfo_takes_it(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    token = strict_issuer.tokens(client="qstudio-opaque")["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert strict_issuer.introspect(token)["active"] is True
    userinfo = http.get(strict_issuer.userinfo_endpoint, headers=bearer).json()
    me = http.get(strict_issuer.graph_me_endpoint, headers=bearer).json()
    assert userinfo["preferred_username"] == me["userPrincipalName"] == ALICE


def test_a_graph_token_is_good_for_graph_alone(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    token = strict_issuer.control.graph_token(BOB)
    bearer = {"authorization": f"Bearer {token}"}
    me = http.get(strict_issuer.graph_me_endpoint, headers=bearer).json()
    assert me["userPrincipalName"] == BOB
    assert http.get(strict_issuer.userinfo_endpoint, headers=bearer).status_code == 401
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "JWT"
    assert "nonce" in header
    assert header["kid"] not in published_keys(strict_issuer)
    assert claims(token)["aud"] == "https://graph.microsoft.com"


def test_graph_refuses_a_token_for_our_api(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    bearer = {"authorization": f"Bearer {strict_issuer.tokens()['access_token']}"}
    response = http.get(strict_issuer.graph_me_endpoint, headers=bearer)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "InvalidAuthenticationToken"


# Refreshing


def test_where_rotation_is_strict_reuse_kills_the_family(strict_issuer: RunningIssuer) -> None:
    first = strict_issuer.tokens()["refresh_token"]
    second = strict_issuer.refresh(first).json()["refresh_token"]
    assert second != first
    assert strict_issuer.refresh(first).json()["error"] == "invalid_grant"
    assert strict_issuer.refresh(second).json()["error"] == "invalid_grant"
    assert strict_issuer.control.reuses() == 1
    came = strict_issuer.control.take_refreshes()
    assert [(each["client"], each["error"]) for each in came] == [
        ("qstudio", ""),
        ("qstudio", "invalid_grant"),
        ("qstudio", "invalid_grant"),
    ]
    assert [each["digest"] for each in came[:2]] == [hashlib.sha256(first.encode()).hexdigest()] * 2
    assert came[0]["at"] <= came[1]["at"] <= time.time()


def test_where_rotation_is_entras_the_old_one_stays_good(entra_issuer: RunningIssuer) -> None:
    first = entra_issuer.tokens()["refresh_token"]
    second = entra_issuer.refresh(first).json()["refresh_token"]
    assert second != first
    assert entra_issuer.refresh(first).status_code == 200
    assert entra_issuer.refresh(second).status_code == 200


def test_without_rotation_the_refresh_token_stays_the_same(strict_issuer: RunningIssuer) -> None:
    strict_issuer.control.set_habits(rotation="none")
    first = strict_issuer.tokens()["refresh_token"]
    assert strict_issuer.refresh(first).json()["refresh_token"] == first


@pytest.mark.parametrize("scope", [None, "openid profile", "session.login"])
def test_a_refresh_that_does_not_name_the_api_gets_graphs_audience(
    tls_issuer: RunningIssuer, scope: str | None
) -> None:
    answer = tls_issuer.refresh(tls_issuer.tokens()["refresh_token"], scope=scope).json()
    assert claims(answer["access_token"])["aud"] == GRAPH
    assert answer["scope"].endswith("User.Read")


@pytest.mark.parametrize("scope", ["api://kdb/session.login", "api://kdb/.default openid"])
def test_a_refresh_that_names_the_api_gets_its_audience(
    tls_issuer: RunningIssuer, scope: str
) -> None:
    answer = tls_issuer.refresh(tls_issuer.tokens()["refresh_token"], scope=scope).json()
    read = claims(answer["access_token"])
    assert (read["aud"], read["scp"]) == (API, "session.login")
    assert jwt.get_unverified_header(answer["access_token"])["typ"] == "JWT"


def test_elsewhere_a_scopeless_refresh_keeps_the_audience(entra_issuer: RunningIssuer) -> None:
    answer = entra_issuer.refresh(entra_issuer.tokens()["refresh_token"]).json()
    assert claims(answer["access_token"])["aud"] == API


# Steering


def test_the_lifetime_changes_while_it_runs(strict_issuer: RunningIssuer) -> None:
    strict_issuer.control.set_access_token_lifetime(7)
    answer = strict_issuer.tokens()
    read = claims(answer["access_token"])
    assert (answer["expires_in"], read["exp"] - read["iat"]) == (7, 7)
    strict_issuer.control.reset()
    assert strict_issuer.tokens()["expires_in"] == 3600


def test_rotated_keys_sign_from_then_on(strict_issuer: RunningIssuer) -> None:
    before = published_keys(strict_issuer)
    strict_issuer.control.rotate_keys()
    assert set(before) < set(published_keys(strict_issuer))
    token = strict_issuer.tokens()["access_token"]
    assert jwt.get_unverified_header(token)["kid"] not in before
    strict_issuer.control.rotate_keys(drop_old=True)
    assert not set(before) & set(published_keys(strict_issuer))


def test_a_revoked_user_is_forgotten_and_may_come_again(strict_issuer: RunningIssuer) -> None:
    answer = strict_issuer.tokens(client="qstudio-opaque")
    strict_issuer.control.revoke_user(ALICE)
    refused = strict_issuer.refresh(answer["refresh_token"], client="qstudio-opaque")
    assert refused.json()["error"] == "invalid_grant"
    assert strict_issuer.introspect(answer["access_token"]) == {"active": False}
    assert strict_issuer.tokens()["refresh_token"]


def test_a_disabled_user_gets_nothing_until_the_reset(strict_issuer: RunningIssuer) -> None:
    strict_issuer.control.disable(BOB)
    with pytest.raises(IssuerError):
        strict_issuer.tokens(BOB)
    strict_issuer.control.reset()
    assert claims(strict_issuer.tokens(BOB)["access_token"])["preferred_username"] == BOB


def test_a_made_user_can_log_in(strict_issuer: RunningIssuer) -> None:
    strict_issuer.control.change_user("Carol@contoso.test", roles=["quant"])
    read = claims(strict_issuer.tokens("carol@contoso.test")["access_token"])
    assert (read["preferred_username"], read["roles"]) == ("Carol@contoso.test", ["quant"])


def test_counters_count_what_others_ask_and_not_the_tests_own(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    strict_issuer.introspect(strict_issuer.tokens(client="qstudio-opaque")["access_token"])
    assert strict_issuer.control.calls("/introspect") == 0
    for _ in range(3):
        http.post(strict_issuer.introspection_endpoint)
    http.get(strict_issuer.jwks_uri)
    assert strict_issuer.control.calls("/introspect") == 3
    assert strict_issuer.control.calls("/keys") == 1
    strict_issuer.control.reset()
    assert strict_issuer.control.calls("/introspect") == 0


def test_a_misspelt_control_is_refused(strict_issuer: RunningIssuer) -> None:
    with pytest.raises(ControlError, match="no fault of kind"):
        strict_issuer.control.fault("/token", "flood")
    with pytest.raises(ControlError, match="no habit"):
        strict_issuer.control.set_habits(rotations="none")


# Faults


def test_an_answer_of_the_tests_choice_is_given_as_often_as_asked(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    strict_issuer.control.fault(
        "/keys", count=2, status=429, headers={"Retry-After": "2"}, body={"error": "slow down"}
    )
    for _ in range(2):
        struck = http.get(strict_issuer.jwks_uri)
        assert (struck.status_code, struck.headers["retry-after"]) == (429, "2")
        assert struck.json() == {"error": "slow down"}
    assert http.get(strict_issuer.jwks_uri).status_code == 200


@pytest.mark.parametrize(
    ("kind", "members", "status", "content_type", "body"),
    [
        ("redirect", {"location": "http://127.0.0.1:9/"}, 302, None, b""),
        ("empty", {}, 200, None, b""),
        ("empty", {"status": 500}, 500, None, b""),
        ("raw", {"text": "{", "content_type": "application/json"}, 200, "application/json", b"{"),
    ],
)
def test_an_odd_answer_comes_as_asked(
    strict_issuer: RunningIssuer,
    http: httpx.Client,
    kind: str,
    members: dict[str, Any],
    status: int,
    content_type: str | None,
    body: bytes,
) -> None:
    strict_issuer.control.fault("/keys", kind, **members)
    struck = http.get(strict_issuer.jwks_uri)
    assert (struck.status_code, struck.content) == (status, body)
    assert struck.headers.get("content-type") == content_type
    assert struck.headers.get("location") == members.get("location")


def test_html_comes_where_json_should(strict_issuer: RunningIssuer, http: httpx.Client) -> None:
    strict_issuer.control.fault("/keys", "html")
    struck = http.get(strict_issuer.jwks_uri)
    assert struck.headers["content-type"] == "text/html"
    assert struck.text.startswith("<!doctype html>")


def test_a_dropped_connection_gives_no_answer(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    strict_issuer.control.fault("/keys", "drop")
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(strict_issuer.jwks_uri)


def test_a_hanging_request_gets_no_header_until_the_faults_are_cleared(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    strict_issuer.control.fault("/keys", "hang")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(http.get, strict_issuer.jwks_uri)
        strict_issuer.control.wait_for_calls("/keys")
        strict_issuer.control.rotate_keys()  # the issuer goes on serving others
        assert not waiting.done()
        strict_issuer.control.clear_faults()
        assert isinstance(waiting.exception(timeout=10), httpx.RemoteProtocolError)


def test_a_held_request_is_answered_when_the_faults_are_cleared(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    strict_issuer.control.fault("/keys", "hold")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(http.get, strict_issuer.jwks_uri)
        strict_issuer.control.wait_for_calls("/keys")
        kids = strict_issuer.control.rotate_keys()
        strict_issuer.control.clear_faults()
        keys = waiting.result(timeout=10).json()["keys"]
    assert [key["kid"] for key in keys] == kids  # answered after the rotation, not before


def test_a_trickling_body_has_headers_and_no_end(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    strict_issuer.control.fault("/keys", "trickle", interval_ms=1)
    with http.stream("GET", strict_issuer.jwks_uri) as struck:
        body = struck.iter_raw()
        assert struck.status_code == 200
        assert sum(len(next(body)) for _ in range(5)) >= 5
        strict_issuer.control.clear_faults()
        with pytest.raises(httpx.RemoteProtocolError):
            list(body)


def test_a_late_answer_is_the_real_one(strict_issuer: RunningIssuer, http: httpx.Client) -> None:
    strict_issuer.control.fault("/keys", "delay", delay_ms=3_600_000)
    with ThreadPoolExecutor() as pool:
        late = pool.submit(http.get, strict_issuer.jwks_uri)
        strict_issuer.control.wait_for_calls("/keys")
        prompt = http.get(strict_issuer.jwks_uri)
        assert not late.done()
        strict_issuer.control.clear_faults()  # also ends the delay
        assert late.result(timeout=10).json() == prompt.json()


def test_a_slow_issuer_is_slow_always(strict_issuer: RunningIssuer, http: httpx.Client) -> None:
    strict_issuer.control.fault("/keys", "delay", delay_ms=1, count=ALWAYS)
    assert all(http.get(strict_issuer.jwks_uri).json()["keys"] for _ in range(3))


def test_expires_in_can_be_missing_or_text(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    strict_issuer.control.fault("/token", "token", without=["expires_in"])
    strict_issuer.control.fault("/token", "token", set={"expires_in": "3599"})
    answers = [
        http.post(strict_issuer.token_endpoint, data=refresh_form(strict_issuer)).json()
        for _ in range(3)
    ]
    assert [answer.get("expires_in") for answer in answers] == [None, "3599", 3600]
    assert all(claims(answer["access_token"])["aud"] == API for answer in answers)


def test_a_refresh_can_return_another_users_token(
    strict_issuer: RunningIssuer, http: httpx.Client
) -> None:
    strict_issuer.control.fault("/token", "token", as_user=BOB)
    form = refresh_form(strict_issuer)
    answer = http.post(strict_issuer.token_endpoint, data=form).json()
    key = jwt.PyJWK(
        published_keys(strict_issuer)[jwt.get_unverified_header(answer["access_token"])["kid"]]
    )
    verified = jwt.decode(answer["access_token"], key, algorithms=["RS256"], audience=API)
    assert (verified["preferred_username"], verified["scp"]) == (BOB, "session.login")


# The process


@pytest.mark.needs("real")
def test_a_killed_issuer_can_come_back_on_its_port() -> None:
    with RunningIssuer() as first:
        port = httpx.URL(first.origin).port
        first.kill()
        with pytest.raises(httpx.ConnectError):
            httpx.get(first.jwks_uri, trust_env=False)
    assert port is not None
    with RunningIssuer(port=port) as second:
        assert second.issuer == first.issuer
        assert second.tokens()["access_token"]


def test_an_issuer_that_cannot_start_says_why(strict_issuer: RunningIssuer) -> None:
    taken = httpx.URL(strict_issuer.origin).port
    assert taken is not None
    with pytest.raises(IssuerError, match="EADDRINUSE"):
        RunningIssuer(port=taken)


# Web clients

BASE = "https://gateway.test:5007"
CALLBACK = f"{BASE}/.sessiond/callback"


def web_code(issuer: RunningIssuer, client: str, redirect_uri: str) -> dict[str, str]:
    """Return the answer to an authorization request, as the browser brings it back."""
    request = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "scope": "openid profile session.login",
        "state": "s",
        "nonce": "n",
        "code_challenge": challenge("v" * 43),
        "code_challenge_method": "S256",
    }
    with httpx.Client(timeout=10, trust_env=False) as browser:
        page = browser.get(issuer.authorization_endpoint, params=request)
        return walk(browser, page, {"login": ALICE, "password": "pw-alice"})


@pytest.mark.parametrize("client", ["kdb-web", "kdb-web-public"])
def test_a_web_client_signs_in_at_the_bases_that_a_test_registers(
    strict_issuer: RunningIssuer, http: httpx.Client, client: str
) -> None:
    strict_issuer.control.register_web_bases("https://other.test", BASE)

    answer = web_code(strict_issuer, client, CALLBACK)

    assert (answer["state"], answer["iss"]) == ("s", strict_issuer.issuer)
    redeem = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": "v" * 43,
    }
    if client == "kdb-web-public":
        given = http.post(strict_issuer.token_endpoint, data={**redeem, "client_id": client})
    else:
        proof = (client, f"{client}-secret")
        given = http.post(strict_issuer.token_endpoint, data=redeem, auth=proof)
    tokens = given.json()
    said = claims(tokens["access_token"])
    assert said["preferred_username"] == ALICE
    assert said["azp"] == client
    assert abs(said["auth_time"] - said["iat"]) < 60
    assert claims(tokens["id_token"])["nonce"] == "n"
    assert tokens["refresh_token"]


def test_a_web_client_comes_from_no_other_base(strict_issuer: RunningIssuer) -> None:
    strict_issuer.control.register_web_bases(BASE)
    with pytest.raises(LoginError, match="no form on the page: 400"):
        web_code(strict_issuer, "kdb-web", "https://other.test/.sessiond/callback")


def test_a_sign_out_leads_back_to_the_base(strict_issuer: RunningIssuer) -> None:
    strict_issuer.control.register_web_bases(BASE)
    metadata = httpx.get(
        f"{strict_issuer.issuer}/.well-known/openid-configuration", trust_env=False
    ).json()
    with httpx.Client(timeout=10, trust_env=False) as browser:
        leaving = {"client_id": "kdb-web", "post_logout_redirect_uri": CALLBACK}
        page = browser.get(metadata["end_session_endpoint"], params=leaving)
        form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        (action,) = re.findall(r'action="([^"]+)"', page.text)
        left = browser.post(action, data={**form, "logout": "yes"})
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert left.headers["location"].partition("?")[0] == CALLBACK
