"""Tokens for data sources: on a real daemon, of a real issuer."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

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
    with asking(daemon) as (feed,):
        with_pair = feed.log_in(ALICE, pair(strict_issuer.tokens()), 5)["session"]
        alone = feed.log_in(BOB, strict_issuer.tokens(BOB)["access_token"], 6)["session"]
        assert claims(given(feed, session=alone))["preferred_username"] == BOB
        assert daemon.stop() == 0
        daemon.start()
    with asking(daemon) as (feed,):
        # Another process by the kernel's word: sessions of the first cannot be its own.
        assert refused(feed, session=with_pair) == "notallowed"
