"""A code for elsewhere: what the person is told, and how patiently the issuer is asked."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import pytest
from bent_issuer import ABSENT, ACCESS, Answer, BentIssuer, Steered, as_json, bent
from sessiond_login.errors import IssuerUnavailable, NotSignedIn, ProfileRefused
from sessiond_login.issuer import Granted
from sessiond_login.issuers import issuer_of
from walking import Teller

USUAL = {
    "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://login.example/device",
    "verification_uri_complete": "https://login.example/device?user_code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 5,
}
PENDING = as_json({"error": "authorization_pending"}, 400)
SLOWER = as_json({"error": "slow_down"}, 400)
BUSY = as_json({}, 503)


class Codes:
    """An issuer's device flow: what it tells, and what it answers until the code is entered."""

    def __init__(self, issuer: BentIssuer, *answers: Answer, **changes: Any) -> None:
        self.clock, self.person = Steered(issuer), Teller()
        self._issuer = issuer
        self._answers = list(answers)
        issuer.answers["/device"] = as_json(bent(USUAL, changes))
        issuer.answers["/token"] = lambda _: self._next()

    def _next(self) -> Answer:
        if self._answers:
            return self._answers.pop(0)
        return as_json({"access_token": ACCESS, "id_token": self._issuer.sign(self._claims())})

    def _claims(self) -> dict[str, Any]:
        now = int(self._issuer.time)
        who = {"iss": self._issuer.origin, "aud": "me", "preferred_username": "alice"}
        return {**who, "iat": now, "exp": now + 60}

    def sign_in(self) -> Granted:
        client = issuer_of(self._issuer.profile(), self.clock)
        return client.by_device_code(self.person)


def test_the_person_is_told_where_and_what(issuer: BentIssuer) -> None:
    codes = Codes(issuer, PENDING)
    assert codes.sign_in().user == "alice"
    assert codes.person.told == [
        "Visit https://login.example/device and enter the code: WDJB-MJHT",
        "(or visit https://login.example/device?user_code=WDJB-MJHT and compare the code)",
    ]


@pytest.mark.parametrize("methods", [["S256"], ABSENT])
def test_pkce_goes_along_where_the_issuer_does_it(issuer: BentIssuer, methods: object) -> None:
    """Keycloak wants it of a client that is to use it, though RFC 8628 has none."""
    issuer.metadata = {"code_challenge_methods_supported": methods}
    Codes(issuer).sign_in()
    asked, polled = issuer.forms
    if methods is ABSENT:
        assert "code_challenge" not in asked
        assert "code_verifier" not in polled
        return
    digest = sha256(polled["code_verifier"].encode()).digest()
    assert asked["code_challenge"] == urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert asked["code_challenge_method"] == "S256"


def test_the_issuer_is_asked_as_seldom_as_it_likes(issuer: BentIssuer) -> None:
    codes = Codes(issuer, PENDING, SLOWER, PENDING, BUSY, interval=7)
    codes.sign_in()
    assert codes.clock.slept == [7, 7, 12, 12, 24]


@pytest.mark.parametrize(
    ("told", "slept"),
    [(ABSENT, 5), (0, 1), (-9, 1), ("3", 3), (1e9, 60), (True, 5), (None, 5), ("x", 5)],
)
def test_an_interval_is_bounded(issuer: BentIssuer, told: object, slept: float) -> None:
    codes = Codes(issuer, interval=told)
    codes.sign_in()
    assert codes.clock.slept == [slept]


@pytest.mark.parametrize("told", [ABSENT, 10**30, 10**400, 900, "86400"])
def test_nobody_is_waited_for_longer_than_a_quarter_of_an_hour(
    issuer: BentIssuer, told: object
) -> None:
    codes = Codes(issuer, *[PENDING] * 20, expires_in=told, interval=60)
    with pytest.raises(NotSignedIn, match="not entered in time"):
        codes.sign_in()
    assert sum(codes.clock.slept) == 840


def test_a_code_that_is_over_is_not_asked_about(issuer: BentIssuer) -> None:
    codes = Codes(issuer, expires_in=3)
    with pytest.raises(NotSignedIn, match="not entered in time"):
        codes.sign_in()
    assert codes.clock.slept == []


@pytest.mark.parametrize(
    ("error", "words"), [("expired_token", "too long"), ("access_denied", "you said no")]
)
def test_an_end_is_told(issuer: BentIssuer, error: str, words: str) -> None:
    codes = Codes(issuer, PENDING, as_json({"error": error}, 400))
    with pytest.raises(NotSignedIn, match=words):
        codes.sign_in()


@pytest.mark.parametrize(
    "changes",
    [
        {"device_code": ABSENT},
        {"user_code": 5},
        {"user_code": "A\x1b[2J"},
        {"user_code": "A" * 100},
        {"verification_uri": ABSENT},
        {"verification_uri": "http://login.example/device"},
        {"verification_uri": "https://login.example/\x1b[2J"},
        {"verification_uri": "https://login.example/ and, to be quick, run x"},
        {"verification_uri": "https://login.example/" + "a" * 300},
        {"verification_uri": "javascript:alert(1)"},
    ],
)
def test_a_code_that_no_person_can_use_is_refused(
    issuer: BentIssuer, changes: dict[str, Any]
) -> None:
    codes = Codes(issuer, **changes)
    with pytest.raises(IssuerUnavailable, match="no code and https"):
        codes.sign_in()
    assert codes.person.told == []


def test_a_longer_address_is_told_only_where_it_is_one(issuer: BentIssuer) -> None:
    codes = Codes(issuer, verification_uri_complete="https://login.example/\x1b]8;;x\x07")
    codes.sign_in()
    assert len(codes.person.told) == 1


def test_an_issuer_without_device_codes_is_told(issuer: BentIssuer) -> None:
    issuer.metadata = {"device_authorization_endpoint": ABSENT}
    with pytest.raises(ProfileRefused, match="names no device_authorization_endpoint"):
        Codes(issuer).sign_in()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (as_json({"error": "unauthorized_client"}, 400), ProfileRefused),
        (as_json({"error": "server_error"}, 500), IssuerUnavailable),
        ((404, {}, b"<html>"), IssuerUnavailable),
    ],
)
def test_a_refusal_of_a_code_is_told(
    issuer: BentIssuer, answer: Answer, kind: type[Exception]
) -> None:
    codes = Codes(issuer)
    issuer.answers["/device"] = answer
    with pytest.raises(kind):
        codes.sign_in()
