"""A program exchanges a user's access token for a ticket, and anybody checks one by the keys."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt as pyjwt
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.integration.conftest import Start
from tests.integration.estate import BACKEND, estate, remembered, with_tickets
from tests.integration.operating import Operator, control_of, watching
from tests.integration.test_asking import INTROSPECTION, keep_secret, subject
from tests.integration.test_control_socket import as_root
from tests.integration.test_reload import reload
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
EXCHANGERS = f"exchangers = [{os.geteuid()}]\n"
NOBODY = 65534  # a user, and a group


def form(token: str, audience: str = BACKEND, **others: str) -> dict[str, str]:
    return {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": audience,
        **others,
    }


def access(issuer: RunningIssuer, user: str = ALICE, **how: Any) -> str:
    token: str = issuer.tokens(user, **how)["access_token"]
    return token


def test_a_stock_oauth_client_gets_a_ticket_for_a_token(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, EXCHANGERS))
    transport = httpx.HTTPTransport(uds=control_of(daemon))
    token = access(strict_issuer)
    with (
        OAuth2Client("dashboard", transport=transport, token_endpoint_auth_method="none") as client,
        estate(daemon) as two,
    ):
        found = client.fetch_token(
            "http://sessiond/v1/token",
            grant_type=EXCHANGE,
            subject_token=token,
            subject_token_type=ACCESS_TOKEN,
            audience=BACKEND,
        )
        assert found["issued_token_type"] == JWT
        assert found["token_type"] == "N_A"
        assert 28 <= found["expires_in"] <= 31
        ticket = remembered(found["access_token"])
        assert ticket.startswith("eyJ")
        answer = two.backend.log_in(ALICE, f"ticket:{ticket}", 7)
        assert answer["roles"] == ["login", "trading"]
        assert two.backend.connect(ALICE, f"ticket:{ticket}", 8)["reason"] == "revoked"
        with Operator(daemon) as operator:
            [shown] = operator.get("/v1/sessions")["sessions"]
            assert shown["parent"] is None
            claims = pyjwt.decode(token, options={"verify_signature": False})
            assert moment(claims["exp"]) == shown["expires_at"][:19]
            operator.revoke(user=ALICE)
        assert two.backend.next_push()["reason"] == "operator"


def moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


@pytest.mark.needs("curl")
def test_curl_gets_a_ticket_for_a_token(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(with_tickets(strict_issuer, EXCHANGERS))
    given = [
        part for pair in form(access(strict_issuer)).items() for part in ("-d", "=".join(pair))
    ]
    ran = subprocess.run(
        ["curl", "-sS", "-i", "--unix-socket", control_of(daemon), "http://d/v1/token", *given],
        capture_output=True,
        text=True,
        check=True,
    )
    head, _, body = ran.stdout.replace("\r\n", "\n").partition("\n\n")
    assert "200 OK" in head
    assert "cache-control: no-store" in head.lower()
    found = json.loads(body)
    assert set(found) == {"access_token", "issued_token_type", "token_type", "expires_in"}
    remembered(found["access_token"])


def test_anybody_checks_a_ticket_by_the_published_keys_without_spending_it(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two, Operator(daemon) as operator:
        session = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = two.ticket(session)
        keys = operator.get("/v1/keys")
        token = ticket.removeprefix("ticket:")
        by_pyjwt = pyjwt.decode(
            token,
            pyjwt.PyJWKSet.from_dict(keys)[pyjwt.get_unverified_header(token)["kid"]].key,
            algorithms=["EdDSA"],
            audience=BACKEND,
            issuer=f"urn:sessiond:{socket.gethostname().lower()}",
        )
        assert by_pyjwt["name"] == ALICE
        with pytest.warns(Warning, match="EdDSA"):
            checked = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["EdDSA"])
        assert checked.claims == by_pyjwt
        assert checked.header["typ"] == "sessiond-ticket+jwt"
        assert two.backend.connect(ALICE, ticket)["ok"]


CASES: dict[str, tuple[dict[str, str], str]] = {
    "another grant": ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    "no grant": ({"grant_type": ""}, "invalid_request"),
    "no token": ({"subject_token": ""}, "invalid_request"),
    "no type": ({"subject_token_type": ""}, "invalid_request"),
    "an id_token": (
        {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        "invalid_request",
    ),
    "an actor": ({"actor_token": "x", "actor_token_type": JWT}, "invalid_request"),
    "a scope": ({"scope": "read"}, "invalid_scope"),
    "a resource": ({"resource": "https://x.example"}, "invalid_target"),
    "no audience": ({"audience": ""}, "invalid_target"),
    "an audience that is not configured": ({"audience": "hdb1"}, "invalid_target"),
    "one of another host": ({"audience": "rdb1@elsewhere"}, "invalid_target"),
    "another result": ({"requested_token_type": ACCESS_TOKEN}, "invalid_request"),
    "a broken token": ({"subject_token": "eyJhbGciOiJub25lIn0.e30.x"}, "invalid_request"),
    "a ticket": ({"subject_token": "ticket:eyJhbGciOiJub25lIn0.e30.x"}, "invalid_request"),
    "a pair": (
        {"subject_token": "opaqueAccessToken012;refresh-token-of-20c"},
        "invalid_request",
    ),
}


@pytest.fixture(scope="module")
def daemon(running_strict_issuer: RunningIssuer, start_shared: Start) -> RunningDaemon:
    return start_shared(with_tickets(running_strict_issuer, EXCHANGERS))


@pytest.mark.parametrize("what", [*CASES])
def test_what_is_not_done_here_is_refused_in_the_words_of_the_rfc(
    daemon: RunningDaemon, strict_issuer: RunningIssuer, what: str
) -> None:
    changed, error = CASES[what]
    with Operator(daemon) as operator:
        answer = operator.ask("POST", "/v1/token", data=form(access(strict_issuer), **changed))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error
    assert set(body["error_description"]).isdisjoint('"\\')
    assert body["error_description"].isascii()


def test_a_parameter_twice_a_body_that_is_no_form_and_an_unknown_parameter(
    daemon: RunningDaemon, strict_issuer: RunningIssuer
) -> None:
    token = access(strict_issuer)
    with Operator(daemon) as operator:

        def asked(content: str) -> tuple[int, Any]:
            headers = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
            answer = operator.ask("POST", "/v1/token", content=content, headers=headers)
            return answer.status_code, answer.json().get("error")

        good = str(httpx.QueryParams(form(token)))
        assert asked(good + "&foo=bar&scope=") == (200, None)
        assert asked(good + "&subject_token=x") == (400, "invalid_request")
        assert asked(good + "&audience=rdb2") == (400, "invalid_target")
        assert asked(good + "&x=%ff") == (400, "invalid_request")
        assert asked(good + "&" + "x=1&" * 200) == (400, "invalid_request")
        assert asked("") == (400, "invalid_request")
        assert operator.ask("POST", "/v1/token", json={"grant_type": EXCHANGE}).status_code == 415
        assert operator.ask("GET", "/v1/token").status_code == 405
        too_long = operator.ask("POST", "/v1/token", data=form("x" * 200_000))
        assert too_long.status_code == 413


def test_a_peer_who_is_not_among_the_exchangers_gets_a_key_and_no_ticket(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    as_root()
    listen = f"control_group = {NOBODY}\n"
    daemon = start(with_tickets(strict_issuer, EXCHANGERS, listen=listen))
    daemon.folder.chmod(0o755)
    program = f"""
        import httpx, os, sys
        with httpx.Client(transport=httpx.HTTPTransport(uds=sys.argv[1])) as client:
            os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
            refused = client.post("http://x/v1/token", data={{"grant_type": "x"}})
            print(refused.status_code, refused.json()["error"])
            for path in ("keys", "status"):
                print(client.get("http://x/v1/" + path).status_code)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), control_of(daemon)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split("\n")[:3] == ["400 unauthorized_client", "200", "403"]


def test_a_token_that_the_issuer_refuses_or_that_was_revoked_is_exchanged_for_nothing(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, EXCHANGERS))
    token = access(strict_issuer)
    with Operator(daemon) as operator:
        operator.revoke(user=ALICE)
        answer = operator.ask("POST", "/v1/token", data=form(token))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert answer.json()["error_description"] == "the subject token is refused: revoked"
        with watching(daemon, after=0) as stream:
            refused = stream.until("login.refused")[-1]
        assert (refused["reason"], refused["issuer"], refused["process"]) == (
            "revoked",
            "corp",
            None,
        )
    [told] = daemon.logged(1, event="exchange", outcome="refused")
    assert told["reason"] == "revoked"


def test_an_issuer_that_is_asked_about_each_token_is_asked_and_may_be_away(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    keep_secret(folder)
    daemon = start(with_tickets(strict_issuer, EXCHANGERS, extra=INTROSPECTION))
    token = access(strict_issuer, client="qstudio-opaque")
    with Operator(daemon) as operator, estate(daemon) as two:
        answer = operator.ask("POST", "/v1/token", data=form(token))
        assert answer.status_code == 200, answer.text
        ticket = remembered(answer.json()["access_token"])
        user = subject(strict_issuer, token)
        assert two.backend.log_in(user, f"ticket:{ticket}")["ok"]
        other = access(strict_issuer, client="qstudio-opaque")
        strict_issuer.control.fault("/introspect", status=503)
        answer = operator.ask("POST", "/v1/token", data=form(other))
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"


def test_a_ticket_for_a_token_outlives_a_kill_and_a_reload_but_not_another_issuer(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    text = with_tickets(strict_issuer, EXCHANGERS + "lifetime = 300\n")
    daemon = start(text)
    with Operator(daemon) as operator:
        tickets = [
            remembered(
                operator.ask("POST", "/v1/token", data=form(access(strict_issuer))).json()[
                    "access_token"
                ]
            )
            for _ in range(3)
        ]
        reload(daemon, text + "\n# the same\n")
        daemon.kill()
    daemon.start()
    with estate(daemon) as two:
        assert two.backend.log_in(ALICE, f"ticket:{tickets[0]}", 7)["ok"]
        changed = text.replace('audience = ["api://kdb"]', 'audience = ["api://other"]')
        assert changed != text
        reload(daemon, changed)
        assert two.backend.connect(ALICE, f"ticket:{tickets[1]}", 8)["reason"] == "unavailable"
        daemon.kill()
    daemon.start()  # and numbers its issuers anew

    with estate(daemon) as two:
        assert two.backend.connect(ALICE, f"ticket:{tickets[1]}", 8)["reason"] == "unavailable"
