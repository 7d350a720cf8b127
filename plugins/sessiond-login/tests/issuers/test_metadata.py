"""What an issuer says of itself is held against the profile."""

from typing import Any

import pytest
from bent_issuer import ABSENT, Answer, BentIssuer, Steered, as_json
from sessiond_login.errors import IssuerUnavailable, LoginError, ProfileRefused
from sessiond_login.issuers import issuer_of
from walking import Teller

PATH = "/.well-known/openid-configuration"


def ask(issuer: BentIssuer, **keys: Any) -> None:
    issuer_of(issuer.profile(**keys), Steered(issuer)).by_password(Teller())


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"issuer": "https://login.example"}, "calls itself https://login.example, wanted http"),
        ({"issuer": ABSENT}, "calls itself nothing"),
        ({"issuer": "\x1b[31mred"}, r"calls itself \[31mred"),
        ({"code_challenge_methods_supported": ["plain"]}, "no PKCE with S256"),
        ({"token_endpoint": "http://login.example/token"}, "token_endpoint is http://"),
        ({"token_endpoint": ["x"]}, "token_endpoint is not a URL"),
        ({"token_endpoint": ABSENT}, "names no token_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri is no https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "is no https"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    issuer: BentIssuer, metadata: dict[str, Any], words: str
) -> None:
    issuer.metadata = metadata
    with pytest.raises(ProfileRefused, match=words):
        ask(issuer)
    assert issuer.forms == []


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (as_json({}, 404), ProfileRefused, "knows no issuer"),
        (as_json({}, 500), IssuerUnavailable, "answered 500, wanted the issuer's metadata"),
        (as_json({}, 429), IssuerUnavailable, "try again later"),
        ((302, {"Location": "http://portal.example"}, b""), IssuerUnavailable, "a redirect"),
        ((200, {}, b"<html>Sign in"), IssuerUnavailable, "nothing of use"),
    ],
)
def test_what_is_no_metadata_is_told(
    issuer: BentIssuer, answer: Answer, kind: type[LoginError], words: str
) -> None:
    issuer.answers[PATH] = answer
    with pytest.raises(kind, match=words):
        ask(issuer)


def test_metadata_is_read_once_and_only_when_it_is_needed(issuer: BentIssuer) -> None:
    issuer.tokens = {"id_token": ABSENT}
    client = issuer_of(issuer.profile(user_claim="sub"), Steered(issuer))
    assert issuer.asked == []
    for _ in range(2):
        with pytest.raises(ProfileRefused, match="no name"):
            client.by_password(Teller())
    assert issuer.asked.count(PATH) == 1
