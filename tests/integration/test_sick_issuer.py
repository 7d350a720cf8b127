"""An issuer that hangs or fails makes nobody wait beyond the deadline, and nobody twice."""

from tests.integration.conftest import Connected, Start
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, RunningIssuer
from tests.peers import PeerFarm
from tests.qprocess import QProcess, connect_call, plain_dict
from tests.running_daemon import configuration

USERINFO = 'verify = "userinfo"\ntimeout = 0.4'
HASTY = "deadline = 0.6\nwaiting = 8"


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
        waiting, quick = (QProcess(each) for each in farm.sockets)
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


def test_an_issuer_that_is_not_there_does_not_keep_the_daemon_from_starting(
    start: Start, process: Connected
) -> None:
    with RunningIssuer() as issuer:
        token = issuer.tokens()["access_token"]
        absent = configuration(issuer)
    q = process(start(absent))
    assert q.connect(ALICE, token)["reason"] == "unavailable"


def test_a_dropped_connection_or_a_wrong_answer_is_no_verdict(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer, extra=USERINFO)))
    token = opaque(strict_issuer)
    for kind in ("drop", "html"):
        strict_issuer.control.fault("/userinfo", kind)
        assert q.connect(ALICE, token)["reason"] == "unavailable"
    assert q.connect(ALICE, token)["ok"]
