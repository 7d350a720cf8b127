"""Sign-ins at an issuer that does not mean well, or at two that somebody mixes up."""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from bent_issuer import ABSENT, ACCESS, CODE, REFRESH, BentIssuer, Steered, as_json, unsigned
from sessiond_login.errors import (
    IssuerUnavailable,
    LoginError,
    NotSignedIn,
    ProfileRefused,
    RefreshRefused,
)
from sessiond_login.issuer import Granted
from sessiond_login.issuers import issuer_of
from sessiond_login.issuers.answers import MAX_LASTS
from sessiond_login.secret import Secret
from walking import Teller, Walker

from tests import canary


def sign_in(
    issuer: BentIssuer, alice: Walker, *, silently_first: bool = False, **keys: Any
) -> Granted:
    client = issuer_of(issuer.profile(**keys), Steered(issuer))
    return client.by_browser(alice, silently_first=silently_first)


@pytest.mark.parametrize(
    ("comes_back", "words"),
    [
        ({"iss": "https://login.example"}, "the answer is from https://login.example, wanted"),
        ({"iss": ABSENT}, "from an unnamed issuer"),
        ({"iss": "https://login.example", "code": ABSENT, "error": "x"}, "the answer is from"),
    ],
)
def test_an_answer_of_another_issuer_is_not_redeemed(
    issuer: BentIssuer, alice: Walker, comes_back: dict[str, Any], words: str
) -> None:
    """RFC 9207: this issuer says that it names itself in each."""
    issuer.comes_back = comes_back
    with pytest.raises(NotSignedIn, match=words):
        sign_in(issuer, alice)
    assert issuer.forms == []
    assert "mix up two issuers" in alice.last_page().text


def test_an_issuer_that_names_itself_though_it_need_not_is_held_to_it(
    issuer: BentIssuer, alice: Walker
) -> None:
    issuer.metadata = {"authorization_response_iss_parameter_supported": ABSENT}
    issuer.comes_back = {"iss": "https://login.example"}
    with pytest.raises(NotSignedIn, match="RFC 9207"):
        sign_in(issuer, alice)
    issuer.comes_back = {"iss": ABSENT}
    assert sign_in(issuer, alice).user == "alice"


def test_only_the_verifier_of_the_request_redeems_its_code(
    issuer: BentIssuer, alice: Walker
) -> None:
    sign_in(issuer, alice)
    asked, form = alice.seen[0].url.params, issuer.forms[0]
    digest = sha256(form["code_verifier"].encode()).digest()
    assert asked["code_challenge"] == urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert asked["code_challenge_method"] == "S256"
    assert form["redirect_uri"] == asked["redirect_uri"]
    assert form["client_id"] == "me"
    assert "client_secret" not in form


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("access_denied", NotSignedIn),
        ("unauthorized_client", ProfileRefused),
        ("server_error", IssuerUnavailable),
        ("login_required", NotSignedIn),
    ],
)
def test_a_refusal_is_told_on_the_page_and_in_the_program(
    issuer: BentIssuer, alice: Walker, error: str, kind: type[LoginError]
) -> None:
    issuer.comes_back = {
        "code": ABSENT,
        "error": error,
        "error_description": "Not\x1b[2J today <b>",
    }
    with pytest.raises(kind, match=error) as caught:
        sign_in(issuer, alice)
    assert str(caught.value).isprintable()
    page = alice.last_page()
    assert "Not signed in" in page.text
    assert "[2J today &lt;b&gt;" in page.text
    assert "error" not in str(page.url)


def test_who_is_asked_silently_and_is_told_anything_else_is_not_asked_again(
    issuer: BentIssuer, alice: Walker
) -> None:
    issuer.comes_back = {"code": ABSENT, "error": "unauthorized_client"}
    with pytest.raises(ProfileRefused):
        sign_in(issuer, alice, silently_first=True)
    assert issuer.asked.count("/authorize") == 1


def test_an_answer_with_neither_a_code_nor_an_error_is_of_no_use(
    issuer: BentIssuer, alice: Walker
) -> None:
    issuer.comes_back = {"code": ABSENT}
    with pytest.raises(IssuerUnavailable, match="neither a code nor an error"):
        sign_in(issuer, alice)


def test_a_page_says_signed_in_only_once_the_tokens_are_there(
    issuer: BentIssuer, alice: Walker
) -> None:
    issuer.answers["/token"] = as_json({"error": "invalid_grant"}, 400)
    with pytest.raises(NotSignedIn, match="did not take the sign-in"):
        sign_in(issuer, alice)
    assert "Not signed in" in alice.last_page().text
    assert not any("You are signed in" in page.text for page in alice.seen)


def test_who_asks_for_no_refresh_token_is_not_asked_to_consent_to_one(
    issuer: BentIssuer, alice: Walker
) -> None:
    issuer.tokens = {"refresh_token": ABSENT}
    assert sign_in(issuer, alice, scopes=("openid",)).refresh is None
    assert issuer.asked.count("/authorize") == 1
    assert alice.told == []
    assert sign_in(issuer, alice).refresh is None  # it has none to give: asked once, no more
    assert issuer.asked.count("/authorize") == 3
    assert [words[:42] for words in alice.told] == ["The issuer gives this client no refresh to"]


@pytest.mark.parametrize(
    ("exp", "lasts"), [(100, 100.0), (-1, None), (10**400, MAX_LASTS), ("soon", None)]
)
def test_a_lifetime_that_the_answer_does_not_tell_the_token_does(
    issuer: BentIssuer, alice: Walker, exp: Any, lasts: float | None
) -> None:
    over = exp if isinstance(exp, str) else int(issuer.time) + exp
    token = unsigned({"exp": over}, {"alg": "RS256"}) + "x"
    issuer.tokens = {"expires_in": ABSENT, "access_token": token}
    assert sign_in(issuer, alice).lasts == lasts


def test_a_tab_that_is_closed_at_once_takes_nothing_from_the_sign_in(issuer: BentIssuer) -> None:
    closed = Event()

    class Passing(Steered):
        """Six seconds go by at each look, once nobody is there any more."""

        def monotonic(self) -> float:
            if closed.is_set():
                self.sleep(6)
            return super().monotonic()

    class Closing(Teller):
        def open(self, url: str) -> bool:
            Thread(target=self._come_back, args=(url,), daemon=True).start()
            return True

        def _come_back(self, url: str) -> None:
            with httpx.Client(trust_env=False) as http:
                sent = http.get(http.get(url).headers["location"])
            assert sent.status_code == 303
            closed.set()

    client = issuer_of(issuer.profile(), Passing(issuer))
    assert client.by_browser(Closing(), silently_first=False).user == "alice"


def test_a_person_without_a_browser_is_told_the_address(issuer: BentIssuer) -> None:
    alice = Walker()

    def visit(words: str) -> None:
        found = re.search(r"http://\S+", words)
        assert found is not None
        alice.open(found[0])

    client = issuer_of(issuer.profile(), Steered(issuer))
    assert client.by_browser(Teller(heard=visit), silently_first=False).user == "alice"
    with alice:
        assert "Signed in" in alice.last_page().text


def test_a_person_who_never_comes_back_is_given_up(issuer: BentIssuer) -> None:
    clock = Steered(issuer)
    client = issuer_of(issuer.profile(), clock)
    with pytest.raises(NotSignedIn, match="within 180 s"):
        client.by_browser(Teller(heard=lambda _: clock.sleep(181)), silently_first=False)


@pytest.mark.parametrize(
    "error",
    ["invalid_grant", "interaction_required", "login_required", "consent_required"],
)
def test_a_grant_that_is_over_is_told_apart(issuer: BentIssuer, error: str) -> None:
    issuer.answers["/token"] = as_json({"error": error}, 400)
    with pytest.raises(RefreshRefused):
        issuer_of(issuer.profile(), Steered(issuer)).refresh(Secret(REFRESH))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (as_json({"error": "invalid_client"}, 401), ProfileRefused),
        (as_json({"error": "invalid_scope"}, 400), ProfileRefused),
        (as_json({"error": "temporarily_unavailable"}, 400), IssuerUnavailable),
        (as_json({"error": "access_denied"}, 403), IssuerUnavailable),
        (as_json({"error": "invalid_grant"}, 502), IssuerUnavailable),
        ((307, {"Location": "/elsewhere"}, b""), IssuerUnavailable),
        (as_json({"access_token": 5}), IssuerUnavailable),
    ],
)
def test_any_other_trouble_ends_no_grant(
    issuer: BentIssuer, answer: Any, kind: type[LoginError]
) -> None:
    issuer.answers["/token"] = answer
    with pytest.raises(kind):
        issuer_of(issuer.profile(), Steered(issuer)).refresh(Secret(REFRESH))


def test_an_issuer_that_takes_nothing_back_says_so(issuer: BentIssuer) -> None:
    assert issuer_of(issuer.profile(), Steered(issuer)).revoke(Secret(REFRESH)) is False


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((200, {}, b""), True),
        (as_json({"error": "invalid_grant"}, 400), True),
        (as_json({"error": "unauthorized_client"}, 400), ProfileRefused),
        (as_json({"error": "server_error"}, 503), IssuerUnavailable),
        ((404, {}, b"<html>"), IssuerUnavailable),
    ],
)
def test_what_is_said_to_be_taken_back_is(issuer: BentIssuer, answer: Any, outcome: Any) -> None:
    issuer.metadata = {"revocation_endpoint": f"{issuer.origin}/revoke"}
    issuer.answers["/revoke"] = answer
    client = issuer_of(issuer.profile(), Steered(issuer))
    if outcome is True:
        assert client.revoke(Secret(REFRESH)) is True
        return
    with pytest.raises(outcome):
        client.revoke(Secret(REFRESH))


def chain(error: BaseException | None) -> list[BaseException]:
    """An error, and all that it holds on to."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


@pytest.mark.parametrize(
    "bend",
    [
        {"answers": as_json({"error": "invalid_grant", "error_description": f"no {CODE}"}, 400)},
        {"answers": as_json({"error": CODE, "error_description": REFRESH}, 400)},
        {"answers": as_json({"access_token": ACCESS, "token_type": REFRESH}, 200)},
        {"answers": as_json({"access_token": ACCESS, "id_token": REFRESH}, 200)},
        {"answers": as_json({"access_token": ACCESS, "id_token": f"{CODE}.{CODE}.{CODE}"}, 200)},
        {"answers": (200, {}, f"{ACCESS} is no JSON".encode())},
        {"answers": (302, {"Location": f"http://x/?{CODE}"}, b"")},
        {"answers": lambda handler: handler.connection.close()},
    ],
)
def test_no_error_holds_a_token_or_a_code(
    issuer: BentIssuer, alice: Walker, bend: dict[str, Any]
) -> None:
    issuer.answers["/token"] = bend["answers"]
    with pytest.raises(LoginError) as caught:
        sign_in(issuer, alice)
    errors = chain(caught.value)
    try:
        issuer_of(issuer.profile(), Steered(issuer)).refresh(Secret(REFRESH))
    except (LoginError, RefreshRefused) as error:
        errors += chain(error)
    for each in errors:
        assert canary.found_in(repr(each).encode()) == set()
    told = " ".join([*alice.told, *(page.text for page in alice.seen)])
    assert canary.found_in(told.encode()) == set()


@pytest.mark.parametrize("claim", ["iss", "aud", "azp", "nonce", "at_hash"])
def test_no_error_holds_a_token_that_an_id_token_repeats(
    issuer: BentIssuer, alice: Walker, claim: str
) -> None:
    issuer.id_claims = {claim: CODE}
    with pytest.raises(LoginError) as caught:
        sign_in(issuer, alice)
    assert canary.found_in(str(caught.value).encode()) == set()
