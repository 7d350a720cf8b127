"""The MSAL path, against an Entra-shaped issuer: its layout, claims and habits, over TLS."""

import pytest

from tests.integration.conftest import Connected, Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import configuration

ENTRA = """
kind = "entra"
verify = "jwt"
audience = ["api://kdb"]
refresh_client_id = "qstudio"
refresh_scope = "api://kdb/session.login"
"""
EARLY = "share = 0.2\njitter = 0.0"
SCOPE = "openid profile offline_access api://kdb/session.login"


def test_alice_logs_in_and_is_refreshed_through_msal(
    tls_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    tls_issuer.control.set_access_token_lifetime(10)
    q = process(start(configuration(tls_issuer, extra=ENTRA, refresh=EARLY)))
    tokens = tls_issuer.tokens_by_code(scope=SCOPE)
    answer = q.log_in(ALICE, pair(tokens))
    for lease in (1, 2):
        told = q.next_push()
        assert (told["event"], told["session"]) == ("refreshed", answer["session"])
        assert tls_issuer.control.calls("/token") == lease


def test_what_entra_revokes_ends_the_session(
    tls_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    tls_issuer.control.set_access_token_lifetime(10)
    q = process(start(configuration(tls_issuer, extra=ENTRA, refresh=EARLY)))
    q.log_in(ALICE, pair(tls_issuer.tokens(scope=SCOPE)))
    tls_issuer.control.revoke_user(ALICE)
    told = q.next_push()
    assert (told["event"], told["reason"]) == ("revoked", "refused")


@pytest.mark.parametrize("fault", [{"status": 503}, {"kind": "drop"}, {"kind": "html"}])
def test_a_fault_of_the_token_endpoint_is_survived(
    tls_issuer: RunningIssuer, start: Start, process: Connected, fault: dict[str, object]
) -> None:
    tls_issuer.control.set_access_token_lifetime(30)
    tls_issuer.control.fault("/token", **fault)  # type: ignore[arg-type]
    early = "share = 0.05\njitter = 0.0"
    q = process(start(configuration(tls_issuer, extra=ENTRA, refresh=early)))
    q.log_in(ALICE, pair(tls_issuer.tokens(scope=SCOPE)))
    assert q.next_push()["event"] == "refreshed"


def test_an_issuer_under_another_authority_gets_nothing(
    tls_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    untrusting = configuration(tls_issuer, extra=ENTRA).replace(
        f'ca_file = "{tls_issuer.ca_file}"', ""
    )
    q = process(start(untrusting))
    assert q.connect(ALICE, tls_issuer.tokens(scope=SCOPE)["access_token"])["reason"] == (
        "unavailable"
    )
    assert tls_issuer.control.take_log() == []
