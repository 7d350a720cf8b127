"""One sign-in for two processes: tickets on a real daemon, with tokens of a real issuer."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from sessiond.testing.calls import ticket_call
from tests.integration.conftest import Start
from tests.integration.estate import (
    BACKEND,
    GATEWAY,
    GUARDED,
    Estate,
    estate,
    remembered,
    with_tickets,
)
from tests.integration.operating import Operator, watching
from tests.integration.test_login import pair
from tests.integration.test_reload import reload
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import configuration

HANDLE = 7
NULL = -(2**63)


def access(issuer: RunningIssuer, user: str = ALICE) -> str:
    token: str = issuer.tokens(user)["access_token"]
    return token


def payload(ticket: str) -> dict[str, Any]:
    part = ticket.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_a_ticket_opens_a_session_at_another_process_once(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        first = two.gateway.log_in(ALICE, pair(strict_issuer.tokens()))
        ticket = two.ticket(first["session"])
        answer = two.backend.connect(ALICE, ticket, HANDLE)
        assert answer["ok"], answer
        again = two.backend.connect(ALICE, ticket, HANDLE)  # kdb+ tries a refused handshake twice
        assert again["session"] == answer["session"]
        two.backend.opened(answer["session"], HANDLE)
        two.backend.ping()
        assert two.backend.connect(ALICE, ticket, HANDLE)["reason"] == "revoked"
        assert two.backend.connect(ALICE, ticket, 8)["reason"] == "revoked"
    assert (answer["user"], answer["roles"]) == (ALICE, first["roles"])
    assert answer["expires"] == first["expires"]
    assert strict_issuer.control.calls("/token") == 0  # nobody was asked about it
    [let_in, *_] = daemon.logged(2, event="login", outcome="accepted", process=BACKEND)
    assert let_in["parent"] == str(first["session"])
    [refused, _] = daemon.logged(2, event="login", reason="revoked", process=BACKEND)
    assert "the ticket is spent" in refused["detail"]


def test_a_ticket_says_what_is_published_of_it(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(with_tickets(strict_issuer, 'issuer = "urn:sessiond:test"\nlifetime = 20\n'))
    with estate(daemon) as two:
        session = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        answer = two.gateway.ticket(session, BACKEND)
        claims = payload(remembered(answer["ticket"]))
        assert set(answer) == {"ok", "ticket", "expires", "reason"}
        assert (answer["ok"], answer["reason"]) == (True, "")
        assert answer["expires"] == (claims["exp"] - 946_684_800) * 10**9  # since 2000, in ns
        assert set(claims) == {"iss", "sub", "name", "aud", "sid", "jti", "iat", "exp"}
        assert claims["iss"] == "urn:sessiond:test"
        assert (claims["name"], claims["aud"], claims["sid"]) == (ALICE, BACKEND, str(session))
        assert 20 <= claims["exp"] - claims["iat"] <= 21


Spoil = Callable[[Estate, str], dict[str, Any]]
REFUSED: dict[str, tuple[Spoil, str]] = {
    "at another process": (lambda two, t: two.gateway.connect(ALICE, t, HANDLE), "wrongaudience"),
    "as another user": (lambda two, t: two.backend.connect(BOB, t, HANDLE), "usermismatch"),
    "with its mark once more": (
        lambda two, t: two.backend.connect(ALICE, f"ticket:{t}", HANDLE),
        "malformed",
    ),
    "as a bearer": (lambda two, t: two.backend.connect(ALICE, f"bearer:{t}"), "malformed"),
    "without its mark": (
        lambda two, t: two.backend.connect(ALICE, t.removeprefix("ticket:")),
        "wrongissuer",
    ),
    "with a refresh token": (
        lambda two, t: two.backend.connect(ALICE, f"{t};0.refresh-token-of-20"),
        "malformed",
    ),
    "cut short": (lambda two, t: two.backend.connect(ALICE, t[:-2]), "badsignature"),
    "with another signature": (
        lambda two, t: two.backend.connect(ALICE, f"{t.rpartition('.')[0]}.{'A' * 86}"),
        "badsignature",
    ),
    "too long": (lambda two, t: two.backend.connect(ALICE, t + "A" * 33_000), "toolarge"),
}


@pytest.mark.parametrize("how", [*REFUSED])
def test_a_ticket_that_is_presented_wrongly_is_refused_with_its_reason_and_not_spent(
    strict_issuer: RunningIssuer, start: Start, how: str
) -> None:
    present, reason = REFUSED[how]
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        session = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = two.ticket(session)
        answer = present(two, ticket)
        assert (answer["ok"], answer["reason"]) == (False, reason)
        assert two.backend.connect(ALICE, ticket, HANDLE)["ok"]


def test_an_access_token_is_no_ticket_and_a_ticket_of_another_daemon_neither(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        token = access(strict_issuer)
        assert two.backend.connect(ALICE, f"ticket:{token}")["reason"] == "wrongtype"
        session = two.gateway.log_in(ALICE, token)["session"]
        ticket = two.ticket(session)
        reload(daemon, with_tickets(strict_issuer, 'issuer = "urn:sessiond:other"\n'))
        assert two.backend.connect(ALICE, ticket)["reason"] == "wrongissuer"
        reload(daemon, with_tickets(strict_issuer))
        assert two.backend.connect(ALICE, ticket)["ok"]


def test_a_ticket_runs_out(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(with_tickets(strict_issuer, "lifetime = 1\n"))
    with estate(daemon) as two:
        session = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = two.ticket(session)
        for _ in range(1000):  # as nobody whom it is for, so that it is not spent
            reason = two.backend.connect(BOB, ticket)["reason"]
            if reason != "usermismatch":
                break
            time.sleep(0.01)
        assert reason == "expired"
        assert two.backend.connect(ALICE, ticket)["reason"] == "expired"


@pytest.mark.parametrize("how", ["disconnect", "revoke", "replaced", "process"])
def test_a_session_by_ticket_ends_with_its_parent_at_once(
    strict_issuer: RunningIssuer, start: Start, how: str
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two, Operator(daemon) as operator:
        parent = two.gateway.log_in(ALICE, access(strict_issuer), 5)["session"]
        child = two.hop(parent, HANDLE)["session"]
        unspent = two.ticket(parent)
        match how:
            case "disconnect":
                two.gateway.disconnect(5, parent)
            case "replaced":
                two.gateway.log_in(ALICE, access(strict_issuer), 5)
            case "revoke":
                operator.revoke(session=str(parent))
            case _:
                operator.revoke(process=GATEWAY)
        push = two.backend.next_push()
        assert (push["event"], push["session"], push["handle"]) == ("revoked", child, HANDLE)
        assert push["reason"] == "parent"
        assert two.backend.sessions() == []
        assert two.backend.connect(ALICE, unspent)["reason"] == "revoked"
        assert two.refused(parent) == "nosession"


def test_a_session_by_ticket_ends_with_the_token_of_its_parent(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    strict_issuer.control.set_access_token_lifetime(2)
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))
        child = two.hop(parent["session"])
        assert child["expires"] == parent["expires"]
        pushes = {two.backend.next_push()["event"], two.gateway.next_push()["event"]}
        assert pushes <= {"expired", "revoked"}
        assert two.backend.sessions() == two.gateway.sessions() == []


def test_a_refresh_of_the_parent_prolongs_the_child_and_its_refusal_ends_both(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, refresh="share = 0.1\njitter = 0.0"))
    strict_issuer.control.set_access_token_lifetime(20)
    with estate(daemon) as two:
        tokens = strict_issuer.tokens()
        parent = two.gateway.log_in(ALICE, pair(tokens))
        child = two.hop(parent["session"])
        push = two.backend.next_push()
        assert (push["event"], push["session"]) == ("refreshed", child["session"])
        assert push["expires"] > child["expires"]
        strict_issuer.control.revoke_user(ALICE)
        while (push := two.backend.next_push())["event"] == "refreshed":
            pass
        assert (push["event"], push["session"]) == ("revoked", child["session"])


def test_roles_are_the_parents_within_the_ceiling_of_the_process(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    strict_issuer.control.change_user(ALICE, roles=["trader"])
    narrow = GUARDED + 'roles = ["trad*"]\n'
    daemon = start(with_tickets(strict_issuer, access=narrow))
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))
        assert parent["roles"] == ["login", "trading"]
        assert two.hop(parent["session"])["roles"] == ["trading"]
        reload(daemon, with_tickets(strict_issuer, access=GUARDED + 'roles = ["nothing"]\n'))
        push = two.backend.next_push()
        assert (push["event"], push["reason"]) == ("revoked", "noroles")
        ticket = two.ticket(parent["session"])
        assert two.backend.connect(ALICE, ticket)["reason"] == "noroles"
        reload(daemon, with_tickets(strict_issuer, access=GUARDED + 'users = ["bob*"]\n'))
        assert two.backend.connect(ALICE, ticket)["reason"] == "notallowed"
        reload(daemon, with_tickets(strict_issuer))
        assert two.backend.connect(ALICE, ticket)["ok"]  # which was not spent by being refused


def test_the_audience_may_ask_how_long_ago_the_user_signed_in(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    asks = GUARDED + 'max_age = 60\nacr = ["phr"]\n'
    daemon = start(with_tickets(strict_issuer, access=asks))
    with estate(daemon) as two:
        for claims, reason in (
            ({}, "stepup"),
            ({"auth_time": int(time.time()) - 90, "acr": "phr"}, "stepup"),
            ({"auth_time": int(time.time()), "acr": "pwd"}, "stepup"),
            ({"auth_time": int(time.time()), "acr": "phr"}, ""),
        ):
            strict_issuer.control.change_user(ALICE, claims=claims)
            parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
            assert two.backend.connect(ALICE, two.ticket(parent))["reason"] == reason


@pytest.mark.parametrize("depth", [1, 2])
def test_a_session_by_ticket_gets_none_beyond_the_depth(
    strict_issuer: RunningIssuer, start: Start, depth: int
) -> None:
    daemon = start(with_tickets(strict_issuer, f"depth = {depth}\n"))
    with estate(daemon, names=("rdb0", BACKEND)) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer), 5)["session"]
        child = two.hop(parent)["session"]
        onward = two.backend.ticket(child, "rdb0")
        if depth == 1:
            assert (onward["ok"], onward["reason"]) == (False, "depth")
            return
        grandchild = two.gateway.log_in(ALICE, remembered(onward["ticket"]), 6)["session"]
        assert two.refused(grandchild) == "depth"
        two.gateway.disconnect(5, parent)
        assert two.backend.next_push()["session"] == child
        assert two.gateway.next_push()["session"] == grandchild


def test_there_is_no_ticket_for_a_session_that_is_not_the_askers_own_and_open(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        assert two.refused(UUID(int=1)) == "nosession"
        unopened = two.gateway.connect(ALICE, access(strict_issuer), 5)["session"]
        assert two.refused(unopened) == "nosession"
        theirs = two.backend.log_in(ALICE, access(strict_issuer), 5)["session"]
        assert two.refused(theirs) == "nosession"


@pytest.mark.parametrize("audience", ["hdb1", "rdb1@elsewhere.example", "", "rdb1@", GATEWAY])
def test_there_is_no_ticket_for_an_audience_that_is_not_configured(
    strict_issuer: RunningIssuer, start: Start, audience: str
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        session = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        assert two.refused(session, audience) == "notallowed"


def test_a_call_that_is_wrong_is_a_q_error_and_the_connection_stays(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        session = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        with pytest.raises(Exception, match="audience must be printable"):
            two.gateway.ticket(session, "rdb\n1")
        with pytest.raises(Exception, match="audience must be printable"):
            two.gateway.ticket(session, "r" * 513)
        two.gateway.tell(ticket_call(session, BACKEND))  # async
        assert two.ticket(session)


def test_a_session_by_ticket_is_not_renewed_and_a_ticket_renews_none(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        child = two.hop(parent)["session"]
        assert two.backend.renew(child, access(strict_issuer))["reason"] == "wrongtype"
        assert two.backend.renew(child, two.ticket(parent))["reason"] == "wrongtype"
        assert two.gateway.renew(parent, two.ticket(parent))["reason"] == "wrongtype"
        assert [each["session"] for each in two.backend.sessions()] == [child]


def test_a_ticket_in_an_authorization_header_lets_nobody_in(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = two.ticket(parent)
        answer = two.backend.web("/", bearer=ticket)
        assert (answer["action"], answer["status"], answer["reason"]) == ("deny", 401, "malformed")
        answer = two.backend.web("/", bearer=ticket.removeprefix("ticket:"))
        assert (answer["action"], answer["reason"]) == ("deny", "wrongissuer")


def test_tickets_that_are_turned_off_open_nothing_and_what_they_have_opened_stays(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two, Operator(daemon) as operator:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        child = two.hop(parent)["session"]
        unspent = two.ticket(parent)
        reload(daemon, configuration(strict_issuer) + GUARDED)
        assert two.refused(parent) == "notallowed"
        assert two.backend.connect(ALICE, unspent)["reason"] == "wrongissuer"
        assert operator.get("/v1/keys") == {"keys": []}
        assert operator.get("/v1/status")["tickets"] is None
        assert [each["session"] for each in two.backend.sessions()] == [child]
        reload(daemon, with_tickets(strict_issuer))
        assert two.backend.connect(ALICE, unspent)["ok"]


def test_a_ticket_and_its_session_outlive_a_kill(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, "lifetime = 300\n", login="grace = 60"))
    with estate(daemon) as two, Operator(daemon) as operator:
        parent = two.gateway.log_in(ALICE, access(strict_issuer), 5)["session"]
        child = two.hop(parent)["session"]
        spent, unspent = two.ticket(parent), two.ticket(parent)
        assert two.backend.log_in(ALICE, spent, 8)["ok"]
        keys = operator.get("/v1/keys")
        daemon.kill()
    daemon.start()
    with estate(daemon) as two, Operator(daemon) as operator:
        assert operator.get("/v1/keys") == keys
        assert two.backend.connect(ALICE, spent, 9)["reason"] == "revoked"
        assert two.backend.connect(ALICE, unspent, 9)["ok"]
        listed = operator.get("/v1/sessions")["sessions"]
        assert {each["parent"] for each in listed} == {None, str(parent)}
        assert str(child) in {each["session"] for each in listed}
        operator.revoke(session=str(parent))
        assert operator.get("/v1/sessions")["sessions"] == []


def test_operators_see_who_came_by_ticket_and_from_where(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, 'issuer = "urn:sessiond:test"\n'))
    with estate(daemon) as two, Operator(daemon) as operator:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        child = two.hop(parent)["session"]
        assert two.refused(parent, "hdb1") == "notallowed"
        assert two.backend.connect(ALICE, f"ticket:{access(strict_issuer)}")["ok"] is False
        shown = operator.get(f"/v1/sessions/{child}")
        assert (shown["parent"], shown["state"]) == (str(parent), "open")
        with watching(daemon, after=0) as stream:
            opened = [each for each in stream.until("login.refused") if "opened" in each["kind"]]
        assert [each["parent"] for each in opened] == [None, str(parent)]
        status = operator.get("/v1/status")["tickets"]
        [key] = status.pop("keys")
        assert key["is_signing"]
        next_key = status.pop("next_key_at")
        assert next_key > key["signs_at"]
        assert status == {
            "issuer": "urn:sessiond:test",
            "issued": 1,
            "exchanged": 0,
            "spent": 1,
            "refused": 2,
        }
        metrics = operator.ask("GET", "/metrics").text
    for line in (
        'sessiond_tickets_issued_total{by="call"} 1.0',
        "sessiond_tickets_spent_total 1.0",
        'sessiond_tickets_refused_total{at="call",reason="notallowed"} 1.0',
        'sessiond_tickets_refused_total{at="login",reason="wrongtype"} 1.0',
    ):
        assert line in metrics


def test_a_ticket_is_explained_and_not_spent_by_it(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, access=GUARDED + 'roles = ["trad*"]\n'))
    with estate(daemon) as two, Operator(daemon) as operator:
        parent = two.gateway.log_in(ALICE, access(strict_issuer), 5)["session"]
        ticket = two.ticket(parent)

        def explained(user: str = ALICE, process: str = BACKEND) -> dict[str, Any]:
            body = {"user": user, "password": ticket, "process": {"name": process}}
            found: dict[str, Any] = operator.ask("POST", "/v1/explain", json=body).json()
            return found

        found = explained()
        assert found["accepted"]
        assert [each["outcome"] for each in found["checks"]] == ["passed"] * 8
        assert (found["user"], found["roles"]) == (ALICE, ["trading"])
        assert explained(process="rdb2")["reason"] == "wrongaudience"
        assert explained(BOB)["reason"] == "usermismatch"
        assert two.backend.log_in(ALICE, ticket, HANDLE)["ok"]
        spent = explained()
        assert (spent["accepted"], spent["reason"]) == (False, "revoked")
        assert spent["checks"][-1]["detail"].startswith("the ticket is spent")
        later = two.ticket(parent)
        two.gateway.disconnect(5, parent)
        two.backend.next_push()
        ticket = later
        assert explained()["reason"] == "revoked"
