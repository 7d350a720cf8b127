"""Whatever is put into a header stays one line of it, or is not sent at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.web.answer import BASIC, redirect, sent

ANY = st.text(
    alphabet=st.one_of(st.sampled_from("\r\n\t \x00:;é\u2028\x85aZ9"), st.characters()), max_size=30
)


def lines(headers: str) -> list[str]:
    assert headers.endswith("\r\n")
    return headers[:-2].split("\r\n")


def test_a_response_states_its_length_and_that_nobody_keeps_it() -> None:
    answer = sent("deny", 403, ("X-Word", "a b"), body="four", reason="notallowed")
    assert lines(answer.headers) == [
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Length: 4",
        "Cache-Control: no-store",
        "X-Word: a b",
    ]
    assert (answer.action, answer.status, answer.reason) == ("deny", 403, "notallowed")


def test_without_a_body_there_is_no_type() -> None:
    answer = redirect("https://issuer.example/authorize")
    assert lines(answer.headers) == [
        "Content-Length: 0",
        "Cache-Control: no-store",
        "Location: https://issuer.example/authorize",
    ]
    assert (answer.action, answer.status, answer.body) == ("redirect", 302, "")


@given(ANY, ANY)
def test_no_text_makes_a_second_line_of_a_header(name: str, value: str) -> None:
    try:
        answer = sent("deny", 400, (name, value))
    except ValueError:
        return
    assert lines(answer.headers)[2:] == [f"{name}: {value}"]
    assert answer.headers.isascii()
    assert answer.headers.count("\r\n") == answer.headers.count("\n") == 3


@pytest.mark.parametrize(
    "value", ["", " a", "a ", "a\r\nb: c", "a\nb", "a\rb", "a\x00b", "a\tb", "\u00e9", "a\x7f"]
)
def test_a_value_that_is_not_one_line_of_ascii_is_a_fault_of_ours(value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        redirect(value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é"])
def test_so_is_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        sent("deny", 400, (name, "x"))


def test_a_body_whose_length_would_be_wrong_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        sent("deny", 400, body="\u00e9")


def test_what_q_asks_a_password_for_has_nothing_else_in_it() -> None:
    assert (BASIC.action, BASIC.active, BASIC.headers, BASIC.body, BASIC.reason) == (
        "basic",
        None,
        "",
        "",
        "",
    )
