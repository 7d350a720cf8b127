import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.claim_values import MAX_WORDS, claim_at, text_of, values_of, words_of

scalars = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(scalars, st.lists))
def test_words_are_never_anything_but_strings(value: object) -> None:
    assert all(isinstance(word, str) for word in words_of(value))


@pytest.mark.parametrize("between", [" ", "  "])
def test_words_beyond_the_bound_are_not_read(between: str) -> None:
    many = ["w"] * (MAX_WORDS + 7)
    assert len(words_of(many)) == MAX_WORDS
    assert len(words_of(between.join(many))) == MAX_WORDS // len(between)


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_values_are_never_anything_but_strings_and_no_more_than_are_read(value: object) -> None:
    values = values_of(value)
    assert all(isinstance(each, str) for each in values)
    assert not isinstance(value, dict) or set(values) <= value.keys()


@given(scalars | st.lists(scalars))
def test_of_anything_but_an_object_the_values_are_the_words(value: object) -> None:
    assert values_of(value) == words_of(value)


def test_the_names_of_an_objects_members_are_values_but_for_those_that_are_not_so() -> None:
    held = {"reader": {"2069": "corp.example"}, "admin": False, "writer": None, "a b": 0}
    assert values_of(held) == ["reader", "a b"]
    assert words_of(held) == []


def test_members_beyond_the_bound_are_not_read() -> None:
    assert len(values_of({str(number): 1 for number in range(MAX_WORDS + 7)})) == MAX_WORDS


def test_a_pointer_goes_through_objects_and_never_into_a_list() -> None:
    claims: dict[str, object] = {"a": {"b/c": {"~d": "x"}}, "l": ["x"], "/e": "no pointer"}
    assert claim_at(claims, "/a/b~1c/~0d") == "x"
    assert claim_at(claims, "/l/0") is None
    assert claim_at(claims, "/e") is None


def test_a_text_is_what_json_calls_it() -> None:
    values: list[object] = ["a", True, 7, ["a", 7], {}, None]
    assert [text_of(value) for value in values] == ["a", "true", "7", "a 7", None, None]
