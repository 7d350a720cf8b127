import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.printable import escaped


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


@given(st.text())
def test_nothing_that_is_left_is_unprintable(text: str) -> None:
    assert escaped(text).isprintable()
    assert escaped(escaped(text)) == escaped(text)
