import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.principal import MAX_NAME_SIZE, folded, is_name, same_name, shown

KELVIN = "\u212a"  # str.lower makes it a k


@pytest.mark.parametrize("name", ["a", "alice@example.com", "CORP\\alice", "a b", "~" * 256])
def test_printable_ascii_of_up_to_256_bytes_is_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "text", ["", "a" * 257, "a\n", "a\tb", "a\x00", "alicé", "\u202ealice", KELVIN, "\x7f"]
)
def test_nothing_else_is_a_name(text: str) -> None:
    assert not is_name(text)


def test_names_are_equal_without_regard_to_the_case_of_ascii() -> None:
    assert same_name("Alice@Example.COM", "aLICE@eXAMPLE.com")
    assert not same_name("alice", "alice ")
    assert not same_name("[", "{")  # next to the letters, 32 apart


def test_look_alikes_and_what_is_no_name_equal_nothing_not_even_themselves() -> None:
    assert not same_name(KELVIN, "k")
    assert not same_name(KELVIN, KELVIN)
    assert not same_name("", "")


@pytest.mark.parametrize("size", [1, 2, MAX_NAME_SIZE, MAX_NAME_SIZE + 1])
def test_of_all_the_bytes_a_name_may_have_those_that_can_be_printed(size: int) -> None:
    names = [chr(code) for code in range(0x120) if is_name(chr(code) * size)]
    assert names == [chr(code) for code in range(0x20, 0x7F) if size <= MAX_NAME_SIZE]


@given(st.text(max_size=2), st.text(max_size=2))
def test_names_are_one_only_where_both_are_names(one: str, other: str) -> None:
    assert same_name(one, other) == same_name(other, one)
    assert not same_name(one, other) or (is_name(one) and is_name(other))


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_folding_is_lower_case_for_ascii(text: str) -> None:
    assert folded(text) == text.lower()


@pytest.mark.parametrize(
    "typed",
    [
        "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "bearer:opaque",
        "ticket:eyJhbGciOiJFZERTQSJ9.e30",  # cut short
        f"{'a' * 20};{'b' * 20}",
        "x" * 129,
        " \neyJhbGciOiJSUzI1NiJ9",
        "Bearer eyJhbGciOiJSUzI1NiJ9",
        f"alice {'x' * 129}",
    ],
)
def test_a_token_typed_as_a_name_is_hidden(typed: str) -> None:
    assert shown(typed) == "(token)"


def test_a_name_is_shown_as_it_is() -> None:
    assert shown("alice@example.com") == "alice@example.com"
    assert shown("ticket:1234") == "ticket:1234"  # as operators have them, too


@given(st.text())
def test_whatever_is_typed_is_shown_as_short_printable_ascii(typed: str) -> None:
    result = shown(typed)
    assert len(result) <= MAX_NAME_SIZE
    assert result == "" or is_name(result)


def test_control_characters_are_escaped() -> None:
    assert shown("al\nice\x1b[2J") == "al\\nice\\x1b[2J"
