"""The canary finds a secret wherever sixteen characters of it stand."""

import secrets
from collections import Counter
from collections.abc import Callable

import pytest

from sessiond.core.errors import (
    IssuerThrottled,
    ProtocolError,
    Refusal,
    SessiondError,
    StoreError,
    TokenRejected,
)
from sessiond.core.secret import Secret
from tests import canary
from tests.unit.jwt.forge import token


def test_any_sixteen_characters_of_a_secret_are_found() -> None:
    secret = secrets.token_urlsafe(60)
    canary.remember(f"eyJhbGciOiJSUzI1NiJ9.e30.{secret}", "a made-up token")
    for at in range(len(secret) - 15):
        text = f'{{"detail": "{secret[at : at + 16]}"}}'.encode()
        assert canary.found_in(text) == {"a made-up token"}


def test_the_public_parts_of_a_token_are_no_secret() -> None:
    canary.remember(f"eyJhbGciOiJSUzI1NiJ9.e30.{secrets.token_urlsafe(60)}", "another")
    assert canary.found_in(b"eyJhbGciOiJSUzI1NiJ9.e30") == set()


@pytest.mark.parametrize("made_up", ["0123456789abcdefghijklmnopqrstu", "A" * 64, "012345678" * 8])
def test_a_secret_too_short_or_too_plain_is_not_looked_for(made_up: str) -> None:
    canary.remember(made_up, "made up by hand")
    assert canary.found_in(made_up.encode()) == set()


def test_a_row_of_one_letter_in_what_is_made_up_is_nobodys_secret() -> None:
    secret = secrets.token_urlsafe(60)
    canary.remember("a" * 64 + secret, "half made up")
    assert canary.found_in(b"a" * 64) == set()
    assert canary.found_in(secret.encode()) == {"half made up"}


def test_no_more_of_a_name_are_looked_for_than_was_said() -> None:
    first, second = secrets.token_urlsafe(60), secrets.token_urlsafe(60)
    for each in (first, second):
        canary.remember(each, "one of few", at_most=1)
    assert canary.found_in(first.encode()) == {"one of few"}
    assert canary.found_in(second.encode()) == set()


@pytest.mark.parametrize(
    "say",
    [
        ProtocolError,
        lambda text: TokenRejected(Refusal.MALFORMED, text),
        lambda text: IssuerThrottled(text, retry_after=1.0),
        lambda text: StoreError("what was there", ascii(text).encode()),
    ],
    ids=["plain", "with a reason", "with a wait", "with two arguments"],
)
def test_a_secret_in_an_errors_text_is_a_leak(say: Callable[[str], SessiondError]) -> None:
    secret = secrets.token_urlsafe(60)
    canary.remember(secret, "a told token")
    with canary.texts_of_errors() as texts:
        error = say(f"\ud800 is no part of {secret[10:40]}")
    (leak,) = canary.leaks(texts)
    assert leak.startswith(f"a told token: {type(error).__name__} ")


def test_an_error_says_the_same_while_texts_are_collected() -> None:
    with canary.texts_of_errors():
        error = TokenRejected(Refusal.EXPIRED, "at nine")
    assert str(error) == "expired: at nine"
    assert error.args == ("expired: at nine",)


def test_an_error_with_a_hidden_secret_is_no_leak() -> None:
    secret = Secret(secrets.token_urlsafe(60))
    canary.remember(secret.reveal(), "a hidden token")
    with canary.texts_of_errors() as texts:
        ProtocolError(f"{secret} is hidden", secret)
    assert texts
    assert canary.leaks(texts) == []


def test_an_inner_blocks_errors_are_its_own() -> None:
    with canary.texts_of_errors() as outer:
        with canary.texts_of_errors() as inner:
            ProtocolError("within")
        ProtocolError("without")
    ProtocolError("after")
    assert inner == {"ProtocolError within"}
    assert outer == {"ProtocolError without"}


def test_a_forged_token_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "_remembered", Counter())  # others may have forged their many
    assert canary.found_in(token().reveal().encode()) == {"a forged token"}
