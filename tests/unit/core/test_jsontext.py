import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.jsontext import MAX_DEPTH, read_object


def nested(depth: int) -> bytes:
    """An object whose innermost list is so deep, the object counted."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_an_object_is_read() -> None:
    text = ' {"a":[1,2.5,true,null],"b":{"c":"\u00e9"}} '.encode()
    assert read_object(text) == {"a": [1, 2.5, True, None], "b": {"c": "é"}}


@pytest.mark.parametrize("text", [b"", b"[]", b'"a"', b"1", b"null", b"{", b"{}{}", b"{'a':1}"])
def test_what_is_not_one_object_is_none(text: bytes) -> None:
    assert read_object(text) is None


@pytest.mark.parametrize("text", [b'{"a":1,"a":2}', b'{"b":{"a":1,"a":1}}', b'{"a":1,"\\u0061":2}'])
def test_a_member_named_twice_is_refused_at_any_depth_and_in_any_spelling(text: bytes) -> None:
    assert read_object(text) is None


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
def test_a_number_that_is_not_finite_is_refused(number: bytes) -> None:
    assert read_object(b'{"a":' + number + b"}") is None


def test_a_number_too_long_to_convert_is_refused() -> None:
    assert read_object(b'{"a":' + b"9" * 5000 + b"}") is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_byte_order_mark_and_other_encodings_than_utf_8_are_refused(encoding: str) -> None:
    assert read_object('{"a":1}'.encode(encoding)) is None


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    assert read_object(b'{"a":"\xff"}') is None


def test_nesting_up_to_the_limit_is_read_and_beyond_it_refused() -> None:
    assert read_object(nested(MAX_DEPTH)) is not None
    assert read_object(nested(MAX_DEPTH + 1)) is None


def test_nesting_that_would_exhaust_the_stack_is_refused() -> None:
    assert read_object(nested(100_000)) is None
    assert read_object(b'{"a":' * 100_000) is None


def test_brackets_inside_strings_are_no_nesting() -> None:
    assert read_object(b'{"a":"\\"' + b"[{" * 100 + b'","b":"\\\\"}') == {
        "a": '"' + "[{" * 100,
        "b": "\\",
    }


@pytest.mark.parametrize("ending", [b"", b"\\"])
def test_a_string_that_never_ends_is_refused_without_searching_it_again_and_again(
    ending: bytes,
) -> None:
    # A search that began anew at each quote would take minutes here, longer than a test may.
    assert read_object(b'{"a":"' + b'\\"' * 500_000 + ending) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_none(text: bytes) -> None:
    value = read_object(text)
    assert value is None or isinstance(value, dict)
