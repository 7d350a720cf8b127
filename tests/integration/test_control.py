"""Operators at a real daemon's control socket: they see what there is, and what they end, ends."""

import re
import socket
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from sessiond.testing import FakeProcess
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator, control_of, watching
from tests.integration.test_asking import INTROSPECTION, keep_secret
from tests.integration.test_login import pair
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import configuration

OPAQUE = "qstudio-opaque"


def test_a_revoked_user_is_out_at_once_and_stays_out_until_forgiven(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    tokens, other = pair(strict_issuer.tokens()), strict_issuer.tokens(BOB)["access_token"]
    with FakeProcess(daemon.address) as q, Operator(daemon) as operator:
        q.hello()
        sessions = {q.log_in(ALICE, tokens, handle)["session"] for handle in (5, 6)}
        q.log_in(BOB, other, 7)
        answer = operator.revoke(user=ALICE.upper())
        assert answer["revoked"] == 2
        told = [q.next_push() for _ in range(2)]
        assert {push["session"] for push in told} == sessions
        assert {(push["event"], push["reason"]) for push in told} == {("revoked", "operator")}
        assert [each["user"] for each in q.sessions()] == [BOB]
        assert q.connect(ALICE, tokens, 8)["reason"] == "revoked"
    daemon.stop()
    daemon.start()
    with FakeProcess(daemon.address) as q, Operator(daemon) as operator:
        q.hello()
        assert q.connect(ALICE, tokens, 8)["reason"] == "revoked"
        (in_force,) = operator.get("/v1/revocations")["revocations"]
        assert (in_force["id"], in_force["value"]) == (answer["id"], ALICE)
        assert operator.ask("DELETE", f"/v1/revocations/{answer['id']}").status_code == 204
        assert q.connect(ALICE, tokens, 8)["ok"]


def test_the_push_is_on_its_way_before_the_answer(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    session = q.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"]
    with Operator(daemon) as operator:
        assert operator.revoke(session=str(session)) == {"revoked": 1, "id": None}
    q.socket.setblocking(False)  # what is not there now was not sent before the answer
    assert q.next_push()["session"] == session
    q.socket.setblocking(True)
    assert q.connect(ALICE, strict_issuer.tokens()["access_token"], 6)["ok"]  # it does not last


def test_a_process_is_emptied_by_what_it_calls_itself(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    token = strict_issuer.tokens()["access_token"]
    for handle in (5, 6):
        q.log_in(ALICE, token, handle)
    with Operator(daemon) as operator:
        assert operator.revoke(process="gw2")["revoked"] == 0
        assert operator.revoke(process="gw1:4711")["revoked"] == 2
        assert operator.get("/v1/sessions")["sessions"] == []
    assert q.connect(ALICE, token, 7)["ok"]


def test_revoked_tokens_do_not_renew_a_session_that_newer_ones_have_opened(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    old = strict_issuer.tokens()["access_token"]
    with Operator(daemon) as operator:
        operator.revoke(all=True)
    assert q.connect(ALICE, old)["reason"] == "revoked"
    while not (answer := q.connect(ALICE, strict_issuer.tokens()["access_token"]))["ok"]:
        assert answer["reason"] == "revoked"  # of the second in which it was revoked
    q.opened(answer["session"], 5)
    assert q.renew(answer["session"], old)["reason"] == "revoked"
    assert [each["session"] for each in q.sessions()] == [answer["session"]]


def test_what_is_seen_is_what_there_is(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
    q.connect(BOB, strict_issuer.tokens(BOB)["access_token"], 6)
    with Operator(daemon) as operator:
        status = operator.get("/v1/status")
        assert status["sessions"] == {"unbound": 1, "open": 1, "waiting": 0, "web": 0}
        assert (status["connections"], status["grants"]) == (1, 2)
        assert status["issuers"][0]["healthy"]
        assert status["store"]["path"] == str(daemon.database.resolve())
        assert status["store"]["bytes"] > 4096
        assert status["next_refresh_at"] is not None
        (found,) = operator.get("/v1/sessions", user=ALICE)["sessions"]
        shown = operator.get(f"/v1/sessions/{session}")
        assert shown.pop("because") == {"roles": {}, "cut": []}
        assert shown == found
        assert found["process"] == {
            "name": "gw1",
            "type": "gateway",
            "host": "host1",
            "pid": 4711,
        }
        assert (found["handle"], found["state"]) == (5, "open")
        assert operator.get("/healthz") == {"status": "ok"}
        assert "/v1/sessions" in operator.get("/openapi.json")["paths"]
        metrics = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(operator.ask("GET", "/metrics").text)
            for sample in family.samples
        }
    assert metrics["sessiond_sessions", "open"] == 1
    assert metrics["sessiond_logins_total", "corp", "opened", ""] == 1
    assert metrics["sessiond_connections",] == 1


def test_events_are_resumed_over_a_restart_without_loss(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    token = strict_issuer.tokens()["access_token"]
    with FakeProcess(daemon.address) as q:
        q.hello()
        q.log_in(ALICE, token, 5)
        with watching(daemon) as stream:
            place = stream.next()  # from now: the first login is over
            assert place.kind == ""
            q.log_in(ALICE, token, 6)
            (opened,) = stream.until("session.opened")
            assert (opened["handle"], opened["sequence"]) == (6, place.id + 1)
            q.disconnect(6)
            stream.until("session.closed")
            q.log_in(ALICE, token, 7)
            q.ping()
            last = place.id + 1
            daemon.stop()
            assert stream.is_over()
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        q.log_in(ALICE, token, 8)
        with watching(daemon, last=last, after=0) as stream:
            events = stream.until("session.opened") + stream.until("session.opened")
            while events[-1]["handle"] != 8:
                events += stream.until("session.opened")
        assert events[0]["sequence"] == last + 1
        numbers = [each["sequence"] for each in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert [each["handle"] for each in events if each["kind"] == "session.opened"] == [7, 8]
        with watching(daemon, after=0) as stream:
            assert stream.next().id == 0
            assert stream.next().id == 1
        with watching(daemon, after=10_000) as stream:
            assert stream.until("gap")[-1]["after"] == 10_000


def test_a_kill_loses_no_event_and_repeats_none_to_who_resumes(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    token = strict_issuer.tokens()["access_token"]
    with FakeProcess(daemon.address) as q:
        q.hello()
        q.log_in(ALICE, token, 5)
        with watching(daemon, after=0) as stream:
            last = stream.until("session.opened")[-1]["sequence"]
            q.log_in(ALICE, token, 6)
            daemon.kill()
            stream.is_over()
    daemon.start()
    with watching(daemon, last=last) as stream:
        (event,) = stream.until("session.opened")
        assert (event["sequence"], event["handle"]) == (last + 1, 6)


def test_open_streams_and_a_peer_that_does_not_read_do_not_hold_up_the_stop(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    token = strict_issuer.tokens()["access_token"]
    silent = socket.socket(socket.AF_UNIX)
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    silent.connect(control_of(daemon))
    silent.sendall(b"GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    idle = socket.socket(socket.AF_UNIX)
    idle.connect(control_of(daemon))
    half = socket.socket(socket.AF_UNIX)
    half.connect(control_of(daemon))
    half.sendall(b"POST /v1/explain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
    half.sendall(b"Content-Length: 10\r\n\r\n{")
    with silent, idle, half, watching(daemon) as stream:
        stream.next()
        for _ in range(400):  # more than the sockets between us hold
            answer = q.connect(ALICE, token, 5)
            q.opened(answer["session"], 5)
        q.ping()
        assert daemon.stop() == 0
        assert stream.is_over()
    assert not Path(control_of(daemon)).exists()
    assert [each["event"] for each in daemon.log()][-1] == "stopped"


def test_explaining_shows_each_check_and_lets_nobody_in(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    token, app = strict_issuer.tokens()["access_token"], strict_issuer.app_token()
    with Operator(daemon) as operator:
        accepted = operator.explain(ALICE, token)
        assert (accepted["accepted"], accepted["user"]) == (True, ALICE)
        reasons = {
            "a plain password": "nottoken",
            token[:-8] + "AAAAAAAA": "badsignature",
            app: "wrongtype",
        }
        for password, reason in reasons.items():
            assert operator.explain(ALICE, password)["reason"] == reason
        assert operator.explain(BOB, token)["reason"] == "usermismatch"
        assert operator.get("/v1/sessions")["sessions"] == []
    assert strict_issuer.control.calls("/token") == 0
    assert process(daemon).connect(ALICE, token)["ok"]
    outcomes = [each["outcome"] for each in daemon.log() if each["event"] == "explained"]
    assert outcomes == ["accepted", *reasons.values(), "usermismatch"]


def test_explaining_spends_no_refresh_token_where_a_login_would(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    proving = f'verify = "userinfo"\nprove_by_refresh = true\nrefresh_client_id = "{OPAQUE}"'
    daemon = start(configuration(strict_issuer, extra=proving))
    tokens = strict_issuer.tokens(client=OPAQUE, scope="openid profile offline_access")
    with Operator(daemon) as operator:
        found = operator.explain(ALICE, pair(tokens))
        assert (found["accepted"], found["checks"][-1]["outcome"]) == (True, "skipped")
        assert strict_issuer.control.calls("/token") == 0
        assert process(daemon).connect(ALICE, pair(tokens))["ok"]
        assert strict_issuer.control.calls("/token") == 1
        found = operator.explain(ALICE, pair(tokens))
        assert found["checks"][-1]["outcome"] == "passed"
        assert operator.get("/v1/status")["issuers"][0]["last_success_at"] is not None


def test_explaining_says_why_an_issuer_may_call_a_good_token_inactive(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    keep_secret(folder)
    daemon = start(configuration(strict_issuer, extra=INTROSPECTION))
    token = strict_issuer.tokens()["access_token"]  # for api://kdb alone
    inactive = {"active": False}  # what Keycloak answers to a client that is not in aud
    strict_issuer.control.fault("/introspect", status=200, body=inactive, count=ALWAYS)
    with Operator(daemon) as operator:
        found = operator.explain(ALICE, token)
    assert found["reason"] == "inactive"
    assert "aud does not name our client 'sessiond'" in found["checks"][3]["detail"]


def test_no_token_is_in_any_answer_or_log_line(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer, extra="", log='level = "debug"'))
    q = process(daemon)
    tokens = strict_issuer.tokens()
    q.log_in(ALICE, pair(tokens))
    secrets = [tokens["access_token"], tokens["refresh_token"], "correct horse battery"]
    with Operator(daemon) as operator:
        for secret in (pair(tokens), *secrets):
            operator.explain(ALICE, secret)
            operator.ask("POST", "/v1/explain", json={"user": ALICE, "pasword": secret})
            operator.ask("POST", "/v1/explain", content=secret, headers={"content-type": secret})
            operator.ask("POST", "/v1/revocations", json={"reason": "x", secret: 1})
            operator.ask("GET", "/v1/sessions", params={"user": secret, secret: 1})
        for secret in (pair(tokens), tokens["access_token"]):  # what nobody could take for a name
            operator.explain(secret, secret)
            for name in ("user", "process", "session", "issuer"):
                operator.ask("POST", "/v1/revocations", json={"reason": "x", name: secret})
            for method, path in (
                ("GET", "sessions"),
                ("DELETE", "revocations"),
                ("DELETE", "names"),
            ):
                operator.ask(method, f"/v1/{path}/{secret}")
        for path in ("/v1/status", "/v1/sessions", "/v1/revocations", "/metrics"):
            operator.ask("GET", path)
        assert len(operator.texts) > 30
        seen = "".join(operator.texts) + "".join(daemon.lines)
    parts = [part for secret in secrets[:2] for part in re.split(r"[.;]", secret)]
    for part in (*secrets, *parts):
        assert part not in seen
