"""Tokens for data sources: on a real daemon, of a real issuer."""

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from sessiond.testing import FakeProcess
from tests import canary
from tests.integration.conftest import Start
from tests.integration.operating import Operator, watching
from tests.integration.sourced import (
    FEED,
    asking,
    given,
    refused,
    secret,
    source,
    with_sources,
)
from tests.integration.test_login import pair
from tests.integration.test_reload import reload
from tests.issuer.running import ALICE, BOB, RunningIssuer

TOKEN = "/v1/sources/quotes/token"


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def users(**keys: Any) -> str:
    return source(grant="on_behalf_of", **keys)


def seeded(folder: Path, issuer: RunningIssuer, **keys: Any) -> str:
    """Return a source with a refresh token that the issuer gives to its client."""
    seed(folder, issuer)
    return source(
        grant="refresh_token",
        client_id="feeds-desk",
        refresh_token_file="{folder}/seed",
        **keys,
    )


def seed(folder: Path, issuer: RunningIssuer) -> str:
    """Put a new refresh token into the file, and return it."""
    tokens = issuer.tokens(client="feeds-desk", secret="feeds-secret")
    secret(folder / "seed", tokens["refresh_token"] + "\n")
    return str(tokens["refresh_token"])


def test_a_process_has_the_token_of_a_source_fetched_once(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, source()))
    with asking(daemon) as (feed,):
        token = given(feed)
        assert {given(feed) for _ in range(20)} == {token}
    assert (claims(token)["sub"], claims(token)["aud"]) == ("feeds", "api://kdb")
    assert strict_issuer.control.calls("/token") == 1
    [fetched] = daemon.logged(1, event="source token fetched")
    assert fetched["source"] == "quotes"


def test_two_hundred_who_ask_at_once_are_one_call(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    strict_issuer.control.fault("/token", kind="hold")
    daemon = start(with_sources(strict_issuer, folder, source(), login="deadline = 15.0"))
    with (
        asking(daemon, *[f"feed{number}" for number in range(200)]) as feeds,
        ThreadPoolExecutor(len(feeds)) as threads,
    ):
        answers = [threads.submit(given, feed) for feed in feeds]
        strict_issuer.control.wait_for_calls("/token")
        strict_issuer.control.clear_faults()
        tokens = {each.result() for each in answers}
    assert len(tokens) == 1
    assert strict_issuer.control.calls("/token") == 1


def test_who_may_not_ask_is_told_so_and_learns_no_more(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, source()))
    with asking(daemon, "rdb1", FEED) as (rdb, feed):
        assert [refused(rdb), refused(rdb, "none"), refused(feed, "none")] == ["notallowed"] * 3
        assert refused(feed, "x" * 256) == "notallowed"
        with pytest.raises(Exception, match="name must be printable"):
            feed.token("x" * 257)
    assert strict_issuer.control.calls("/token") == 0


def test_on_behalf_of_each_user_is_his_own_token(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, users()))
    with asking(daemon) as (feed,):
        sessions = {
            user: feed.log_in(user, pair(strict_issuer.tokens(user)), handle)["session"]
            for handle, user in enumerate((ALICE, BOB), start=5)
        }
        for _ in range(3):
            for user, session in sessions.items():
                said = claims(given(feed, session=session))
                assert (said["preferred_username"], said["client_id"]) == (user, "feeds")
    assert strict_issuer.control.calls("/token") == 2
    assert strict_issuer.control.reuses() == 0


def test_on_behalf_of_nobody_or_anothers_session_there_is_none(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, users(), source("own")))
    with asking(daemon, FEED, "feed2") as (feed, other):
        session = feed.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
        assert refused(feed) == "notallowed"
        assert refused(feed, session=UUID(int=0)) == "notallowed"
        for whose in (session, uuid4()):
            assert refused(other, session=whose) == "notallowed"
            assert refused(other, "own", whose) == "notallowed"
        feed.log_out()
        assert refused(feed, session=session) == "notallowed"
    assert strict_issuer.control.calls("/token") == 0


def test_after_a_restart_a_users_grant_is_refreshed_first(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, users()))
    with FakeProcess(daemon.address, name=FEED) as feed:
        feed.hello()
        sessions = {
            5: feed.log_in(ALICE, pair(strict_issuer.tokens()), 5)["session"],
            6: feed.log_in(BOB, strict_issuer.tokens(BOB)["access_token"], 6)["session"],
        }
        assert claims(given(feed, session=sessions[6]))["preferred_username"] == BOB
        assert daemon.stop() == 0
    daemon.start()
    with FakeProcess(daemon.address, name=FEED) as feed:
        feed.hello()
        assert feed.reconcile(sessions) == []
        assert claims(given(feed, session=sessions[5]))["preferred_username"] == ALICE
        assert (
            refused(feed, session=sessions[6]) == "unavailable"
        )  # it came without a refresh token
        [told] = daemon.logged(1, event="source token not given", reason="unavailable")
        assert "have the session renewed" in told["detail"]
        feed.renew(sessions[6], strict_issuer.tokens(BOB)["access_token"])
        assert claims(given(feed, session=sessions[6]))["preferred_username"] == BOB
    assert strict_issuer.control.reuses() == 0


def test_a_refresh_token_is_rotated_and_goes_on_after_a_restart(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    strict_issuer.control.set_access_token_lifetime(2)  # given for half of it
    daemon = start(with_sources(strict_issuer, folder, seeded(folder, strict_issuer)))
    tokens = set[str]()
    for _ in range(3):
        with asking(daemon) as (feed,):
            tokens.add(given(feed))
        daemon.logged(len(tokens), event="source token fetched")
        assert daemon.stop() == 0
        daemon.start()
    assert len(tokens) == 3
    assert strict_issuer.control.reuses() == 0
    assert len(daemon.logged(1, event="source seed taken")) == 1


def test_a_refused_refresh_token_is_never_sent_again_until_another_is_in_the_file(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    text = with_sources(strict_issuer, folder, seeded(folder, strict_issuer))
    secret(folder / "seed", "no-refresh-token-of-this-issuer")
    daemon = start(text)
    with asking(daemon) as (feed,):
        assert [refused(feed), refused(feed)] == ["refused", "refused"]
    assert daemon.stop() == 0
    daemon.start()
    with asking(daemon) as (feed,):
        assert refused(feed) == "refused"
        assert strict_issuer.control.calls("/token") == 1
        seed(folder, strict_issuer)
        reload(daemon, text)
        given(feed)
    assert strict_issuer.control.calls("/token") == 2


def test_a_text_in_the_file_is_used_once_whatever_else_is_changed(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    strict_issuer.control.set_access_token_lifetime(1)
    text = with_sources(strict_issuer, folder, seeded(folder, strict_issuer))
    daemon = start(text)
    with asking(daemon) as (feed,):
        given(feed)
        reload(daemon, text.replace('"session.login"', '"session.login offline_access"'))
        given(feed)
    assert strict_issuer.control.reuses() == 0
    assert len(daemon.logged(1, event="source seed taken")) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "answer", "status": 500}, "unavailable"),
        ({"kind": "html"}, "unavailable"),
        ({"kind": "empty"}, "unavailable"),
        ({"kind": "drop", "count": 2}, "unavailable"),
        ({"kind": "hang"}, "unavailable"),
        ({"kind": "trickle"}, "unavailable"),
        ({"kind": "answer", "status": 200, "body": {"access_token": "x y"}}, "unavailable"),
        ({"kind": "token", "set": {"token_type": "DPoP"}}, "unavailable"),
        ({"kind": "token", "set": {"expires_in": 0}}, "unavailable"),
        ({"kind": "token", "set": {"access_token": "x" * 40_000}}, "unavailable"),
        ({"kind": "raw", "text": "[" * 60_000, "content_type": "application/json"}, "unavailable"),
        ({"kind": "answer", "status": 400, "body": {"error": "server_error"}}, "unavailable"),
        ({"kind": "answer", "status": 400, "body": {"error": "invalid_scope"}}, "refused"),
        ({"kind": "answer", "status": 401, "body": {"error": "invalid_client"}}, "refused"),
        ({"kind": "answer", "status": 429, "headers": {"retry-after": "60"}}, "throttled"),
        ({"kind": "answer", "status": 503, "headers": {"retry-after": "60"}}, "throttled"),
    ],
    ids=str,
)
def test_an_issuer_that_is_ill_costs_the_source_that_asked_and_within_the_deadline(
    strict_issuer: RunningIssuer,
    start: Start,
    folder: Path,
    fault: dict[str, Any],
    reason: str,
) -> None:
    both = source(), source("other")
    daemon = start(with_sources(strict_issuer, folder, *both, login="deadline = 1.0"))
    strict_issuer.control.fault("/token", **fault)
    with asking(daemon) as (feed,):
        assert refused(feed) == reason
        given(feed, "other")
        answer = feed.log_in(ALICE, pair(strict_issuer.tokens()))
        assert answer["ok"]


def test_what_has_no_end_stated_is_given_for_a_while(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    strict_issuer.control.fault("/token", kind="token", without=["expires_in"])
    daemon = start(with_sources(strict_issuer, folder, source()))
    with asking(daemon) as (feed,):
        token = given(feed)
        expires = feed.token("quotes")["expires"]
    assert abs(expires // 10**9 + 946_684_800 - claims(token)["exp"]) <= 1


def test_who_asks_again_after_a_wish_to_be_left_alone_does_not_reach_the_issuer(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    throttle: dict[str, Any] = {"kind": "answer", "status": 429, "headers": {"retry-after": "60"}}
    daemon = start(with_sources(strict_issuer, folder, source(readers=[os.geteuid()])))
    strict_issuer.control.fault("/token", **throttle)
    with asking(daemon) as (feed,), Operator(daemon) as operator:
        assert [refused(feed) for _ in range(5)] == ["throttled"] * 5
        response = operator.ask("GET", TOKEN)
        assert response.status_code == 429
        assert 50 < int(response.headers["retry-after"]) <= 60
    assert strict_issuer.control.calls("/token") == 1


def test_a_call_that_nobody_waits_for_any_more_is_kept_all_the_same(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    strict_issuer.control.fault("/token", kind="hold")
    daemon = start(with_sources(strict_issuer, folder, source(), login="deadline = 0.5"))
    with asking(daemon) as (feed,):
        assert refused(feed) == "unavailable"
        strict_issuer.control.clear_faults()
        daemon.logged(1, event="source token fetched")
        given(feed)
    assert strict_issuer.control.calls("/token") == 1


def test_the_same_token_is_read_over_the_control_socket_by_readers(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    readable = source(readers=[os.geteuid()])
    daemon = start(with_sources(strict_issuer, folder, readable, source("other")))
    with asking(daemon) as (feed,), Operator(daemon) as operator:
        response = operator.http.get(TOKEN)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        body = response.json()
        assert set(body) == {"token", "type", "expires"}
        assert body["token"] == given(feed)
        expires = datetime.fromisoformat(body["expires"])
        assert expires.timestamp() == pytest.approx(claims(body["token"])["exp"], abs=2)
        assert operator.ask("GET", "/v1/sources/other/token").status_code == 403
        assert operator.ask("GET", "/v1/sources/none/token").status_code == 404
        listed = operator.get("/v1/sources")["sources"]
        assert [(each["name"], each["state"]) for each in listed] == [
            ("quotes", "ready"),
            ("other", "idle"),
        ]
    for text in operator.texts:
        assert canary.found_in(text.encode()) == set()


def test_what_goes_wrong_is_said_to_readers_with_what_to_do(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, source(readers=[os.geteuid()])))
    invalid = {"error": "invalid_client", "error_description": "secret words"}
    strict_issuer.control.fault("/token", status=401, body=invalid)
    with Operator(daemon) as operator:
        response = operator.ask("GET", TOKEN)
        assert response.status_code == 502
        assert response.headers["content-type"] == "application/problem+json"
        assert "invalid_client" in response.json()["detail"]
        assert "secret words" not in response.text
        [listed] = operator.get("/v1/sources")["sources"]
        assert listed["state"] == "refused"
        assert "check this source's table" in listed["last_error"]


def test_who_was_given_what_is_told_and_repeats_are_summed(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    both = source(), users(name="users")
    daemon = start(with_sources(strict_issuer, folder, *both))
    with watching(daemon, after=0) as events, asking(daemon) as (feed,):
        session = feed.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
        for _ in range(3):
            given(feed)
            given(feed, "users", session)
        first, of_alice = [events.until("source.issued")[-1] for _ in range(2)]
        assert (first["source"], first["count"], first["user"]) == ("quotes", 1, "")
        assert first["process"]["name"] == FEED
        assert (of_alice["source"], of_alice["user"]) == ("users", ALICE)
        assert of_alice["session"] == str(session)
        assert daemon.stop() == 0
    daemon.start()
    with watching(daemon, after=of_alice["sequence"]) as events:
        sums = [events.until("source.issued")[-1] for _ in range(2)]
    assert {(each["source"], each["count"]) for each in sums} == {("quotes", 2), ("users", 2)}
