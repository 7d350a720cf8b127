"""What others have written is one harmless line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessiond_login.issuers.words import MOST, printable, said

from tests import canary


@given(st.one_of(st.text(max_size=1000), st.integers(), st.none()))
def test_it_is_always_short_and_printable(text: object) -> None:
    for shown in (printable(text), said(text)):
        assert shown.isprintable()
        assert len(shown) <= MOST + 3


def test_it_cannot_steer_a_terminal() -> None:
    assert said("a\x1b]0;title\x07b\r\nc\u202ed\x9b31m") == "a ]0;title b c d 31m"


@pytest.mark.parametrize(
    "token",
    [
        "SplxlOBeZQQYbYS6WxSbIAm4HhT7QzLp",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.NHVaYe26MbtOYhSKkoKYdFVomg4i8ZJd8_-RU8VNbf",
        "1//0gLu8x7YQm3h2CgYIARAAGBASNwF-L9IrKq5v0Xn1w2e3r4t5y6u7i8o9p0",
        "QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUiOpAsDfGhJk",
    ],
)
def test_a_token_that_an_issuer_repeats_is_left_out(token: str) -> None:
    canary.remember(token, "repeated")
    shown = said(f"the token {token} is not good")
    assert canary.found_in(shown.encode()) == set()
    assert shown.startswith("the token ")
    assert shown.endswith(" is not good")


@pytest.mark.parametrize(
    "words",
    [
        "redirect_uri_mismatch",
        "unsupported_grant_type",
        "AADSTS50126: Error validating credentials due to invalid username or password.",
        "Invalid redirect_uri http://localhost:41234/callback",
    ],
)
def test_words_stay_as_they_are(words: str) -> None:
    assert said(words) == words
