"""Bearers over HTTP: the call `web` with an access token, at a running daemon."""

import re
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sessiond.qipc import QType, Value, call, guid, int_, mapping
from sessiond.testing import FakeProcess
from sessiond.testing.calls import web_call
from sessiond.testing.plain import instant, plain, plain_dict
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator, watching
from tests.integration.test_access import ceiling, names
from tests.integration.test_asking import INTROSPECTION, OPAQUE, keep_secret
from tests.integration.test_login import ROLES
from tests.integration.test_reload import reload
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import configuration

MINUTE = 60 * 10**9  # nanoseconds, as a timespan counts
NOBODY = {"user": "", "session": UUID(int=0), "roles": [], "attributes": {}, "expires": -(2**63)}
NO_RESPONSE = {"status": 0, "headers": "", "body": "", "signout": "", "reason": ""}
ANOTHER = """
[[issuer]]
name = "other"
issuer = "https://other.example.com/"
verify = "jwt"
audience = ["a"]
users = ["other*"]
"""
KEYS = {
    "action": QType.SYMBOL,
    "user": QType.SYMBOL,
    "session": QType.GUID,
    "roles": QType.SYMBOL,
    "attributes": QType.DICTIONARY,
    "expires": QType.TIMESTAMP,
    "status": QType.INT,
    "headers": QType.CHAR,
    "body": QType.CHAR,
    "signout": QType.CHAR,
    "reason": QType.SYMBOL,
    "keep": QType.TIMESPAN,
}


def bearer(issuer: RunningIssuer, user: str = ALICE) -> str:
    """Return an access token, which is good for a few minutes."""
    token: str = issuer.tokens(user)["access_token"]
    return token


def challenge(answer: dict[str, Any]) -> dict[str, str]:
    """Return the parameters of the answer's one WWW-Authenticate (RFC 6750, 3)."""
    [line] = [each for each in answer["headers"].split("\r\n") if each.startswith("WWW-")]
    assert line.startswith("WWW-Authenticate: Bearer ")
    return dict(re.findall(r'(\w+)="([^"]*)"', line))


def denial(answer: dict[str, Any]) -> tuple[str, int, str]:
    """Return what a refused bearer is told, once nothing else is in the answer."""
    assert {name: answer[name] for name in NOBODY} == NOBODY
    assert (answer["signout"], answer["keep"]) == ("", 0)
    return answer["action"], answer["status"], answer["reason"]


def opened(q: FakeProcess, session: UUID, handle: int) -> UUID:
    """Say that a websocket was opened under a session; return the one of its handle."""
    answer: UUID = plain(q.sync(call("opened", guid(session), int_(handle))))
    return answer


def test_a_bearer_is_let_in_under_the_tokens_own_name(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer, extra=ROLES)))
    sent = q.sync(web_call("/data?f=1", bearer=bearer(strict_issuer), host="whatever:1"))
    kinds: dict[str, Value] = mapping(sent)
    assert {name: getattr(value, "type", QType.DICTIONARY) for name, value in kinds.items()} == KEYS
    assert list(kinds) == list(KEYS)
    answer = plain_dict(sent)
    expires_at = instant(answer["expires"])
    assert expires_at is not None
    assert 0 < expires_at.timestamp() - time.time() < 3600
    assert answer == NO_RESPONSE | {
        "action": "allow",
        "user": ALICE,
        "session": answer["session"],
        "roles": ["everyone", "login", "trading"],
        "attributes": {"tenant": "11111111-2222-4333-8444-555555555555"},
        "expires": answer["expires"],
        "keep": MINUTE,
    }
    assert answer["session"] != UUID(int=0)


def test_the_same_bearer_at_one_process_is_one_session_which_is_told_of_once(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    one, other_one = bearer(strict_issuer), bearer(strict_issuer)
    with PeerFarm(daemon.address, 2) as farm:
        q, second = (FakeProcess(each) for each in farm.sockets)
        q.hello("gw1")
        second.hello("gw2")
        first = q.web(bearer=one)["session"]
        assert {q.web(f"/{number}", bearer=one)["session"] for number in range(3)} == {first}
        assert q.web(bearer=other_one)["session"] != first
        elsewhere = second.web(bearer=one)["session"]
        assert elsewhere != first
        assert [(each["handle"], each["session"]) for each in second.sessions()] == [(0, elsewhere)]
        with Operator(daemon) as operator:
            listed = operator.get("/v1/sessions")["sessions"]
        assert {each["state"] for each in listed} == {"web"}
        assert len(listed) == 3
        with watching(daemon, after=0) as stream:
            told = [stream.until("session.opened")[-1] for _ in listed]
        assert {each["session"] for each in told} == {each["session"] for each in listed}
        assert {(each["user"], each["handle"]) for each in told} == {(ALICE, 0)}
        q.close()
        second.close()


def test_each_bad_bearer_is_refused_with_its_reason_and_the_challenge_for_it(
    strict_issuer: RunningIssuer, entra_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    token = bearer(strict_issuer)
    head, body, signature = token.split(".")
    presented = {
        "an ordinary password": (401, "malformed", "invalid_token"),
        "x" * (32 * 1024 + 1): (401, "toolarge", "invalid_token"),
        f"{token};{'r' * 40}": (401, "malformed", "invalid_token"),
        f"bearer:{token}": (401, "malformed", "invalid_token"),
        f"{head}.{body}.{'A' * len(signature)}": (401, "badsignature", "invalid_token"),
        bearer(entra_issuer): (401, "wrongissuer", "invalid_token"),
        strict_issuer.tokens(resource="api://kdb-ec")["access_token"]: (
            *(401, "wrongaudience", "invalid_token"),
        ),
        strict_issuer.app_token(): (401, "wrongtype", "invalid_token"),
    }
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    for sent, (status, reason, error) in presented.items():
        answer = q.web(bearer=sent, cookie="a=b", accept="text/html")
        assert denial(answer) == ("deny", status, reason)
        said = challenge(answer)
        assert said["error"] == error
        assert said["error_description"].isascii()
        assert not [each for each in (sent, sent[:20]) if each in answer["headers"]]
    assert q.sessions() == []
    lines = daemon.logged(len(presented), event="web request", outcome="deny")
    assert {each["reason"] for each in lines} == {each[1] for each in presented.values()}
    assert all(", wanted " in each["detail"] for each in lines)
    with watching(daemon, after=0) as stream:
        told = stream.until("login.refused")
    assert {each["user"] for each in told} == {""}


def test_who_may_not_be_here_or_has_no_role_is_told_that_his_scope_is_too_small(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    required = 'require_role = true\nrole_names = ["nothing"]\n'
    daemon = start(configuration(strict_issuer, extra=required))
    q = process(daemon)
    answer = q.web(bearer=bearer(strict_issuer))
    assert denial(answer) == ("deny", 403, "noroles")
    assert challenge(answer)["error"] == "insufficient_scope"
    reload(daemon, names(strict_issuer, ceiling("gw*", users='["bob*"]')))
    answer = q.web(bearer=bearer(strict_issuer))
    assert denial(answer) == ("deny", 403, "notallowed")
    assert challenge(answer)["error"] == "insufficient_scope"
    assert q.web(bearer=bearer(strict_issuer, BOB))["user"] == BOB


def test_who_signed_in_too_long_ago_is_told_what_to_ask_the_issuer_for(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(names(strict_issuer, ceiling(max_age=60, acr='["phr", "phrh"]'))))
    answer = q.web(bearer=bearer(strict_issuer))
    assert denial(answer) == ("deny", 401, "stepup")
    said = challenge(answer)
    assert said["error"] == "insufficient_user_authentication"  # RFC 9470, 3
    assert (said["max_age"], said["acr_values"]) == ("60", "phr phrh")
    now = int(time.time())
    strict_issuer.control.change_user(ALICE, claims={"auth_time": now, "acr": "phr"})
    assert q.web(bearer=bearer(strict_issuer))["action"] == "allow"


def test_a_revoked_bearer_is_told_by_a_push_with_handle_0_and_denied_from_then_on(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q, token = process(daemon), bearer(strict_issuer)
    session = q.web(bearer=token)["session"]
    with Operator(daemon) as operator:
        assert operator.revoke(user=ALICE)["revoked"] == 1
    push = q.next_push()
    assert (push["event"], push["session"], push["handle"]) == ("revoked", session, 0)
    assert denial(q.web(bearer=token)) == ("deny", 401, "revoked")
    assert q.sessions() == []


def test_a_bearers_session_ends_with_its_token(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(1)
    q = process(start(configuration(strict_issuer)))
    token = bearer(strict_issuer)
    while (answer := q.web(bearer=token))["action"] == "allow":
        push = q.next_push()  # the deadline of this loop is the token's
        assert (push["event"], push["handle"]) == ("expired", 0)
        assert push["session"] == answer["session"]
    assert denial(answer) == ("deny", 401, "expired")


def test_a_session_that_is_not_used_ends_and_the_next_request_makes_another(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer, web="idle = 1.0")))
    token = bearer(strict_issuer)
    first = q.web(bearer=token)
    assert first["keep"] == 10**8  # a tenth of `idle`, in nanoseconds
    push = q.next_push()
    assert (push["session"], push["handle"]) == (first["session"], 0)
    again = q.web(bearer=token)
    assert again["action"] == "allow"
    assert again["session"] != first["session"]


def test_a_session_survives_the_daemons_kill_and_its_own_process_coming_back(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    token = bearer(strict_issuer)
    q = process(daemon)
    session = q.web(bearer=token)["session"]
    daemon.kill()
    daemon.start()
    back = process(daemon)
    assert [each["session"] for each in back.sessions()] == [session]
    assert back.reconcile({}) == []  # which has nothing to do with it
    assert back.web(bearer=token)["session"] == session


def test_a_session_ends_with_a_process_that_stays_away(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer, login="grace = 0.5"))
    with FakeProcess(daemon.address) as q:
        q.hello()
        session = q.web(bearer=bearer(strict_issuer))["session"]
    with watching(daemon, after=0) as stream:
        closed = stream.until("session.closed")[-1]
    assert (closed["session"], closed["reason"]) == (str(session), "lost")


def test_a_websocket_under_a_session_is_closed_with_it(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    session = q.web(bearer=bearer(strict_issuer))["session"]
    child = opened(q, session, 9)
    assert child not in (session, UUID(int=0))
    held = {each["handle"]: each["session"] for each in q.sessions()}
    assert held == {0: session, 9: child}
    with Operator(daemon) as operator:
        listed = operator.get("/v1/sessions")["sessions"]
        assert {each["session"]: each["parent"] for each in listed} == {
            str(session): None,
            str(child): str(session),
        }
        assert operator.revoke(session=str(session))["revoked"] >= 1
    pushes = {push["handle"]: push for push in (q.next_push(), q.next_push())}
    assert pushes[0]["session"] == session
    assert (pushes[9]["session"], pushes[9]["reason"]) == (child, "parent")
    assert q.sessions() == []
    assert opened(q, session, 9) == UUID(int=0)
    push = q.next_push()
    assert (push["event"], push["handle"], push["reason"]) == ("revoked", 9, "unbound")


def test_nobody_opens_a_websocket_under_another_processs_session(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    with PeerFarm(daemon.address, 2) as farm:
        q, thief = (FakeProcess(each) for each in farm.sockets)
        q.hello("gw1")
        thief.hello("gw2")
        session = q.web(bearer=bearer(strict_issuer))["session"]
        assert opened(thief, session, 9) == UUID(int=0)
        assert [each["handle"] for each in q.sessions()] == [0]
        q.close()
        thief.close()


def test_an_opaque_bearer_goes_to_the_only_issuer_that_there_is(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    keep_secret(folder)
    token = strict_issuer.tokens(client=OPAQUE)["access_token"]
    alone = configuration(strict_issuer, extra=INTROSPECTION + 'users = ["sub-*"]\n')
    daemon = start(alone)
    q = process(daemon)
    answer = q.web(bearer=token)
    assert (answer["action"], answer["user"]) == (
        "allow",
        strict_issuer.introspect(token)["sub"],
    )
    reload(daemon, alone + ANOTHER)
    fresh = strict_issuer.tokens(client=OPAQUE)["access_token"]
    assert denial(q.web(bearer=fresh)) == ("deny", 401, "wrongissuer")


def test_where_no_verdict_can_be_had_the_bearer_is_told_to_come_again(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    keep_secret(folder)
    strict_issuer.control.fault("/introspect", "hang", count=10)
    login = "deadline = 0.5\nwaiting = 1"
    daemon = start(configuration(strict_issuer, extra=INTROSPECTION, login=login))
    tokens = [strict_issuer.tokens(client=OPAQUE)["access_token"] for _ in range(2)]
    q = process(daemon)
    q.ask(web_call(bearer=tokens[0]))
    q.ask(web_call(bearer=tokens[1]))
    late, throttled = (plain_dict(q.answer()) for _ in tokens)
    assert denial(late) == ("deny", 503, "deadline")
    assert denial(throttled) == ("deny", 429, "throttled")
    assert "Retry-After: " in late["headers"]
    assert "Retry-After: " in throttled["headers"]


@pytest.mark.parametrize(
    ("key", "length", "status"),
    [
        ("target", 16 << 10, 414),
        ("cookie", 16 << 10, 431),
        ("accept", 4 << 10, 431),
        ("origin", 4 << 10, 431),
        ("host", 4 << 10, 431),
        ("site", 4 << 10, 431),
    ],
)
def test_what_is_too_long_is_denied_and_the_connection_goes_on(
    strict_issuer: RunningIssuer,
    start: Start,
    process: Connected,
    key: str,
    length: int,
    status: int,
) -> None:
    q = process(start(configuration(strict_issuer)))
    assert denial(q.web(**{key: "x" * (length + 1)})) == ("deny", status, "toolarge")
    assert q.web(**{key: "x" * length})["status"] != status
    assert q.web(bearer=bearer(strict_issuer))["action"] == "allow"


def test_without_web_in_the_configuration_all_else_is_asked_for_a_password(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer)))
    for said in ({}, {"accept": "text/html"}, {"cookie": "sessiond-80=x"}, {"host": "evil"}):
        answer = q.web("/.sessiond/callback?code=a&state=b", **said)
        assert answer == NOBODY | NO_RESPONSE | {"action": "basic", "keep": 0}
