"""Processes come, go and come back; their sessions follow."""

from uuid import UUID, uuid4

from sessiond.testing import FakeProcess
from sessiond.testing.plain import plain
from tests.integration.conftest import Connected, Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import configuration


def by_handle(q: FakeProcess) -> dict[int, UUID]:
    return {each["handle"]: each["session"] for each in q.sessions()}


def test_a_doubled_handshake_gets_the_same_session(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer)))
    token = strict_issuer.tokens()["access_token"]
    first, second = q.connect(ALICE, token), q.connect(ALICE, token)
    assert first["session"] == second["session"]
    q.opened(first["session"], 5)
    third = q.connect(ALICE, token, 6)
    assert third["session"] != first["session"]


def test_a_login_that_is_not_opened_ends_without_a_push(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer, login="unbound = 0.5")))
    answer = q.connect(ALICE, strict_issuer.tokens()["access_token"])
    while q.sessions():
        pass  # the test's timeout ends this
    assert q.pushes == []
    q.opened(answer["session"], 5)
    told = q.next_push()  # too late: the handle must not stay open without a session
    assert (told["event"], told["reason"], told["handle"]) == ("revoked", "unbound", 5)


def test_a_new_login_on_a_handle_replaces_the_old_one(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer)))
    q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    bob = q.log_in(BOB, strict_issuer.tokens(BOB)["access_token"])
    assert by_handle(q) == {5: bob["session"]}


def test_a_user_who_left_has_no_session(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer)))
    q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    q.disconnect(5)
    assert q.sessions() == []


def test_a_late_word_that_alice_left_does_not_end_bob_on_the_same_handle(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer)))
    alice = q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    bob = q.log_in(BOB, strict_issuer.tokens(BOB)["access_token"])
    q.disconnect(5, alice["session"])
    assert by_handle(q) == {5: bob["session"]}
    q.disconnect(5, bob["session"])
    assert q.sessions() == []


def test_killed_and_restarted_the_daemon_has_lost_nothing(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer, refresh="share = 0.2\njitter = 0.0"))
    strict_issuer.control.set_access_token_lifetime(20)
    tokens = strict_issuer.tokens()
    with FakeProcess(daemon.address) as q:
        instance = plain(q.hello()["instance"])
        alice = q.log_in(ALICE, pair(tokens))
        bob = q.log_in(BOB, strict_issuer.tokens(BOB)["access_token"], 6)
        q.log_in(BOB, strict_issuer.tokens(BOB)["access_token"], 7)
        daemon.kill()
    daemon.start()
    with FakeProcess(daemon.address) as q:
        assert plain(q.hello()["instance"]) != instance
        # The third user left while the daemon was away; handle 9 is not known to it.
        held = {5: alice["session"], 6: bob["session"], 9: uuid4()}
        assert q.reconcile(held) == [9]
        assert by_handle(q) == {5: alice["session"], 6: bob["session"]}
        told = q.next_push()
        assert (told["event"], told["session"]) == ("refreshed", alice["session"])
    assert strict_issuer.control.calls("/token") == 1


def test_sessions_of_a_process_that_does_not_come_back_end_after_the_grace(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer, login="grace = 1.0"))
    with FakeProcess(daemon.address) as q:
        q.hello()
        session = q.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"]
    with FakeProcess(daemon.address) as q:
        q.hello()
        while q.sessions():
            pass  # the test's timeout ends this
        assert q.reconcile({5: session}) == [5]


def test_a_newer_connection_of_a_process_replaces_the_older_and_reconciles(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    with FakeProcess(daemon.address) as older, FakeProcess(daemon.address) as newer:
        older.hello()
        session = older.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"]
        newer.hello()
        assert older.is_cut()
        assert newer.reconcile({5: session}) == []
        assert by_handle(newer) == {5: session}


def test_processes_see_and_touch_only_their_own_sessions(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    token = strict_issuer.tokens()["access_token"]
    with PeerFarm(daemon.address, 2) as farm:
        one, other = (FakeProcess(each) for each in farm.sockets)
        for q in (one, other):
            q.hello()
        session = one.log_in(ALICE, token)["session"]
        other.disconnect(5)
        other.opened(session, 5)
        assert other.next_push()["reason"] == "unbound"
        assert other.renew(session, token)["reason"] == "revoked"
        assert other.reconcile({5: session}) == [5]
        assert other.sessions() == []
        assert by_handle(one) == {5: session}


def test_bye_is_said_and_stopping_ends_well(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    assert daemon.stop() == 0
    assert q.next_push()["event"] == "bye"
