"""Sign-ins through MSAL, at an issuer laid out as Entra is, over TLS by an authority of its own."""

from collections.abc import Iterator

import pytest
from sessiond_login.clock import SystemClock
from sessiond_login.errors import (
    IssuerUnavailable,
    LoginError,
    ProfileRefused,
    RefreshRefused,
)
from sessiond_login.issuer import Issuer
from sessiond_login.issuers import issuer_of
from sessiond_login.issuers.claims import unverified_claims
from sessiond_login.profile import Profile
from walking import Hasty, Teller, Walker, profile_of, remembered

from tests import canary
from tests.issuer.running import ALICE, RunningIssuer

SENT = "lLGDZnwy1vCCHW9XzUo3bFmTq5Rk8eJs"
canary.remember(SENT, "sent")
SCOPES = ("openid", "profile", "offline_access", "api://kdb/session.login")


@pytest.fixture
def walker(entra: RunningIssuer) -> Iterator[Walker]:
    with Walker(ca_file=entra.ca_file) as person:
        yield person


def entra_profile(running: RunningIssuer, **keys: object) -> Profile:
    return profile_of(running, **({"kind": "entra", "scopes": SCOPES} | keys))


def issuer_for(running: RunningIssuer, **keys: object) -> Issuer:
    return issuer_of(entra_profile(running, **keys), SystemClock())


def test_a_person_signs_in_in_the_browser_through_msal(
    entra: RunningIssuer, walker: Walker
) -> None:
    granted = remembered(
        issuer_for(entra, client_id="desk").by_browser(walker, silently_first=False)
    )
    assert granted.user == ALICE
    assert unverified_claims(granted.access)["aud"] == "api://kdb"
    assert granted.refresh is not None
    assert "You are signed in as alice" in walker.last_page().text
    asked = walker.seen[0].url.params
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"].startswith("http://localhost:")


def test_msal_asks_silently_first_and_then_in_the_same_tab(
    entra: RunningIssuer, walker: Walker
) -> None:
    issuer = issuer_for(entra, client_id="desk")
    remembered(issuer.by_browser(walker, silently_first=True))
    assert walker.prompts() == ["login", "consent"]
    walker.forget_pages()
    remembered(issuer.by_browser(walker, silently_first=True))
    assert walker.prompts() == []
    assert walker.opened == 2


def test_msal_asks_as_the_profile_wants(entra: RunningIssuer, walker: Walker) -> None:
    issuer = issuer_for(entra, client_id="desk", acr_values="c1", max_age=600)
    remembered(issuer.by_browser(walker, silently_first=False))
    asked = walker.seen[0].url.params
    assert (asked["acr_values"], asked["max_age"]) == ("c1", "600")


def test_a_code_is_entered_elsewhere_while_msal_waits(entra: RunningIssuer) -> None:
    person = Teller()

    class InNoHurry(Hasty):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) == 2:  # it was not, the first time
                entra.enter_device_code(person.told[1].split()[2])

    clock = InNoHurry()
    granted = remembered(issuer_of(entra_profile(entra), clock).by_device_code(person))
    assert granted.user == ALICE
    assert clock.slept == [1.0, 1.0]  # the issuer says so


def test_both_sides_may_refresh_through_msal(entra: RunningIssuer) -> None:
    issuer = issuer_for(entra)
    first = remembered(issuer.by_password(Teller()))
    assert first.refresh is not None
    second = remembered(issuer.refresh(first.refresh))
    again = remembered(issuer.refresh(first.refresh))
    assert unverified_claims(second.access)["aud"] == "api://kdb"
    assert again.refresh is not None


def test_a_grant_that_entra_has_ended_is_told(entra: RunningIssuer) -> None:
    issuer = issuer_for(entra)
    first = remembered(issuer.by_password(Teller()))
    assert first.refresh is not None
    entra.control.revoke_user(ALICE)
    with pytest.raises(RefreshRefused):
        issuer.refresh(first.refresh)


def test_entra_offers_no_way_to_take_a_grant_back(entra: RunningIssuer) -> None:
    issuer = issuer_for(entra)
    first = remembered(issuer.by_password(Teller()))
    assert first.refresh is not None
    assert issuer.revoke(first.refresh) is False


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"body": {"error": "unauthorized_client"}, "status": 400}, ProfileRefused),
        ({"body": {"user_code": "A\x1b"}, "status": 200}, IssuerUnavailable),
        ({"body": {"interval": "soon"}, "status": 200}, IssuerUnavailable),
        ({"body": {"user_code": "A", "expires_in": 10**400}, "status": 200}, IssuerUnavailable),
        ({"kind": "html"}, IssuerUnavailable),
    ],
)
def test_a_device_code_that_is_none_is_told_through_msal(
    entra: RunningIssuer, fault: dict[str, object], kind: type[LoginError]
) -> None:
    entra.control.fault("/devicecode", **fault)  # type: ignore[arg-type]
    with pytest.raises(kind):
        issuer_for(entra).by_device_code(Teller())


@pytest.mark.parametrize("fault", [{"status": 503}, {"kind": "drop"}, {"kind": "html"}])
def test_what_msal_cannot_read_is_no_end_of_the_grant(
    entra: RunningIssuer, fault: dict[str, object]
) -> None:
    issuer = issuer_for(entra)
    first = remembered(issuer.by_password(Teller()))
    assert first.refresh is not None
    entra.control.fault("/token", **fault)  # type: ignore[arg-type]
    with pytest.raises(IssuerUnavailable):
        issuer.refresh(first.refresh)


@pytest.mark.parametrize(
    ("keys", "kind", "words"),
    [
        ({"client_id": "nobody"}, ProfileRefused, "does not take this client"),
        ({"ca_file": ""}, IssuerUnavailable, "a profile does with ca_file"),
        ({"ca_file": "/nowhere/ca.pem"}, ProfileRefused, "is not readable"),
        ({"ca_file": __file__}, ProfileRefused, "is no PEM of certificates"),
    ],
)
def test_a_wrong_entra_profile_is_told(
    entra: RunningIssuer, keys: dict[str, object], kind: type[LoginError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        issuer_for(entra, **keys).by_password(Teller())


@pytest.mark.parametrize(
    "fault",
    [
        {"body": {"error": "invalid_grant", "error_description": SENT}, "status": 400},
        {"body": {"error": SENT}, "status": 400},
        {"body": {"access_token": SENT, "id_token": f"{SENT}.{SENT}.{SENT}"}, "status": 200},
        {"body": {"access_token": SENT, "id_token": SENT, "client_info": SENT}, "status": 200},
        {"body": {"access_token": SENT, "token_type": SENT}, "status": 200},
        {"body": [SENT], "status": 200},
        {"kind": "raw", "text": SENT},
    ],
)
def test_no_error_of_msal_comes_through_with_what_it_holds(
    entra: RunningIssuer, walker: Walker, fault: dict[str, object]
) -> None:
    entra.control.fault("/oauth2/v2.0/token", **fault)  # type: ignore[arg-type]
    with pytest.raises(LoginError) as caught:
        issuer_for(entra, client_id="desk").by_browser(walker, silently_first=False)
    for error in (caught.value, caught.value.__cause__, caught.value.__context__):
        assert canary.found_in(repr(error).encode()) == set()
    assert "Not signed in" in walker.last_page().text
