"""A person signs in at a real Keycloak by a real browser, is in, is disabled, and is out."""

from pathlib import Path

import pytest

from tests.integration.conftest import Start
from tests.keycloak import guide
from tests.keycloak.admin import Realm
from tests.people.forms import sign_in_at_keycloak
from tests.people.gateway import PROVING, gateway, prepared
from tests.people.kdb_client import KdbClient
from tests.people.machine import Machine, for_q, given
from tests.people.operator import hand_out_profile
from tests.people.person import Person

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("keycloak"),
    pytest.mark.needs("browser"),
    pytest.mark.needs("real"),
    pytest.mark.timeout(400),
]
LEASE = 300  # seconds
HURRY = "share = 0.005\njitter = 0.0"  # the daemon refreshes after a second and a half of it
SIGNED_IN = "You are signed in"


def test_a_person_clicks_and_is_in_is_disabled_and_is_out(
    realm: Realm, start: Start, machine: Machine, person: Person, folder: Path
) -> None:
    realm.set(accessTokenLifespan=LEASE, revokeRefreshToken=True, refreshTokenMaxReuse=0)
    prepared(folder)
    daemon = start(guide.configuration(realm, refresh=HURRY, listen=PROVING))
    hand_out_profile(folder / "config.toml", machine, ca_file=f'"{realm.ca_file}"')
    with gateway(daemon) as gate:
        with KdbClient(gate.port, "", "", machine=machine) as window:  # asks by itself
            sign_in_at_keycloak(person.sees())
            assert window.told() == {"user": "alice"}
            first = machine.token()
            gate.wait_for_leases(2)
            assert machine.token() == first
            machine.is_later(LEASE)
            with machine.start("token", "--json") as program:
                person.sees().wait_until_reads(SIGNED_IN)  # by itself
                second = given(*program.end())
            assert second["refresh"] not in ("", first["refresh"])
            with KdbClient(gate.port, *for_q(second)) as other:
                assert other.told() == {"user": "alice"}
                realm.change("users", "alice", enabled=False)
                assert "closed" in window.told()
                assert "closed" in other.told()
        with KdbClient(gate.port, *for_q(second)) as again:
            assert "refused" in again.told()
        machine.is_later(LEASE)
        with machine.start("token") as program:
            tab = person.sees()
            sign_in_at_keycloak(tab)
            tab.wait_until_reads("Account is disabled")
            program.interrupt()
            assert program.end()[0] == 130
