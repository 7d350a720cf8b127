"""Tokens of a real Keycloak for sources: a service account's, and users' that are exchanged."""

import os
from pathlib import Path
from typing import Any

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.sourced import FEED, GUARD, asking, given, refused, secret, source
from tests.integration.test_login import pair
from tests.integration.test_sources import claims
from tests.keycloak import guide
from tests.keycloak.admin import Realm
from tests.keycloak.guide import configuration
from tests.keycloak.program import sign_in

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("keycloak"),
    pytest.mark.timeout(400),
]
FEEDS = "feeds"


@pytest.fixture(scope="module")
def realm_of_feeds(shared_realm: Realm) -> Realm:
    """The shared realm, with a client that has tokens of its own and exchanges users'."""
    shared_realm.add_program(
        FEEDS,
        publicClient=False,
        secret="feeds-secret",
        serviceAccountsEnabled=True,
        attributes={"standard.token.exchange.enabled": "true"},
    )
    # A user's token is exchanged by who is among those that it is for.
    guide.add_audience(shared_realm, "feeds", "included.client.audience", FEEDS)
    shared_realm.add_user("bob", guide.ROLE)
    return shared_realm


def with_feeds(realm: Realm, folder: Path, **keys: Any) -> str:
    secret(folder / "feeds", "feeds-secret")
    table = source(issuer="keycloak", client_id=FEEDS, **{"scope": "", **keys})
    return configuration(realm) + GUARD + table


def test_a_service_account_has_a_token(realm_of_feeds: Realm, start: Start, folder: Path) -> None:
    daemon = start(with_feeds(realm_of_feeds, folder, readers=[os.geteuid()]))
    with asking(daemon) as (feed,):
        token = given(feed)
        assert given(feed) == token
    said = claims(token)
    assert said["client_id"] == FEEDS
    assert said["preferred_username"] == f"service-account-{FEEDS}"


def test_a_client_that_is_switched_off_is_refused(
    realm_of_feeds: Realm, start: Start, folder: Path
) -> None:
    daemon = start(with_feeds(realm_of_feeds, folder))
    realm_of_feeds.change("clients", FEEDS, enabled=False)
    try:
        with asking(daemon) as (feed,):
            assert refused(feed) == "refused"
        [told] = daemon.logged(1, event="source token not fetched")
        assert "invalid_client" in told["error"]
    finally:
        realm_of_feeds.change("clients", FEEDS, enabled=True)


def test_users_tokens_are_exchanged_each_for_his_own(
    realm_of_feeds: Realm, start: Start, folder: Path
) -> None:
    daemon = start(with_feeds(realm_of_feeds, folder, grant="on_behalf_of"))
    with FakeProcess(daemon.address, name=FEED) as feed:
        feed.hello()
        sessions = {
            handle: feed.log_in(user, pair(sign_in(realm_of_feeds, user)), handle)["session"]
            for handle, user in ((5, "alice"), (6, "bob"))
        }
        for _ in range(2):
            for user, session in zip(("alice", "bob"), sessions.values(), strict=True):
                said = claims(given(feed, session=session))
                assert (said["preferred_username"], said["azp"]) == (user, FEEDS)
        assert daemon.stop() == 0
    daemon.start()
    with FakeProcess(daemon.address, name=FEED) as feed:
        feed.hello()
        assert feed.reconcile(sessions) == []
        assert claims(given(feed, session=sessions[6]))["preferred_username"] == "bob"


def test_a_user_who_signed_out_at_the_issuer_has_none(
    realm_of_feeds: Realm, start: Start, folder: Path
) -> None:
    realm_of_feeds.add_user("carol", guide.ROLE)
    daemon = start(with_feeds(realm_of_feeds, folder, grant="on_behalf_of"))
    with asking(daemon) as (feed,):
        session = feed.log_in("carol", pair(sign_in(realm_of_feeds, "carol")))["session"]
        realm_of_feeds.sign_out("carol")
        assert refused(feed, session=session) == "refused"
