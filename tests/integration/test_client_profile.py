"""Whoever signs in as `sessionctl client-profile` says is let in, and refreshed."""

import subprocess

import pytest
from sessiond_login.profile import Profile
from sessiond_login.profiles.reading import read

from sessiond.core.password import stated_claims
from sessiond.core.secret import Secret
from tests.integration.conftest import Connected, Start
from tests.integration.terminal import PROGRAM
from tests.integration.test_entra import EARLY, ENTRA
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

OF_MSAL = ("openid", "profile", "offline_access")  # what that adds by itself


def profile_of(daemon: RunningDaemon) -> Profile:
    """Return the one that is made of a daemon's own file."""
    made = subprocess.run(
        [*PROGRAM, "client-profile", "--config", str(daemon.folder / "config.toml")],
        capture_output=True,
        text=True,
        check=True,
    )
    return read(made.stdout, "it").profiles["corp"]


def signed_in(issuer: RunningIssuer, profile: Profile) -> tuple[str, str]:
    """Sign alice in as the profile says; return the name and the password that q is sent."""
    assert profile.issuer == issuer.issuer
    scopes = dict.fromkeys((*(OF_MSAL if profile.kind == "entra" else ()), *profile.scopes))
    tokens = issuer.tokens_by_code(
        client=profile.client_id, scope=" ".join(scopes), resource=profile.resource or None
    )
    claims = stated_claims(Secret(tokens["id_token"])) or {}
    return str(claims[profile.user_claim]), pair(tokens)


@pytest.mark.parametrize(
    "extra", ["", 'required_scope = "session.login"', 'refresh_scope = "session.login"']
)
def test_who_signs_in_by_the_profile_is_let_in_and_refreshed(
    strict_issuer: RunningIssuer, start: Start, process: Connected, extra: str
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    daemon = start(configuration(strict_issuer, extra=extra, refresh=EARLY))
    profile = profile_of(daemon)
    assert (profile.send, profile.rotation, profile.insecure_http) == ("pair", "strict", True)
    name, password = signed_in(strict_issuer, profile)
    q = process(daemon)
    session = q.log_in(name, password)["session"]
    told = q.next_push()
    assert (told["event"], told["session"]) == ("refreshed", session)


def test_at_an_entra_shaped_issuer_too(
    tls_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    tls_issuer.control.set_access_token_lifetime(10)
    daemon = start(configuration(tls_issuer, extra=ENTRA, refresh=EARLY))
    profile = profile_of(daemon)
    assert (profile.kind, profile.rotation) == ("entra", "tolerant")
    name, password = signed_in(tls_issuer, profile)
    assert name == ALICE
    q = process(daemon)
    session = q.log_in(name, password)["session"]
    told = q.next_push()
    assert (told["event"], told["session"]) == ("refreshed", session)
