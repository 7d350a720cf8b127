import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.printable import any_of, escaped, escaped_lines, seen


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("alice", "alice"),
        ("älice 東京 [bold]", "älice 東京 [bold]"),
        ("a\x1b[2J", "a\\x1b[2J"),
        ("line\nbreak\r\t", "line\\nbreak\\r\\t"),
        ("\u202eevil\u2028", "\\u202eevil\\u2028"),
        ("\x9b\x7f\xa0", "\\x9b\\x7f\\xa0"),
        ("\udcff\U000e0001", "\\udcff\\U000e0001"),
        ("", ""),
    ],
)
def test_what_is_not_printable_is_written_out(text: str, safe: str) -> None:
    assert escaped(text) == safe


def test_lines_stay_lines_and_each_is_written_out() -> None:
    assert escaped_lines("a\x1b\nb\u2028c\n") == "a\\x1b\nb\\u2028c\n"


@given(st.text())
def test_nothing_that_is_left_is_unprintable(text: str) -> None:
    assert escaped(text).isprintable()
    assert escaped(escaped(text)) == escaped(text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("api://kdb", '"api://kdb"'),
        ("\u0430\x7f\x1b\n\u202e\ud800", '"\\u0430\\u007f\\u001b\\n\\u202e\\ud800"'),
        ('a"b', '"a\\"b"'),
        ("x" * 100, f'"{"x" * 100}"'),
        ("x" * 101, f'"{"x" * 100}..."'),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        (10**300, f"1{'0' * 99}..."),
        ({"a": 1}, "an object"),
        ([], "[]"),
        (["a", 1, None, [1], {}], '["a", 1, null, a list, an object]'),
        (["a"] * 6, '["a", "a", "a", "a", "a", ...]'),
        ("eyJhbGciOiJSUzI1NiJ9", "a text that may be a token"),
        ("a" * 129, "a text that may be a token"),
        (["bearer:x"], "[a text that may be a token]"),
    ],
)
def test_a_value_is_shown_short_and_plain(value: object, shown: str) -> None:
    assert seen(value) == shown


def test_what_is_written_out_counts_as_it_is_written() -> None:
    assert seen("\n" * 60) == '"' + "\\n" * 50 + '..."'


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_what_is_shown_is_always_printable_ascii_and_of_a_bounded_length(value: object) -> None:
    shown = seen(value)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 5 * 110


@given(
    text=st.text(), token=st.from_regex(r"\AeyJ[A-Za-z0-9_-]{20,}\Z"), before=st.sampled_from(" \n")
)
def test_no_text_with_a_token_in_sight_is_shown(text: str, token: str, before: str) -> None:
    assert token not in seen(f"{text[:90]}{before}{token}")


def test_several_are_shown_in_order_and_no_more_than_five() -> None:
    assert any_of({"b", "a"}) == '"a" or "b"'
    assert any_of("abcdef") == '"a" or "b" or "c" or "d" or "e" or ...'
    assert any_of([]) == ""
