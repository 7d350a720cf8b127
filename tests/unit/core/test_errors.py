import pytest

from sessiond.core import errors
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    SessiondError,
    TokenRejected,
)


def test_a_rejection_says_which_refusal_and_why() -> None:
    rejected = TokenRejected(Refusal.EXPIRED, "over since 9:00")
    assert (rejected.reason, rejected.detail) == (Refusal.EXPIRED, "over since 9:00")
    assert str(rejected) == "expired: over since 9:00"


def test_who_expects_an_unavailable_issuer_catches_a_throttling_one() -> None:
    with pytest.raises(IssuerUnavailable) as caught:
        raise IssuerThrottled("429", retry_after=30.0)
    assert isinstance(caught.value, IssuerThrottled)
    assert caught.value.retry_after == 30.0


def test_a_refused_refresh_names_the_oauth_error() -> None:
    refused = RefreshRefused("invalid_grant")
    assert refused.error == "invalid_grant"
    assert "invalid_grant" in str(refused)


def test_every_error_on_purpose_has_one_base_and_an_order_to_who_catches_it() -> None:
    made = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, Exception)
    ]
    assert len(made) > 5
    assert all(issubclass(each, SessiondError) and each.__doc__ for each in made)


def test_every_refusal_is_the_word_that_q_gets() -> None:
    assert all(refusal.name.lower() == refusal.value for refusal in Refusal)
