"""Sessions hang on grants: one refresh for all who brought the same tokens."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Connected, Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import configuration

EARLY = "share = 0.2\njitter = 0.0"
EARLIER = "share = 0.07\njitter = 0.0"  # of a longer lease, so that a busy machine may be slow


def pushed(q: FakeProcess, event: str, count: int) -> list[dict[str, Any]]:
    """Wait for so many pushes and return them; all must be of that event."""
    pushes = [q.next_push() for _ in range(count)]
    assert {push["event"] for push in pushes} == {event}
    return pushes


@pytest.mark.parametrize("rotation", ["strict_issuer", "entra_issuer"])
def test_three_sessions_and_a_late_fourth_live_on_one_token_call_a_lease(
    request: pytest.FixtureRequest, start: Start, process: Connected, rotation: str
) -> None:
    issuer: RunningIssuer = request.getfixturevalue(rotation)
    issuer.control.set_access_token_lifetime(30)
    first = issuer.tokens()
    q = process(start(configuration(issuer, refresh=EARLIER)))
    sessions = {q.log_in(ALICE, pair(first), handle)["session"] for handle in (5, 6, 7)}

    for lease in (1, 2):
        told = pushed(q, "refreshed", 3)
        assert {push["session"] for push in told} == sessions
        assert len({push["expires"] for push in told}) == 1
        assert issuer.control.calls("/token") == lease

    # The user's program still holds the tokens it got at first, and sends them again.
    sessions.add(q.log_in(ALICE, pair(first), 8)["session"])
    told = pushed(q, "refreshed", 4)
    assert {push["session"] for push in told} == sessions
    assert issuer.control.calls("/token") == 3
    assert {each["session"] for each in q.sessions()} == sessions


def test_a_confidential_client_of_ours_refreshes_with_its_own_secret(
    strict_issuer: RunningIssuer, start: Start, process: Connected, tmp_path: Path
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    tokens = strict_issuer.tokens(client="webapp", secret="webapp-secret")
    secret = tmp_path / "secret"
    secret.write_text("webapp-secret")
    secret.chmod(0o600)
    ours = f'client_secret_file = "{secret}"\nrefresh_client_id = ""'
    configured = configuration(strict_issuer, refresh=EARLY, extra=ours)
    q = process(start(configured.replace('client_id = "sessiond"', 'client_id = "webapp"')))
    session = q.log_in(ALICE, pair(tokens))["session"]
    told = q.next_push()
    assert (told["event"], told["session"]) == ("refreshed", session)


def test_a_refused_refresh_ends_every_session_of_the_grant_and_they_do_not_come_back(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    tokens = strict_issuer.tokens()
    q = process(start(configuration(strict_issuer, refresh=EARLY)))
    sessions = {q.log_in(ALICE, pair(tokens), handle)["session"] for handle in (5, 6)}
    strict_issuer.control.revoke_user(ALICE)
    told = pushed(q, "revoked", 2)
    assert {push["session"] for push in told} == sessions
    assert {(push["reason"], push["handle"]) for push in told} == {("refused", 5), ("refused", 6)}
    assert q.sessions() == []
    # qStudio reconnects by itself; its access token's signature is good for some seconds yet.
    assert q.connect(ALICE, pair(tokens), 9)["reason"] == "inactive"
    assert q.connect(ALICE, tokens["access_token"], 9)["reason"] == "inactive"
    assert strict_issuer.control.calls("/token") == 1


def test_an_access_token_alone_ends_with_itself_however_long_its_pair_is_refreshed(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    q = process(start(configuration(strict_issuer, refresh=EARLY)))
    tokens = strict_issuer.tokens()
    hers = q.log_in(ALICE, pair(tokens), 5)
    his = q.log_in(ALICE, tokens["access_token"], 6)
    assert his["expires"] == hers["expires"]
    told = q.next_push()
    while told["handle"] == 5:
        assert told["event"] == "refreshed"
        told = q.next_push()
    assert (told["event"], told["session"]) == ("expired", his["session"])
    assert [each["session"] for each in q.sessions()] == [hers["session"]]


def test_garbage_for_a_refresh_token_ends_only_what_brought_it(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    q = process(start(configuration(strict_issuer, refresh=EARLY)))
    tokens, other = strict_issuer.tokens(), strict_issuer.tokens()
    hers = q.log_in(ALICE, pair(tokens), 5)
    his = q.log_in(ALICE, f"{other['access_token']};{'garbage' * 4}", 6)
    also_his = q.log_in(ALICE, f"{tokens['access_token']};{'rubbish' * 4}", 7)
    told = {(push["event"], push["session"]) for push in (q.next_push() for _ in range(3))}
    assert told == {
        ("refreshed", hers["session"]),
        ("revoked", his["session"]),
        ("revoked", also_his["session"]),
    }
    assert q.log_in(ALICE, pair(tokens), 8)["ok"]


def test_when_a_stolen_family_is_killed_the_thief_ends_and_a_new_sign_in_stays(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(30)  # refreshed after 6, refused after 12
    q = process(start(configuration(strict_issuer, refresh=EARLY)))
    stolen = strict_issuer.tokens()
    thief = q.log_in(ALICE, pair(stolen), 5)
    also = q.log_in(ALICE, stolen["access_token"], 6)
    assert q.next_push()["event"] == "refreshed"  # so it is proved
    strict_issuer.control.revoke_user(ALICE)
    anew = q.log_in(ALICE, pair(strict_issuer.tokens()), 7)
    ended = set[UUID]()
    while len(ended) < 2:
        told = q.next_push()
        assert (told["event"], told["handle"]) in {
            ("revoked", 5),
            ("revoked", 6),
            ("refreshed", 7),
        }
        if told["event"] == "revoked":
            ended.add(told["session"])
    assert ended == {thief["session"], also["session"]}
    assert [each["session"] for each in q.sessions()] == [anew["session"]]


def test_four_refresh_tokens_are_taken_with_one_access_token_over_a_restart_too(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    access = strict_issuer.tokens()["access_token"]
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    for number in range(4):
        q.log_in(ALICE, f"{access};{'unproved' * 3}{number}", 5)
    assert q.connect(ALICE, f"{access};{'unproved' * 3}4", 6)["reason"] == "throttled"
    daemon.kill()
    daemon.start()
    q = process(daemon)
    assert q.connect(ALICE, f"{access};{'unproved' * 3}5", 6)["reason"] == "throttled"
    q.log_in(ALICE, f"{access};{'unproved' * 3}0", 6)
    q.log_in(ALICE, access, 7)


def test_another_users_refresh_token_is_refused(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    alice, bob = strict_issuer.tokens(ALICE), strict_issuer.tokens(BOB)
    q = process(start(configuration(strict_issuer)))
    q.log_in(ALICE, pair(alice))
    mixed = f"{bob['access_token']};{alice['refresh_token']}"
    assert q.connect(BOB, mixed, 6)["reason"] == "usermismatch"
    assert [each["user"] for each in q.sessions()] == [ALICE]


def test_a_refresh_that_returns_another_user_ends_the_session(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    strict_issuer.control.fault("/token", "token", as_user=BOB)
    q = process(start(configuration(strict_issuer, refresh=EARLY)))
    q.log_in(ALICE, pair(strict_issuer.tokens()))
    assert q.next_push()["reason"] == "usermismatch"
    assert q.sessions() == []


def test_a_user_who_was_renamed_at_the_issuer_has_to_log_in_under_the_new_name(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    daemon = start(configuration(strict_issuer, refresh=EARLY))
    q = process(daemon)
    session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
    strict_issuer.control.change_user(ALICE, upn="alice.smith@contoso.test")
    told = q.next_push()
    assert (told["event"], told["reason"]) == ("revoked", "usermismatch")
    (line,) = daemon.logged(1, event="the user is another now, session ended")
    assert (line["user"], line["session"]) == (ALICE, str(session))
    fresh = strict_issuer.tokens(ALICE)
    assert (
        q.log_in("alice.smith@contoso.test", pair(fresh), 6)["user"] == "alice.smith@contoso.test"
    )


def test_a_transient_fault_costs_nothing_but_time(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(30)
    for status in (503, 429, 500):
        strict_issuer.control.fault("/token", status=status, headers={"Retry-After": "1"})
    q = process(start(configuration(strict_issuer, refresh="share = 0.05\njitter = 0.0")))
    q.log_in(ALICE, pair(strict_issuer.tokens()))
    assert q.next_push()["event"] == "refreshed"
    assert strict_issuer.control.calls("/token") == 4


@pytest.mark.parametrize(
    "members", [{"without": ["expires_in"]}, {"set": {"expires_in": "3599"}}, {"set": {}}]
)
def test_what_a_refresh_says_of_its_lifetime_may_be_missing_or_text(
    strict_issuer: RunningIssuer, start: Start, process: Connected, members: dict[str, Any]
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    strict_issuer.control.fault("/token", "token", **members)
    q = process(start(configuration(strict_issuer, refresh=EARLY)))
    before = q.log_in(ALICE, pair(strict_issuer.tokens()))["expires"]
    told = q.next_push()
    assert (told["event"], told["expires"] > before) == ("refreshed", True)


def test_without_a_refresh_token_a_session_ends_with_its_access_token(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(2)
    q = process(start(configuration(strict_issuer)))
    answer = q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    told = q.next_push()
    assert (told["event"], told["session"]) == ("expired", answer["session"])
    assert strict_issuer.control.calls("/token") == 0


def test_renew_prolongs_a_session_and_only_for_the_same_user(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(60)
    q = process(start(configuration(strict_issuer)))
    answer = q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    bob = strict_issuer.tokens(BOB)["access_token"]
    assert q.renew(answer["session"], bob)["reason"] == "usermismatch"
    strict_issuer.control.set_access_token_lifetime(600)
    renewed = q.renew(answer["session"], strict_issuer.tokens()["access_token"])
    assert renewed["ok"]
    assert renewed["session"] == answer["session"]
    assert renewed["expires"] > answer["expires"]
    (live,) = q.sessions()
    assert live["expires"] == renewed["expires"]


def test_a_refresh_without_scope_gets_a_token_for_graph_and_is_not_accepted(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    strict_issuer.control.set_habits(scopeless="graph")
    q = process(start(configuration(strict_issuer, refresh=EARLY)))
    q.log_in(ALICE, pair(strict_issuer.tokens()))
    told = q.next_push()  # it is a Graph token: already its header is not an access token's
    assert (told["event"], told["reason"]) == ("revoked", "wrongtype")


def test_with_its_scope_a_refresh_gets_the_right_audience(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    strict_issuer.control.set_habits(scopeless="graph")
    scope = 'refresh_scope = "openid offline_access api://kdb/session.login"'
    q = process(start(configuration(strict_issuer, refresh=EARLY, extra=scope)))
    q.log_in(ALICE, pair(strict_issuer.tokens()))
    assert q.next_push()["event"] == "refreshed"
