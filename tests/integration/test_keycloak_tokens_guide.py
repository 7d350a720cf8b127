"""What docs/tokens.md says to do at Keycloak for sources, done there by the admin API."""

import os
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests import canary
from tests.integration.conftest import Connected, Start
from tests.integration.test_login import pair
from tests.keycloak import guide
from tests.keycloak.admin import Realm
from tests.keycloak.guide import PROGRAM, ROLE, configuration
from tests.keycloak.program import sign_in

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("keycloak"),
    pytest.mark.timeout(400),
]
FEEDS, POSITIONS = "kdb-feeds", "kdb-positions"  # as docs/tokens.md calls them
LEASE = 4  # seconds
GUARDED = f"""
[[access.process]]
name = "gw*"
peers = [{os.getuid()}]
"""


def claims(token: str) -> dict[str, Any]:
    canary.remember(token, "access_token")
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def source(realm: Realm, folder: Path, client: str, lines: str) -> str:
    """Return a configuration with a source whose client is one of the guide's."""
    secret = folder / f"{client}.secret"
    secret.touch(mode=0o600)
    secret.write_text(guide.add_source_client(realm, client))
    about = f"""
[[source]]
name = "quotes"
issuer = "keycloak"
client_id = "{client}"
client_secret_file = "{secret}"
processes = ["gw*"]
{lines}
"""
    return configuration(realm) + about + GUARDED


def test_a_programs_own_token(realm: Realm, folder: Path, start: Start, process: Connected) -> None:
    q = process(start(source(realm, folder, FEEDS, "")))
    answer = q.token("quotes")
    assert (answer["ok"], answer["type"]) == (True, "Bearer")
    assert claims(answer["token"])["azp"] == FEEDS
    assert q.token("quotes")["token"] == answer["token"]


def test_a_users_token_is_exchanged_for_another_audience(
    realm: Realm, folder: Path, start: Start, process: Connected
) -> None:
    lines = 'grant = "on_behalf_of"\naudience = "positions"'
    text = source(realm, folder, POSITIONS, lines)
    guide.let_exchange(realm, POSITIONS, target="positions")
    q = process(start(text))
    tokens = sign_in(realm)
    session = q.log_in("alice", pair(tokens))["session"]
    answer = q.token("quotes", session)
    assert answer["ok"], answer
    hers, found = claims(tokens["access_token"]), claims(answer["token"])
    assert (found["sub"], found["azp"]) == (hers["sub"], POSITIONS)
    assert found["aud"] == "positions"
    assert q.token("quotes")["reason"] == "notallowed"  # of nobody there is none


@pytest.mark.parametrize("once", [False, True], ids=["reusable", "revoke refresh token"])
def test_an_accounts_refresh_token_is_spent_and_the_next_one_kept(
    realm: Realm, folder: Path, start: Start, process: Connected, once: bool
) -> None:
    realm.set(accessTokenLifespan=LEASE, revokeRefreshToken=once, refreshTokenMaxReuse=0)
    realm.add_user("prices", ROLE)
    seed = folder / "seed"
    seed.touch(mode=0o600)
    seed.write_text(sign_in(realm, "prices")["refresh_token"])
    about = f"""
[[source]]
name = "quotes"
issuer = "keycloak"
grant = "refresh_token"
client_id = "{PROGRAM}"
client_auth = "none"
refresh_token_file = "{seed}"
processes = ["gw*"]
"""
    daemon = start(configuration(realm) + about + GUARDED)
    q = process(daemon)
    first = q.token("quotes")
    assert first["ok"], first
    time.sleep(LEASE + 1)  # Keycloak's own clock
    second = q.token("quotes")
    assert second["ok"], second
    daemon.kill()
    daemon.start()
    time.sleep(LEASE + 1)
    third = process(daemon).token("quotes")
    assert third["ok"], third
    found = [claims(each["token"]) for each in (first, second, third)]
    assert len({each["jti"] for each in found}) == 3
    assert len({each["sub"] for each in found}) == 1
