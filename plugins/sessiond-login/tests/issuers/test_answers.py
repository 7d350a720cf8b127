"""What becomes of what a token endpoint answers."""

import json

import pytest
from sessiond_login.errors import IssuerUnavailable, LoginError, NotSignedIn, ProfileRefused
from sessiond_login.issuers.answers import MAX_LASTS, Refused, answer_of, judged
from sessiond_login.issuers.http import Reply


def reply(members: object, status: int = 200) -> Reply:
    return Reply(host="login.example", status=status, body=json.dumps(members).encode())


@pytest.mark.parametrize(
    ("told", "lasts"),
    [
        (300, 300.0),
        ("300", 300.0),
        (0.5, 0.5),
        (0, None),
        (-5, None),
        (True, None),
        ("soon", None),
        (None, None),
        (10**30, MAX_LASTS),
        (10**400, MAX_LASTS),  # more than a float holds
        ("9" * 100, MAX_LASTS),
    ],
)
def test_a_lifetime_is_seconds_or_it_is_not_told(told: object, lasts: float | None) -> None:
    found = judged(reply({"access_token": "a", "expires_in": told}))
    assert answer_of(found).lasts == lasts


def test_only_what_is_known_is_handed_on() -> None:
    found = judged(
        reply({"access_token": "a", "refresh_token": 5, "id_token": "é", "foo": 1, "scope": [1]})
    )
    assert found == {"token_type": "Bearer", "access_token": "a"}


@pytest.mark.parametrize(
    "members",
    [
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "a\nb"},
        {"access_token": "é"},
        {"access_token": "a" * 200_000},
        {"access_token": "a", "token_type": "DPoP"},
        {"access_token": "a", "token_type": 5},
        {},
        [],
    ],
)
def test_what_has_no_bearer_token_is_of_no_use(members: object) -> None:
    with pytest.raises(IssuerUnavailable):
        judged(reply(members))


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("invalid_client", ProfileRefused, "client_id"),
        ("unauthorized_client", ProfileRefused, "registration"),
        ("invalid_scope", ProfileRefused, "scopes"),
        ("redirect_uri_mismatch", ProfileRefused, "http://localhost"),
        ("invalid_target", ProfileRefused, "resource"),
        ("unsupported_grant_type", ProfileRefused, "flow"),
        ("server_error", IssuerUnavailable, "later"),
        ("temporarily_unavailable", IssuerUnavailable, "later"),
        ("access_denied", NotSignedIn, "said no"),
        ("expired_token", NotSignedIn, "too long"),
        ("invalid_grant", NotSignedIn, "sign in again"),
        ("something_new", NotSignedIn, "something_new"),
        (5, NotSignedIn, "did not agree"),
    ],
)
def test_each_refusal_says_what_to_do(error: object, kind: type[LoginError], words: str) -> None:
    for status in (200, 400, 401):
        with pytest.raises(Refused) as caught:
            judged(reply({"error": error, "error_description": "Why not."}, status))
        reaction = caught.value.reaction()
        assert type(reaction) is kind
        assert words in str(reaction)
        assert "Why not." in str(reaction)


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"error": "access_denied"}, 403),  # of a gateway
        ({"error": "invalid_token"}, 403),
        ({"error": "invalid_grant"}, 500),
        ({"error": "invalid_grant"}, 429),
        ({"access_token": "a"}, 400),
        ({}, 302),
    ],
)
def test_what_may_be_somebody_elses_word_is_no_refusal(members: object, status: int) -> None:
    with pytest.raises(IssuerUnavailable):
        judged(reply(members, status))
