"""Sign-ins from end to end, at npm's oidc-provider."""

import re

import msgspec
import pytest
from sessiond_login.clock import SystemClock
from sessiond_login.errors import (
    IssuerUnavailable,
    LoginError,
    NotSignedIn,
    ProfileRefused,
    RefreshRefused,
)
from sessiond_login.issuer import Issuer
from sessiond_login.issuers import issuer_of
from sessiond_login.issuers.claims import unverified_claims
from sessiond_login.profile import Profile
from sessiond_login.secret import Secret
from walking import Hasty, Teller, Walker, profile_of, remembered

from tests.issuer.running import ALICE, RunningIssuer


def issuer_for(profile: Profile) -> Issuer:
    return issuer_of(profile, SystemClock())


def test_a_person_signs_in_in_the_browser(strict_issuer: RunningIssuer, alice: Walker) -> None:
    granted = remembered(
        issuer_for(profile_of(strict_issuer)).by_browser(alice, silently_first=False)
    )
    assert granted.user == ALICE
    assert granted.refresh is not None
    assert granted.lasts == 3600
    page = alice.last_page()
    assert "You are signed in as alice" in page.text
    assert "code" not in str(page.url)
    assert alice.told == []


def test_while_the_browsers_session_lasts_no_page_is_shown(
    strict_issuer: RunningIssuer, alice: Walker
) -> None:
    """prompt=none; the client has a refresh token without offline_access, as at Keycloak."""
    profile = profile_of(
        strict_issuer, client_id="desk", scopes=("openid", "profile", "session.login")
    )
    first = remembered(issuer_for(profile).by_browser(alice, silently_first=False))
    assert alice.prompts() == ["login", "consent"]
    alice.forget_pages()
    again = remembered(issuer_for(profile).by_browser(alice, silently_first=True))
    assert alice.prompts() == []
    assert again.user == ALICE
    assert first.refresh is not None
    assert again.refresh is not None
    assert not again.refresh.same_as(first.refresh)


def test_where_the_issuer_wants_to_see_the_person_the_same_tab_shows_its_page(
    strict_issuer: RunningIssuer, alice: Walker
) -> None:
    profile = profile_of(
        strict_issuer, client_id="desk", scopes=("openid", "profile", "session.login")
    )
    granted = remembered(issuer_for(profile).by_browser(alice, silently_first=True))
    assert granted.user == ALICE
    assert alice.opened == 1
    assert alice.prompts() == ["login", "consent"]


def test_where_no_refresh_token_comes_the_person_is_asked_for_consent_to_one(
    strict_issuer: RunningIssuer, alice: Walker
) -> None:
    """OpenID Connect Core, 11: an issuer may ignore offline_access without prompt=consent."""
    granted = remembered(
        issuer_for(profile_of(strict_issuer)).by_browser(alice, silently_first=False)
    )
    assert alice.prompts() == ["login", "consent", "consent"]
    assert granted.refresh is not None


def test_each_request_has_a_state_of_its_own(strict_issuer: RunningIssuer, alice: Walker) -> None:
    remembered(issuer_for(profile_of(strict_issuer)).by_browser(alice, silently_first=True))
    asked = [page.url for page in alice.seen if "/authorize?" in str(page.url)]
    assert [url.params.get("prompt") for url in asked] == ["none", None, "consent"]
    for name in ("state", "nonce", "code_challenge"):
        assert len({url.params[name] for url in asked}) == 3


def test_what_the_profile_wants_of_the_issuer_is_asked_of_it(
    strict_issuer: RunningIssuer, alice: Walker
) -> None:
    profile = profile_of(
        strict_issuer,
        acr_values="urn:x gold",
        max_age=3600,
        audience="aud",
        resource="api://kdb-ec",
    )
    granted = remembered(issuer_for(profile).by_browser(alice, silently_first=False))
    asked = alice.seen[0].url.params
    assert [asked[name] for name in ("acr_values", "max_age", "audience", "resource")] == [
        "urn:x gold",
        "3600",
        "aud",
        "api://kdb-ec",
    ]
    assert unverified_claims(granted.access)["aud"] == "api://kdb-ec"


def test_a_code_is_entered_elsewhere(strict_issuer: RunningIssuer) -> None:
    def enter(words: str) -> None:
        if "or visit" in words:
            strict_issuer.enter_device_code(words.split()[2])

    person = Teller(heard=enter)
    granted = remembered(issuer_of(profile_of(strict_issuer), Hasty()).by_device_code(person))
    assert granted.user == ALICE
    assert granted.refresh is not None
    assert re.fullmatch(
        rf"Visit {strict_issuer.origin}/devicelogin and enter the code: [A-Z]{{4}}-[A-Z]{{4}}",
        person.told[0],
    )


def test_who_says_no_to_a_device_code_is_not_signed_in(strict_issuer: RunningIssuer) -> None:
    def refuse(words: str) -> None:
        if "or visit" in words:
            strict_issuer.enter_device_code(words.split()[2], agrees=False)

    with pytest.raises(NotSignedIn, match="access_denied"):
        issuer_of(profile_of(strict_issuer), Hasty()).by_device_code(Teller(heard=refuse))


def test_a_name_and_password_are_sent_after_a_warning(strict_issuer: RunningIssuer) -> None:
    person = Teller()
    granted = remembered(issuer_for(profile_of(strict_issuer)).by_password(person))
    assert granted.user == ALICE
    assert person.told[0].startswith("Warning: ")


def test_a_wrong_password_is_told(strict_issuer: RunningIssuer) -> None:
    class Wrong(Teller):
        def ask_password(self, user: str) -> tuple[str, Secret]:
            return ALICE, Secret("wrong")

    with pytest.raises(NotSignedIn, match="invalid_grant: grant request is invalid"):
        issuer_for(profile_of(strict_issuer)).by_password(Wrong())


def test_a_refresh_brings_the_next_pair_and_its_token_is_good_once(
    strict_issuer: RunningIssuer,
) -> None:
    issuer = issuer_for(profile_of(strict_issuer))
    first = remembered(issuer.by_password(Teller()))
    assert first.refresh is not None
    second = remembered(issuer.refresh(first.refresh))
    assert second.user == ALICE
    assert second.refresh is not None
    assert not second.refresh.same_as(first.refresh)
    with pytest.raises(RefreshRefused):
        issuer.refresh(first.refresh)
    with pytest.raises(RefreshRefused):  # the reuse has ended the whole grant
        issuer.refresh(second.refresh)


def test_an_answer_without_a_refresh_token_keeps_the_one_that_was_spent(
    strict_issuer: RunningIssuer,
) -> None:
    issuer = issuer_for(profile_of(strict_issuer))
    first = remembered(issuer.by_password(Teller()))
    assert first.refresh is not None
    strict_issuer.control.fault("/token", kind="token", without=["refresh_token"])
    second = remembered(issuer.refresh(first.refresh))
    assert second.refresh is not None
    assert second.refresh.same_as(first.refresh)


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"kind": "drop"}, {"kind": "html"}, {"status": 429}]
)
def test_where_the_issuer_does_not_answer_the_grant_is_not_said_to_be_over(
    strict_issuer: RunningIssuer, fault: dict[str, object]
) -> None:
    issuer = issuer_for(profile_of(strict_issuer))
    first = remembered(issuer.by_password(Teller()))
    assert first.refresh is not None
    strict_issuer.control.fault("/token", **fault)  # type: ignore[arg-type]
    with pytest.raises(IssuerUnavailable):
        issuer.refresh(first.refresh)


def test_what_is_revoked_is_refreshed_no_more(strict_issuer: RunningIssuer) -> None:
    issuer = issuer_for(profile_of(strict_issuer))
    granted = remembered(issuer.by_password(Teller()))
    assert granted.refresh is not None
    assert issuer.revoke(granted.refresh) is True
    with pytest.raises(RefreshRefused):
        issuer.refresh(granted.refresh)


@pytest.mark.parametrize(
    ("key", "value", "kind", "words"),
    [
        ("client_id", "nobody", ProfileRefused, r"does not take this client \(invalid_client"),
        ("client_id", "qstudio-opaque", ProfileRefused, "whose claims are none: see"),
        ("resource", "api://none", ProfileRefused, "does not know the resource"),
        ("user_claim", "/a/b", ProfileRefused, "claims are .*, preferred_username, .*user_claim"),
        ("issuer", "http://localhost:1/x", IssuerUnavailable, "localhost cannot be reached"),
        ("insecure_http", False, ProfileRefused, "is http:// without insecure_http"),
    ],
)
def test_a_wrong_profile_is_told(
    strict_issuer: RunningIssuer, key: str, value: object, kind: type[LoginError], words: str
) -> None:
    profile = msgspec.structs.replace(profile_of(strict_issuer), **{key: value})
    with pytest.raises(kind, match=words):
        issuer_for(profile).by_password(Teller())


def test_a_profile_with_another_spelling_of_the_issuer_is_refused(
    strict_issuer: RunningIssuer,
) -> None:
    profile = profile_of(strict_issuer, issuer=strict_issuer.issuer + "/")
    with pytest.raises(ProfileRefused, match="letter by letter"):
        issuer_for(profile).by_password(Teller())


def test_an_unknown_tenant_is_told(strict_issuer: RunningIssuer) -> None:
    profile = profile_of(strict_issuer, issuer=strict_issuer.origin + "/fabrikam/v2.0")
    with pytest.raises(ProfileRefused, match="localhost knows no issuer"):
        issuer_for(profile).by_password(Teller())
