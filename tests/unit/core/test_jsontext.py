import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.jsontext import MAX_DEPTH, MAX_FLOAT, MAX_INTEGER, MAX_MARKS, read_object


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


@pytest.mark.parametrize(
    ("longest", "start"), [(MAX_INTEGER, b""), (MAX_FLOAT, b"0."), (MAX_FLOAT, b"1e-")]
)
def test_a_number_longer_than_any_double_is_refused_before_it_is_converted(
    longest: int, start: bytes
) -> None:
    number = start + b"9" * (longest - len(start))
    assert read_object(b'{"a":' + number + b"}") is not None
    assert read_object(b'{"a":' + number + b"9}") is None


@pytest.mark.parametrize("item", [b"1", b"1.5", b"[]", b"{}", b'{"a":1}', b'"a"'])
def test_what_holds_too_many_values_is_refused_before_it_is_read(
    item: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = 1 + sum(map(item.count, (b"[", b"{")))  # the comma before it is one
    most = (MAX_MARKS - 2) // marks
    assert read_object(b'{"a":[1' + (b"," + item) * most + b"]}") is not None
    monkeypatch.setattr("sessiond.core.jsontext._DECODER", None)
    assert read_object(b'{"a":[1' + (b"," + item) * (most + 1) + b"]}") is None


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
