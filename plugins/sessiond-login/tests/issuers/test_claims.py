"""Whose name stands where."""

import json
from base64 import urlsafe_b64encode

import pytest
from bent_issuer import unsigned
from sessiond_login.errors import ProfileRefused
from sessiond_login.issuers.claims import claim_at, name_in, unverified_claims, user_of
from sessiond_login.secret import Secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("upn", "alice"),
        ("/a/b~1c/d~0e", "bob"),
        ("/a/0", None),
        ("/list/0", None),
        ("/upn", "alice"),
        ("a/b", "carol"),
        ("none", None),
    ],
)
def test_a_claim_is_named_as_sessiond_names_it(name: str, value: object) -> None:
    claims = {"upn": "alice", "a": {"b/c": {"d~e": "bob"}}, "list": ["x"], "a/b": "carol"}
    assert claim_at(claims, name) == value


def test_the_access_token_tells_the_name_where_the_id_token_does_not() -> None:
    access = Secret(unsigned({"upn": "alice", "sub": "1"}, {"alg": "RS256"}) + "x")
    assert user_of("upn", id_claims={"sub": "2"}, access=access) == "alice"
    assert user_of("sub", id_claims={"sub": "2"}, access=access) == "2"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("alice@contoso.test", "alice@contoso.test"),
        (["alice@contoso.test"], "alice@contoso.test"),
        (["a", "b"], ""),
        ([], ""),
        ("", ""),
        ("älice", ""),
        ("a\nb", ""),
        ("a" * 257, ""),
        (5, ""),
        ({"a": 1}, ""),
    ],
)
def test_a_name_is_what_sessiond_takes_for_one(value: object, name: str) -> None:
    assert name_in({"who": value}, "who") == name


@pytest.mark.parametrize("value", ["älice", "a" * 257, 5])
def test_a_name_that_cannot_be_typed_is_told_from_one_that_is_not_there(value: object) -> None:
    access = Secret(unsigned({"upn": value}, {"alg": "RS256"}) + "x")
    for claims in ({"upn": value}, {}):
        with pytest.raises(ProfileRefused, match="claim upn has cannot be typed as a name") as told:
            user_of("upn", id_claims=claims, access=access)
        assert str(value) not in str(told.value).replace("256", "")


def test_names_of_claims_are_told_and_no_values() -> None:
    access = Secret(unsigned({"secretly": "hush"}, {"alg": "RS256"}) + "x")
    claims = {f"c{number}\x1b": "hush" for number in range(50)}
    with pytest.raises(ProfileRefused) as caught:
        user_of("upn", id_claims=claims, access=access)
    assert "hush" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("payload", ["", "!", "[]", "1", json.dumps("a"), "[" * 10_000])
def test_what_is_no_jwt_says_nothing(payload: str) -> None:
    encoded = urlsafe_b64encode(payload.encode()).decode()
    assert unverified_claims(Secret(f"a.{encoded}.b")) == {}
    assert unverified_claims(Secret("opaque")) == {}
    assert unverified_claims(Secret("é.é.é")) == {}
