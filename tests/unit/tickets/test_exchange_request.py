"""A token exchange is read as RFC 8693 writes it; what is not done here has its own error."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.tickets.exchange_request import (
    ACCESS_TOKEN,
    GRANT_TYPE,
    JWT,
    MAX_AUDIENCE,
    ExchangeRefused,
    read_request,
)

GOOD = {
    "grant_type": GRANT_TYPE,
    "subject_token": "opaque-token",
    "subject_token_type": ACCESS_TOKEN,
    "audience": "rdb1",
}


def form(*more: tuple[str, str], **changed: str) -> bytes:
    return urlencode([*{**GOOD, **changed}.items(), *more]).encode()


def test_a_good_one_is_read() -> None:
    request = read_request(form(requested_token_type=JWT))
    assert request.subject_token.reveal() == "opaque-token"
    assert (request.audience, request.is_jwt) == ("rdb1", False)
    assert read_request(form(subject_token_type=JWT)).is_jwt
    assert "opaque-token" not in repr(request)


def test_what_is_not_understood_is_ignored_and_what_is_empty_left_out() -> None:
    content = form(("client_id", "x"), ("foo", "a"), scope="", resource="", actor_token="")
    assert read_request(content + b"&scope").audience == "rdb1"
    assert read_request(form(subject_token="a b+c&d=e")).subject_token.reveal() == "a b+c&d=e"


def test_unicode_of_a_name_is_read() -> None:
    assert read_request(form(audience="børs")).audience == "børs"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "invalid_request"),
        (b"\xff", "invalid_request"),
        (b"grant_type=%ff", "invalid_request"),
        (form(("x", "1"), ("x", "2")), "invalid_request"),
        (form(("subject_token", "other")), "invalid_request"),
        (form() + b"&a=1" * 200, "invalid_request"),
        (form(grant_type=""), "invalid_request"),
        (form(grant_type="refresh_token"), "unsupported_grant_type"),
        (form(subject_token=""), "invalid_request"),
        (form(subject_token_type=""), "invalid_request"),
        (form(subject_token_type="access_token"), "invalid_request"),
        (form(requested_token_type=ACCESS_TOKEN), "invalid_request"),
        (form(actor_token="x"), "invalid_request"),
        (form(actor_token_type=JWT), "invalid_request"),
        (form(scope="read"), "invalid_scope"),
        (form(resource="https://x.example"), "invalid_target"),
        (form(audience=""), "invalid_target"),
        (form(("audience", "rdb2")), "invalid_target"),
        (form(audience="a" * (MAX_AUDIENCE + 1)), "invalid_target"),
        (form(audience="rdb\n1"), "invalid_target"),
    ],
)
def test_what_is_not_done_here_is_refused_by_its_error(content: bytes, error: str) -> None:
    with pytest.raises(ExchangeRefused) as refused:
        read_request(content)
    assert refused.value.error == error
    assert "other" not in refused.value.description
    assert refused.value.description.isascii()
    assert set(refused.value.description).isdisjoint('"\\')  # RFC 6749, 5.2


@given(
    content=st.binary(max_size=200) | st.text("a=&%20+;subject_token", max_size=80).map(str.encode)
)
def test_whatever_else_comes_is_refused(content: bytes) -> None:
    with pytest.raises(ExchangeRefused):  # any other exception is our bug
        read_request(content)
