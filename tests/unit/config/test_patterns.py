"""Whether two shell patterns could match one name."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.config.patterns import overlap
from sessiond.core.principal import folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "A"),
        ("a*", "*b"),
        ("*", "x"),
        ("*", "*"),
        ("?", "[!x]"),
        ("[ab]c", "[bd]c"),
        ("a*b*c", "abxc"),
        ("**", "a*"),
        ("[a-c]*", "*[x-z]"),
        ("[", "["),
        ("[]]", "]"),
        ("[!]]", "a"),
        ("a*", "a"),
    ],
)
def test_patterns_that_share_a_name_overlap(one: str, other: str) -> None:
    assert overlap(one, other)
    assert overlap(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ("a", "aa"),
        ("*@corp", "*@bank"),
        ("a*", "b*"),
        ("[ab]", "[cd]"),
        ("?", "??"),
        ("[!a]", "a"),
        ("[]]", "["),
        ("*.x?", "*.y?"),
        ("[b-a]", "*"),
    ],
)
def test_patterns_that_share_no_name_do_not_overlap(one: str, other: str) -> None:
    assert not overlap(one, other)
    assert not overlap(other, one)


patterns = st.text("ab*?[]!-", max_size=6)


@given(one=patterns, other=patterns, name=st.text("ab[]!-B", max_size=6))
def test_a_name_that_matches_both_proves_that_they_overlap(one: str, other: str, name: str) -> None:
    if all(fnmatchcase(folded(name), folded(pattern)) for pattern in (one, other)):
        assert overlap(one, other)


@given(one=patterns, letters=st.lists(st.sampled_from("ab]!-"), max_size=4))
def test_against_a_plain_name_overlap_is_matching(one: str, letters: list[str]) -> None:
    name = "".join(letters)

    assert overlap(one, name) == fnmatchcase(name, folded(one))
