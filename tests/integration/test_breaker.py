"""An issuer that hangs or fails makes nobody wait beyond the deadline, and nobody twice."""

from pathlib import Path

import pytest

from sessiond.testing import FakeProcess
from sessiond.testing.calls import connect_call
from sessiond.testing.plain import plain_dict
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator
from tests.integration.test_asking import INTROSPECTION, OPAQUE, subject
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import configuration

USERINFO = 'verify = "userinfo"\ntimeout = 0.4'
HASTY = "deadline = 0.6\nwaiting = 8"


def introspecting(issuer: RunningIssuer, folder: Path, *, is_known: bool = True) -> str:
    """Return a configuration that asks introspection, by the right secret or another."""
    file = folder / "secret"
    file.write_text("sessiond-secret\n" if is_known else "not-the-secret\n")
    file.chmod(0o600)
    return configuration(issuer, extra=INTROSPECTION, login="cache_asked = 0.0")


def opaque(issuer: RunningIssuer) -> str:
    token = issuer.tokens(client="qstudio-opaque", scope="openid profile")["access_token"]
    return f"bearer:{token}"


def test_a_hung_issuer_is_answered_for_by_the_deadline_and_leaves_no_session(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    patient = configuration(
        strict_issuer, extra='verify = "userinfo"\ntimeout = 60.0', login="deadline = 0.3"
    )
    q = process(start(patient))
    token = opaque(strict_issuer)
    strict_issuer.control.fault("/userinfo", "hold")
    assert q.connect(ALICE, token)["reason"] == "deadline"
    assert q.sessions() == []
    # The call goes on, and kdb+'s second handshake joins it.
    strict_issuer.control.clear_faults()
    assert q.connect(ALICE, token)["ok"]
    assert strict_issuer.control.calls("/userinfo") == 1


def test_a_hung_issuer_delays_nobody_who_does_not_need_it(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(
        configuration(
            strict_issuer, extra='verify = "userinfo"\ntimeout = 60.0', login="deadline = 60.0"
        )
    )
    known, unknown = opaque(strict_issuer), opaque(strict_issuer)
    with PeerFarm(daemon.address, 2) as farm:
        waiting, quick = (FakeProcess(each) for each in farm.sockets)
        for q in (waiting, quick):
            q.hello()
        assert quick.connect(ALICE, known)["ok"]
        strict_issuer.control.fault("/userinfo", "hold")
        waiting.ask(connect_call(ALICE, unknown))
        strict_issuer.control.wait_for_calls("/userinfo", 2)
        assert quick.connect(ALICE, known, 6)["ok"]  # while the other still waits
        assert quick.connect(ALICE, "a plain password", 7)["reason"] == "nottoken"
        strict_issuer.control.clear_faults()
        assert plain_dict(waiting.answer())["ok"]


def test_after_three_tries_nobody_waits_and_a_trial_call_finds_it_well_again(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer, extra=USERINFO, login=HASTY)))
    tokens = [opaque(strict_issuer) for _ in range(5)]
    strict_issuer.control.fault("/userinfo", "hang", count=ALWAYS)
    reasons = [q.connect(ALICE, token)["reason"] for token in tokens[:3]]
    assert reasons == ["unavailable"] * 3
    asked = strict_issuer.control.calls("/userinfo")
    assert asked == 3
    assert q.connect(ALICE, tokens[3])["reason"] == "unavailable"
    assert strict_issuer.control.calls("/userinfo") == asked
    strict_issuer.control.wait_for_calls("/userinfo", asked + 1)  # a trial call, held by no login
    strict_issuer.control.clear_faults()
    strict_issuer.control.wait_for_calls("/userinfo", asked + 2)
    while (answer := q.connect(ALICE, tokens[4]))["reason"] == "unavailable":
        pass  # until the trial's answer is back; the test's timeout ends this
    assert answer["ok"]


def test_calls_that_hang_count_while_they_last(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    hanging = configuration(
        strict_issuer, extra='verify = "userinfo"\ntimeout = 60.0', login="deadline = 0.6"
    )
    q = process(start(hanging))
    strict_issuer.control.fault("/userinfo", "hang", count=ALWAYS)
    reasons = [q.connect(ALICE, opaque(strict_issuer))["reason"] for _ in range(3)]
    assert reasons == ["deadline"] * 3
    assert q.connect(ALICE, opaque(strict_issuer))["reason"] == "unavailable"  # none has ended
    strict_issuer.control.wait_for_calls("/userinfo", 4)  # and this is a trial call


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
def test_no_answer_to_a_trial_calls_made_up_token_ends_anything(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path, status: int
) -> None:
    daemon = start(introspecting(strict_issuer, folder))
    q, token = process(daemon), strict_issuer.tokens(client=OPAQUE)["access_token"]
    user = subject(strict_issuer, token)
    strict_issuer.control.take_log()
    strict_issuer.control.fault("/introspect", status=503, count=4)  # logins, and a trial call
    for _ in range(3):
        assert q.connect(user, opaque(strict_issuer))["reason"] == "unavailable"
    strict_issuer.control.wait_for_calls("/introspect", 4)
    odd = {"error": "invalid_token"}
    strict_issuer.control.fault("/introspect", status=status, body=odd)
    strict_issuer.control.wait_for_calls("/introspect", 5)
    while (answer := q.connect(user, f"bearer:{token}"))["reason"] == "unavailable":
        pass  # until the trial's answer is back; the test's timeout ends this
    assert answer["ok"]
    assert daemon.stop() == 0


def test_tokens_that_an_issuer_trips_over_keep_nobody_else_out(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer, extra=USERINFO)))
    for kind in ("html", "drop", "answer", "redirect", "empty"):
        for status in (403, 404, 500) if kind == "answer" else (403,):
            for _ in range(3):
                members = {"status": status} if kind == "answer" else {}
                count = 2 if kind == "drop" else 1  # it is asked once more where nothing came
                strict_issuer.control.fault("/userinfo", kind, count=count, **members)
                assert q.connect("mallory", "bearer:odd-token")["reason"] == "unavailable"
            while (answer := q.connect(ALICE, opaque(strict_issuer)))["reason"] == "unavailable":
                assert kind in ("drop", "answer")  # the call that tells is under way
            assert answer["ok"]


def test_that_our_own_client_is_refused_is_said_in_log_and_status(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    daemon = start(introspecting(strict_issuer, folder, is_known=False))
    q = process(daemon)
    for _ in range(4):
        assert q.connect(ALICE, opaque(strict_issuer))["reason"] == "unavailable"
    with Operator(daemon) as operator:
        (issuer,) = operator.ask("GET", "/v1/status").json()["issuers"]
    assert not issuer["healthy"]
    assert "does not take our client, wanted 200: check client_id" in issuer["trouble"]
    told = [entry for entry in daemon.log() if entry["event"] == "client refused"]
    assert [(each["issuer"], each["client"]) for each in told] == [("corp", "login")]
    details = [entry["detail"] for entry in daemon.log() if entry["event"] == "login"]
    assert all("does not take our client" in detail for detail in details)


def test_an_issuer_that_is_asked_each_time_is_known_to_be_well_before_any_login(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    with Operator(start(configuration(strict_issuer, extra=USERINFO))) as operator:
        while not operator.ask("GET", "/v1/status").json()["issuers"][0]["healthy"]:
            pass  # until its metadata is there; the test's timeout ends this
    assert strict_issuer.control.calls("/userinfo") == 0


def test_an_issuer_that_is_not_there_does_not_keep_the_daemon_from_starting(
    start: Start, process: Connected
) -> None:
    with RunningIssuer() as issuer:
        token = issuer.tokens()["access_token"]
        absent = configuration(issuer)
    daemon = start(absent)
    q = process(daemon)
    assert q.connect(ALICE, token)["reason"] == "unavailable"
    with Operator(daemon) as operator:
        (status,) = operator.ask("GET", "/v1/status").json()["issuers"]
        metrics = operator.ask("GET", "/metrics").text
    assert (status["healthy"], status["last_success_at"]) == (False, None)
    assert "could not be asked: Connection refused" in status["trouble"]
    assert 'sessiond_issuer_healthy{issuer="corp"} 0.0' in metrics


def test_a_dropped_connection_or_a_wrong_answer_is_no_verdict(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer, extra=USERINFO)))
    token = opaque(strict_issuer)
    for kind in ("drop", "html"):
        strict_issuer.control.fault("/userinfo", kind, count=2 if kind == "drop" else 1)
        assert q.connect(ALICE, token)["reason"] == "unavailable"
        strict_issuer.control.clear_faults()
    assert q.connect(ALICE, token)["ok"]
