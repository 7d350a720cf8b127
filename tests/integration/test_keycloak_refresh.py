"""Sessions of a real Keycloak's users: what keeps them on, and what ends them."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator
from tests.integration.test_login import pair
from tests.keycloak.admin import Realm
from tests.keycloak.guide import ROLE, configuration
from tests.keycloak.program import refreshed, refreshes, sign_in

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("keycloak"),
    pytest.mark.timeout(400),
]
LEASE = 10  # seconds
Act = Callable[[Realm, str], None]
EARLY = "share = 0.2\njitter = 0.0"


def made_brisk(realm: Realm) -> Realm:
    """Let access tokens live ten seconds, and have refreshes counted."""
    kept = ["REFRESH_TOKEN"]
    realm.set(accessTokenLifespan=LEASE, eventsEnabled=True, enabledEventTypes=kept)
    return realm


@pytest.fixture(scope="module")
def brisk(shared_realm: Realm) -> Realm:
    return made_brisk(shared_realm)


@pytest.fixture
def user(brisk: Realm) -> str:
    """A user of one test's own, who has the role."""
    name = f"user-{uuid4().hex[:8]}"
    brisk.add_user(name, ROLE)
    return name


def told(q: FakeProcess, handle: int = 5) -> dict[str, Any]:
    """Return the next thing that is told of a handle."""
    while (push := q.next_push())["handle"] != handle:
        pass
    return push


@pytest.mark.parametrize("once", [False, True], ids=["reusable", "revoke refresh token"])
def test_two_windows_live_on_one_refresh_a_lease(
    brisk: Realm, user: str, start: Start, process: Connected, once: bool
) -> None:
    brisk.set(revokeRefreshToken=once, refreshTokenMaxReuse=0)
    first = sign_in(brisk, user)
    q = process(start(configuration(brisk, refresh=EARLY)))
    sessions = {q.log_in(user, pair(first), handle)["session"] for handle in (5, 6)}
    for lease in (1, 2):
        pushes = [q.next_push() for _ in sessions]
        assert {push["session"] for push in pushes} == sessions
        assert {push["event"] for push in pushes} == {"refreshed"}
        assert refreshes(brisk, user) == lease
    # The program still holds the tokens that it got at first, and brings them again.
    third = q.log_in(user, pair(first), 7)["session"]
    pushes = [q.next_push() for _ in range(3)]
    assert {push["session"] for push in pushes} == sessions | {third}
    assert {push["event"] for push in pushes} == {"refreshed"}
    assert refreshes(brisk, user) == 3


def disabled(realm: Realm, user: str) -> None:
    realm.change("users", user, enabled=False)


def deleted(realm: Realm, user: str) -> None:
    realm.call("DELETE", f"/users/{realm.id_of('users', user)}")


def signed_out(realm: Realm, user: str) -> None:
    realm.sign_out(user)


def revoked_with_all(realm: Realm, _: str) -> None:
    """Do what "Set to now" of the realm's "Revocation" does, a second late."""
    realm.set(notBefore=int(time.time()) + 1)


@pytest.mark.parametrize("act", [disabled, deleted, signed_out])
def test_it_ends_at_the_next_refresh(
    brisk: Realm, user: str, start: Start, process: Connected, act: Act
) -> None:
    ends_at_the_next_refresh(brisk, user, process(start(configuration(brisk, refresh=EARLY))), act)


def test_an_offline_one_ends_with_all_of_the_realm(
    brisk: Realm, user: str, start: Start, process: Connected
) -> None:
    q = process(start(configuration(brisk, refresh=EARLY)))
    ends_at_the_next_refresh(brisk, user, q, revoked_with_all, scope="openid offline_access")


def ends_at_the_next_refresh(
    brisk: Realm, user: str, q: FakeProcess, act: Act, *, scope: str = "openid"
) -> None:
    tokens = sign_in(brisk, user, scope=scope)
    session = q.log_in(user, pair(tokens))["session"]
    assert told(q)["event"] == "refreshed"
    act(brisk, user)
    while (push := told(q))["event"] == "refreshed":
        pass
    assert (push["event"], push["reason"], push["session"]) == ("revoked", "refused", session)
    assert q.connect(user, pair(tokens), 6)["reason"] in ("inactive", "expired")


def test_the_session_of_a_renamed_user_ends_at_the_next_refresh(
    brisk: Realm, user: str, start: Start, process: Connected
) -> None:
    brisk.set(editUsernameAllowed=True)
    q = process(start(configuration(brisk, refresh=EARLY)))
    q.log_in(user, pair(sign_in(brisk, user)))
    brisk.change("users", user, username=f"{user}-married")
    while (push := told(q))["event"] == "refreshed":
        pass
    assert (push["event"], push["reason"]) == ("revoked", "usermismatch")


def test_a_role_that_is_taken_goes_at_the_next_refresh(
    brisk: Realm, user: str, start: Start, process: Connected
) -> None:
    q = process(start(configuration(brisk, refresh=EARLY, require_role="false")))
    assert q.log_in(user, pair(sign_in(brisk, user)))["roles"] == ["reader"]
    brisk.take_role(user, ROLE)
    while (push := told(q))["event"] == "refreshed":
        pass
    assert (push["event"], push["roles"]) == ("roles", [])


def test_a_live_session_goes_on_through_a_rotation_of_keys(
    realm: Realm, start: Start, process: Connected
) -> None:
    made_brisk(realm)
    q = process(start(configuration(realm, refresh=EARLY)))
    q.log_in("alice", pair(sign_in(realm)))
    realm.add_key(priority=200)
    realm.remove_key("rsa-generated")
    for _ in range(2):
        assert told(q)["event"] == "refreshed"
    assert q.log_in("alice", sign_in(realm)["access_token"], 6)["ok"]


def test_it_ends_with_the_sso_session_and_an_offline_one_goes_on(
    realm: Realm, start: Start, process: Connected
) -> None:
    made_brisk(realm).set(ssoSessionMaxLifespan=16)
    q = process(start(configuration(realm)))
    q.log_in("alice", pair(sign_in(realm)), 5)
    q.log_in("alice", pair(sign_in(realm, scope="openid offline_access")), 6)
    pushes = [told(q)]
    while pushes[-1]["event"] == "refreshed":
        pushes.append(told(q))
    reaches = [push["expires"] for push in pushes[:-1]]
    assert reaches == sorted(set(reaches))  # cut to the session's end, each still gains something
    assert pushes[-1]["event"] in ("expired", "revoked")
    assert told(q, 6)["event"] == "refreshed"
    assert [each["handle"] for each in q.sessions()] == [6]


def test_a_revocation_here_takes_the_refresh_token_back_there(
    brisk: Realm, user: str, start: Start, process: Connected
) -> None:
    daemon = start(configuration(brisk))
    q = process(daemon)
    tokens = sign_in(brisk, user)
    q.log_in(user, pair(tokens))
    with Operator(daemon) as operator:
        assert operator.revoke(user=user)["revoked"] == 1
    assert told(q)["event"] == "revoked"
    while refreshed(brisk, tokens["refresh_token"]).status_code == 200:
        pass
    assert q.connect(user, pair(tokens), 6)["reason"] == "revoked"
