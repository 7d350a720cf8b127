"""Whether two shell patterns could match one name, and whether one has all names of another."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.config.patterns import covers, overlap
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


@pytest.mark.parametrize(
    ("wider", "other"),
    [
        ("*", "anything*"),
        ("**", "*"),
        ("a*", "A*"),
        ("a*", "ab*c"),
        ("a*", "a"),
        ("*b", "a*b"),
        ("?*", "*?"),
        ("*a*", "?a"),
        ("[ab]c", "ac"),
        ("[!b]", "a"),
        ("a", "[b-a]"),
        ("*a?b*", "*aab*"),
    ],
)
def test_a_pattern_covers_what_has_no_name_that_it_has_not(wider: str, other: str) -> None:
    assert covers(wider, other)


@pytest.mark.parametrize(
    ("wider", "other"),
    [
        ("a", "b"),
        ("a*", "*"),
        ("?*", "*"),
        ("a?*", "a*"),
        ("[ab]", "[bc]"),
        ("*b", "*b*"),
        ("[b-a]", "a"),
        ("[ -~]", "?"),  # a name may have what is not ASCII
        ("[ -~]*", "*"),
        ("a", "aa"),
        ("aa", "a"),
    ],
)
def test_a_pattern_that_lacks_a_name_of_another_does_not_cover_it(wider: str, other: str) -> None:
    assert not covers(wider, other)


@given(wider=patterns, other=patterns, name=st.text("ab[]!-Bé", max_size=6))
def test_a_name_that_only_the_other_matches_proves_that_it_is_not_covered(
    wider: str, other: str, name: str
) -> None:
    if fnmatchcase(folded(name), folded(other)) and not fnmatchcase(folded(name), folded(wider)):
        assert overlap(other, other) is (not covers(wider, other))


@given(wider=patterns, letters=st.lists(st.sampled_from("ab]!-"), max_size=4))
def test_a_plain_name_is_covered_where_it_matches(wider: str, letters: list[str]) -> None:
    name = "".join(letters)

    assert covers(wider, name) == fnmatchcase(name, folded(wider))


def test_what_would_take_too_long_to_find_out_counts_as_not_covered() -> None:
    assert not covers("*a" + "?" * 200 + "*", "*a" + "?" * 200)
