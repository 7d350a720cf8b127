"""Why the table refuses, in words that name the next step or the key."""

from sessiond.core.errors import Refusal
from sessiond.core.refusal_words import why


def test_a_throttled_login_names_the_key_that_bounds_sessions() -> None:
    assert "login.max_sessions" in why(Refusal.THROTTLED)


def test_a_refusal_without_words_of_its_own_has_some_all_the_same() -> None:
    assert why(Refusal.UNAVAILABLE) == "the table refuses it"
