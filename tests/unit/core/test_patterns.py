"""Shell patterns that are compared with very many texts."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.patterns import Patterns
from sessiond.core.principal import folded

texts = st.text("aAbB*?[]!-.\\\u017f\u212a", max_size=5)


@given(patterns=st.lists(texts, max_size=3), text=texts)
def test_a_text_matches_what_the_shell_would_say_without_case(
    patterns: list[str], text: str
) -> None:
    expected = any(fnmatchcase(folded(text), folded(each)) for each in patterns)
    assert Patterns(patterns).match(text) is expected


@pytest.mark.parametrize("text", ["\u212aing", "u\u017fer"])
def test_only_a_to_z_is_compared_without_case(text: str) -> None:
    """The Kelvin sign and the long s are no letters of ours."""
    assert not Patterns(["king", "user", "k*", "us*"]).match(text)


def test_no_pattern_matches_nothing() -> None:
    assert not Patterns([]).match("")
