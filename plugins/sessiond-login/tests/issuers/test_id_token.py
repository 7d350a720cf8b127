"""An ID token is believed only where all of it is right, in a sign-in from end to end."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from bent_issuer import (
    ABSENT,
    ACCESS,
    KEY,
    OTHER_KEY,
    BentIssuer,
    Steered,
    as_json,
    signed_by,
    unsigned,
)
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, OKPKey, RSAKey
from sessiond_login.errors import IssuerUnavailable, LoginError, NotSignedIn, ProfileRefused
from sessiond_login.issuer import Granted
from sessiond_login.issuers import issuer_of
from walking import Walker


def sign_in(issuer: BentIssuer, alice: Walker, *, off: float = 0.0, **keys: Any) -> Granted:
    profile = issuer.profile(**keys)
    return issuer_of(profile, Steered(issuer, off)).by_browser(alice, silently_first=False)


def test_a_good_one_tells_the_name(issuer: BentIssuer, alice: Walker) -> None:
    assert sign_in(issuer, alice).user == "alice"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://login.example"}, "ID token's iss is https://login.example, wanted http"),
        ({"iss": ABSENT}, "iss is none"),
        ({"aud": "somebody"}, "aud is somebody, wanted me"),
        ({"aud": ["somebody"]}, "aud is no text, wanted me"),
        ({"aud": ["me", "somebody"]}, "azp is none, wanted me"),
        ({"aud": ["me", "somebody"], "azp": "somebody"}, "azp is somebody, wanted me"),
        ({"azp": "somebody"}, "azp is somebody"),
        ({"nonce": "another"}, "another sign-in"),
        ({"nonce": ABSENT}, "another sign-in"),
        ({"nonce": 5}, "another sign-in"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "another access token"),
        ({"exp": ABSENT}, "no time exp"),
        ({"exp": True}, "no time exp"),
        ({"iat": "now"}, "no time iat"),
        ({"iat": -1}, "no time iat"),
        ({"exp": 10**300}, "no time exp"),
    ],
)
def test_one_that_is_not_for_this_sign_in_is_refused(
    issuer: BentIssuer, alice: Walker, claims: dict[str, Any], words: str
) -> None:
    issuer.id_claims = claims
    with pytest.raises(IssuerUnavailable, match=words):
        sign_in(issuer, alice)
    assert "Not signed in" in alice.last_page().text


def test_one_for_several_is_good_where_it_was_given_to_us(
    issuer: BentIssuer, alice: Walker
) -> None:
    issuer.id_claims = {"aud": ["me", "somebody"], "azp": "me"}
    assert sign_in(issuer, alice).user == "alice"


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_the_access_token_is_held_against_its_hash(
    issuer: BentIssuer, alice: Walker, algorithm: str
) -> None:
    digest = hashlib.new(algorithm, ACCESS.encode()).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    issuer.id_claims = {"at_hash": half}
    assert sign_in(issuer, alice).user == "alice"


def test_one_that_nobody_signed_is_refused(issuer: BentIssuer, alice: Walker) -> None:
    issuer.sign = lambda claims: unsigned(claims, {"alg": "none", "kid": "one"})
    with pytest.raises(IssuerUnavailable, match="is signed by none, wanted one of RS256"):
        sign_in(issuer, alice)


def test_the_public_key_is_no_shared_secret(issuer: BentIssuer, alice: Walker) -> None:
    """The classic confusion: HS256 with the issuer's public key as the secret."""

    def sign(claims: dict[str, Any]) -> str:
        signed = unsigned(claims, {"alg": "HS256", "kid": "one"}).removesuffix(".")
        mac = hmac.digest(KEY.as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    issuer.sign = sign
    with pytest.raises(IssuerUnavailable, match="is signed by HS256"):
        sign_in(issuer, alice)


@pytest.mark.parametrize(
    "token", ["", "a.b", "a.b.c", "e30.e30.e30", "..", "ey.ey.ey.ey.ey", "[].[].[]"]
)
def test_what_is_no_jwt_is_refused(issuer: BentIssuer, alice: Walker, token: str) -> None:
    issuer.sign = lambda _: token
    with pytest.raises(IssuerUnavailable, match="ID token"):
        sign_in(issuer, alice)


def test_another_key_under_the_same_name_is_refused(issuer: BentIssuer, alice: Walker) -> None:
    issuer.sign = signed_by(OTHER_KEY, kid="one")
    with pytest.raises(IssuerUnavailable, match="by no key of the issuer"):
        sign_in(issuer, alice)
    assert issuer.asked.count("/keys") == 1  # they were fresh


def test_a_token_brings_no_key_of_its_own(issuer: BentIssuer, alice: Walker) -> None:
    own = OTHER_KEY.as_dict(private=False)
    issuer.sign = signed_by(OTHER_KEY, kid="one", jwk=own, jku=f"{issuer.origin}/theirs")
    with pytest.raises(IssuerUnavailable, match="ID token"):
        sign_in(issuer, alice)
    assert "/theirs" not in issuer.asked


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}])
def test_a_header_that_must_be_understood_is_not(
    issuer: BentIssuer, alice: Walker, header: dict[str, Any]
) -> None:
    """RFC 7515, 4.1.11."""

    def sign(claims: dict[str, Any]) -> str:
        first, payload, _ = signed_by(KEY)(claims).split(".")
        protected = {"alg": "RS256", "kid": "one", **header}
        first = unsigned({}, protected).partition(".")[0]
        assert KEY.private_key is not None
        digest = KEY.private_key.sign(f"{first}.{payload}".encode(), PKCS1v15(), SHA256())
        return f"{first}.{payload}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    issuer.sign = sign
    with pytest.raises(IssuerUnavailable, match="by no key of the issuer"):
        sign_in(issuer, alice)


def test_a_key_that_is_new_is_fetched_once(issuer: BentIssuer, alice: Walker) -> None:
    client = issuer_of(issuer.profile(), Steered(issuer))
    client.by_browser(alice, silently_first=False)
    issuer.keys, issuer.sign = [KEY, OTHER_KEY], signed_by(OTHER_KEY)
    assert client.by_browser(alice, silently_first=False).user == "alice"
    issuer.sign = signed_by(RSAKey.generate_key(2048, {"kid": "three"}, private=True))
    with pytest.raises(IssuerUnavailable, match="by no key of the issuer"):
        client.by_browser(alice, silently_first=False)
    assert issuer.asked.count("/keys") == 3


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ECKey.generate_key("P-256", {"kid": "ec"}), "ES256"),
        (OKPKey.generate_key("Ed25519", {"kid": "ed"}), "Ed25519"),
        (KEY, "PS256"),
    ],
)
def test_each_kind_of_key_signs(
    issuer: BentIssuer, alice: Walker, key: Any, algorithm: str
) -> None:
    issuer.keys, issuer.sign = [OTHER_KEY, key], signed_by(key, alg=algorithm)
    assert sign_in(issuer, alice).user == "alice"


@pytest.mark.filterwarnings("ignore:.*2048")
def test_a_short_key_signs_nothing(issuer: BentIssuer, alice: Walker) -> None:
    short = RSAKey.generate_key(1024, {"kid": "one"}, private=True)
    issuer.keys, issuer.sign = [short], signed_by(short)
    with pytest.raises(IssuerUnavailable, match="by no key of the issuer"):
        sign_in(issuer, alice)


def test_what_is_no_key_among_the_keys_is_passed_by(issuer: BentIssuer, alice: Walker) -> None:
    good = KEY.as_dict(private=False)
    bad = [1, {}, {"kty": "oct", "k": "aaaa"}, {"kty": "RSA", "n": 1}, {"kty": "EC", "crv": "x"}]
    encrypting = {**good, "use": "enc", "kid": "two"}
    issuer.answers["/keys"] = as_json({"keys": [*bad, encrypting, good]})
    assert sign_in(issuer, alice).user == "alice"


@pytest.mark.parametrize("off", [-250.0, 250.0])
def test_clocks_may_be_some_minutes_apart(issuer: BentIssuer, alice: Walker, off: float) -> None:
    assert sign_in(issuer, alice, off=off).user == "alice"


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (-3_900.0, "clock is 1 h 5 min behind the issuer's: set it"),
        (90_061.0, "clock is 1 d 1 h ahead of the issuer's"),
    ],
)
def test_a_wrong_clock_is_told_with_how_wrong_it_is(
    issuer: BentIssuer, alice: Walker, off: float, words: str
) -> None:
    with pytest.raises(NotSignedIn, match=words):
        sign_in(issuer, alice, off=off)


def test_a_person_who_was_asked_too_long_ago_is_not_signed_in(
    issuer: BentIssuer, alice: Walker
) -> None:
    assert sign_in(issuer, alice, max_age=60).user == "alice"
    issuer.id_claims = {"auth_time": int(issuer.time) - 3600}
    with pytest.raises(NotSignedIn, match="asked you 1 h ago, wanted at most 1 min"):
        sign_in(issuer, alice, max_age=60)
    issuer.id_claims = {"auth_time": ABSENT}
    with pytest.raises(IssuerUnavailable, match="no time auth_time"):
        sign_in(issuer, alice, max_age=60)


def test_openid_without_an_id_token_is_refused(issuer: BentIssuer, alice: Walker) -> None:
    issuer.tokens = {"id_token": ABSENT}
    with pytest.raises(IssuerUnavailable, match="no ID token"):
        sign_in(issuer, alice)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "no name in the claim"),
        (None, "no name in the claim"),
        (5, "cannot be typed"),
        (["alice", "bob"], "cannot be typed"),
        ("a\x1b[2Jb", "cannot be typed"),
        ("x" * 300, "cannot be typed"),
    ],
)
def test_a_name_that_cannot_be_typed_is_none(
    issuer: BentIssuer, alice: Walker, value: object, words: str
) -> None:
    issuer.id_claims = {"preferred_username": value}
    with pytest.raises(ProfileRefused, match=words):
        sign_in(issuer, alice)


def test_a_refresh_keeps_its_tokens_whatever_its_id_token_is(
    issuer: BentIssuer, alice: Walker
) -> None:
    client = issuer_of(issuer.profile(), Steered(issuer))
    refresh = client.by_browser(alice, silently_first=False).refresh
    assert refresh is not None
    assert client.refresh(refresh).user == "alice"
    issuer.id_claims = {"iss": "https://elsewhere.example"}
    granted = client.refresh(refresh)
    assert granted.user == ""
    assert granted.access.reveal() == ACCESS


def test_no_error_of_a_sign_in_is_but_one_of_ours(issuer: BentIssuer, alice: Walker) -> None:
    for claims in ({"iss": "x"}, {"exp": "x"}):
        issuer.id_claims = claims
        with pytest.raises(LoginError) as caught:
            sign_in(issuer, alice)
        assert ACCESS not in str(caught.value)
