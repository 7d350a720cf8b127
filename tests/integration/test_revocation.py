"""What an operator takes back is taken back at the issuer too (RFC 7009)."""

from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import configuration


def test_a_revoked_users_refresh_token_is_ended_at_the_issuer_and_nobody_elses(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    alice, bob = strict_issuer.tokens(ALICE), strict_issuer.tokens(BOB)
    q = process(daemon)
    q.log_in(ALICE, pair(alice))
    q.log_in(BOB, pair(bob), 6)
    with Operator(daemon) as operator:
        assert operator.revoke(user=ALICE)["revoked"] == 1
    assert q.next_push()["event"] == "revoked"
    strict_issuer.control.wait_for_calls("/revoke")
    assert daemon.stop() == 0  # which waits for the issuer's answer
    assert strict_issuer.control.calls("/revoke") == 1
    assert strict_issuer.refresh(alice["refresh_token"]).status_code == 400
    assert strict_issuer.refresh(bob["refresh_token"]).status_code == 200


def test_a_refresh_in_flight_brings_nobody_back(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    strict_issuer.control.fault("/token", "hold")
    daemon = start(configuration(strict_issuer, refresh="share = 0.1\njitter = 0.0"))
    q = process(daemon)
    session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
    strict_issuer.control.wait_for_calls("/token")
    with Operator(daemon) as operator:
        assert operator.revoke(user=ALICE)["revoked"] == 1
        assert (q.next_push()["event"], q.sessions()) == ("revoked", [])
        strict_issuer.control.clear_faults()
        strict_issuer.control.wait_for_calls("/revoke")
    assert daemon.stop() == 0  # the refresh's answer is here by then
    daemon.start()
    q = process(daemon)
    assert q.sessions() == []
    assert q.reconcile({5: session}) == [5]


def test_a_token_pasted_as_the_reason_is_refused_and_shown_to_nobody(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    token = strict_issuer.tokens()["access_token"]
    with Operator(daemon) as operator:
        pasted = {"user": BOB, "reason": f"he had {token}"}
        refused = operator.ask("POST", "/v1/revocations", json=pasted)
        assert refused.status_code == 400
        assert token not in refused.text
        assert operator.get("/v1/revocations")["revocations"] == []
