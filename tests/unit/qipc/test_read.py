"""What one is sent, in each of the shapes in which q sends it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.qipc import (
    NIL,
    NULL_GUID,
    NULL_INT,
    NULL_LONG,
    NULL_TIMESPAN,
    NULL_TIMESTAMP,
    Atom,
    CallError,
    Dictionary,
    List,
    QType,
    Value,
    Vector,
    boolean,
    decode,
    dictionary,
    flag,
    guid,
    guid_of,
    guids,
    int_,
    integer,
    integers,
    is_ping,
    list_,
    long,
    mapping,
    moment,
    octets,
    octets_of,
    password,
    span,
    string,
    symbol,
    symbols,
    table,
    text,
    texts,
    timespan,
    timestamp,
    typed,
    unpack_call,
)
from tests.unit.qipc.strategies import values

ONE = UUID(int=1)
NONE = list_()  # ()
CHAR = Atom(QType.CHAR, b"x")
BAD_UTF8 = Vector(QType.CHAR, b"hunter2\xff")
BAD_SYMBOL = Atom(QType.SYMBOL, b"hunter2\xff".decode(errors="surrogateescape"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (symbol("alice"), "alice"),
        (symbol(""), ""),
        (symbol("é"), "é"),
        (string("alice"), "alice"),
        (string("é"), "é"),
        (CHAR, "x"),
        (string(""), ""),
        (NONE, ""),
    ],
)
def test_text_comes_as_symbol_string_or_char(value: Value, expected: str) -> None:
    assert text(value) == expected


def test_texts_come_as_symbols_or_as_a_list() -> None:
    assert texts(symbols(["a", "b"])) == ["a", "b"]
    assert texts(List((symbol("a"), string("bc"), CHAR))) == ["a", "bc", "x"]
    assert texts(NONE) == []


@pytest.mark.parametrize("value", [string("tok"), Vector(QType.CHAR, b"tok")])
def test_a_password_is_a_string_and_becomes_a_secret(value: Value) -> None:
    assert password(value).reveal() == "tok"
    assert "tok" not in repr(password(value))


def test_a_password_of_no_or_one_character_is_one_too() -> None:
    assert password(string("")).reveal() == ""
    assert password(NONE).reveal() == ""
    assert password(CHAR).reveal() == "x"


def test_a_password_that_is_no_utf_8_keeps_its_bytes_apart() -> None:
    assert password(BAD_UTF8).reveal().encode(errors="surrogateescape") == BAD_UTF8.items


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (symbol("é"), "é"),
        (string("é"), "é"),
        (CHAR, "x"),
        (NONE, ""),
        (BAD_UTF8, "hunter2\ufffd"),
        (BAD_SYMBOL, "hunter2\ufffd"),
    ],
)
def test_what_somebody_typed_is_read_whatever_bytes_it_has(value: Value, read: str) -> None:
    assert typed(value) == read


def test_integers_come_as_ints_or_longs() -> None:
    assert integer(int_(-5)) == integer(long(-5)) == -5
    assert integers(Vector(QType.INT, (1, 2))) == integers(Vector(QType.LONG, (1, 2))) == [1, 2]
    assert integers(List((int_(1), long(2)))) == [1, 2]
    assert integers(NONE) == []


def test_guids_come_alone_and_in_lists() -> None:
    assert guid_of(guid(ONE)) == ONE
    assert guid_of(NULL_GUID) == UUID(int=0)
    assert guids(Vector(QType.GUID, (ONE, ONE))) == [ONE, ONE]
    assert guids(NONE) == []


def test_bytes_and_booleans_are_read_as_they_are() -> None:
    assert octets_of(octets(b"\1\2")) == b"\1\2"
    assert octets_of(Atom(QType.BYTE, 7)) == b"\7"
    assert octets_of(NONE) == b""
    assert flag(boolean(True)) is True
    assert flag(boolean(False)) is False


@given(st.datetimes(datetime(1708, 1, 1), datetime(2292, 1, 1)), st.timedeltas())  # noqa: DTZ001
def test_times_come_back_as_they_were_sent(naive: datetime, length: timedelta) -> None:
    sent = naive.replace(tzinfo=UTC)
    assert moment(timestamp(sent)) == sent
    if abs(length) < timedelta(days=292 * 365):
        assert span(timespan(length)) == length


def test_a_null_timestamp_is_none_and_nanoseconds_round_down() -> None:
    assert moment(NULL_TIMESTAMP) is None
    assert moment(Atom(QType.TIMESTAMP, -1)) == datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)


@pytest.mark.parametrize(
    ("reader", "value", "problem"),
    [
        (text, int_(1), "x must be a symbol or a string"),
        (text, symbols(["a"]), "x must be a symbol or a string"),
        (text, BAD_UTF8, "x must be UTF-8"),
        (text, BAD_SYMBOL, "x must be UTF-8"),
        (texts, string("ab"), "x must be a list of symbols"),
        (texts, symbol("a"), "x must be a list of symbols"),
        (texts, List((NIL,)), "x must be a symbol or a string"),
        (password, symbol("hunter2"), "x must be a string"),
        (password, octets(b"hunter2"), "x must be a string"),
        (typed, int_(1), "x must be a symbol or a string"),
        (octets_of, string("hunter2"), "x must be bytes"),
        (octets_of, int_(1), "x must be bytes"),
        (flag, int_(1), "x must be a boolean"),
        (integer, NULL_INT, "x must be an int or a long, and not null"),
        (integer, NULL_LONG, "x must be an int or a long, and not null"),
        (integer, boolean(True), "x must be an int or a long, and not null"),
        (integer, Atom(QType.SHORT, 1), "x must be an int or a long, and not null"),
        (integer, Vector(QType.INT, (1,)), "x must be an int or a long, and not null"),
        (integers, int_(1), "x must be a list of ints or longs"),
        (integers, Vector(QType.INT, (1, -(2**31))), "x must be ints or longs, and not null"),
        (integers, Vector(QType.LONG, (-(2**63),)), "x must be ints or longs, and not null"),
        (integers, string("ab"), "x must be ints or longs, and not null"),
        (integers, List((NULL_INT,)), "x must be an int or a long, and not null"),
        (guid_of, symbol("hunter2"), "x must be a guid"),
        (guids, guid(ONE), "x must be a list of guids"),
        (guids, string("ab"), "x must be a list of guids"),
        (guids, List((string("ab"),)), "x must be a guid"),
        (moment, long(1), "x must be a timestamp"),
        (span, long(1), "x must be a timespan, and not null"),
        (span, NULL_TIMESPAN, "x must be a timespan, and not null"),
        (mapping, table({"a": symbols(["b"])}), "x must be a dictionary"),
        (mapping, Dictionary(Vector(QType.INT, (1,)), symbols(["a"])), "keys of x must be symbols"),
        (mapping, Dictionary(string("a"), symbols(["a"])), "keys of x must be symbols"),
        (mapping, Dictionary(List((int_(1),)), symbols(["a"])), "keys of x must be symbols"),
        (
            mapping,
            Dictionary(table({"a": symbols(["b"])}), symbols(["a"])),
            "the keys of x must be a list of symbols",
        ),
        (
            mapping,
            Dictionary(symbols(["a"]), table({"a": symbols(["b"])})),
            "the values of x must be a list of values",
        ),
        (mapping, Dictionary(symbols(["a", "a"]), symbols(["b", "c"])), "each key once"),
        (mapping, Dictionary(symbols(["a"]), symbols(["b", "c"])), "a value for each"),
        (mapping, Dictionary(List((BAD_SYMBOL,)), symbols(["b"])), "each key of x must be UTF-8"),
    ],
)
def test_what_does_not_fit_is_a_call_error_that_says_what_would(
    reader: Callable[[Value, str], object], value: Value, problem: str
) -> None:
    with pytest.raises(CallError, match=problem) as caught:
        reader(value, "x")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


MANY = 1000 * b"x"
TAKEN_APART = [
    (texts, Vector(QType.CHAR, MANY)),
    (integers, Vector(QType.CHAR, MANY)),
    (guids, Vector(QType.BYTE, MANY)),
    (mapping, Dictionary(Vector(QType.CHAR, MANY), Vector(QType.CHAR, MANY))),
    (mapping, Dictionary(symbols(["x"] * 1001), Vector(QType.CHAR, MANY + b"x"))),
    (mapping, Dictionary(symbols(["x"]), Vector(QType.CHAR, MANY))),
    (unpack_call, Vector(QType.BYTE, MANY)),
    (unpack_call, Vector(QType.INT, tuple(range(1000)))),
    (unpack_call, symbols(["f", *"abcdefghi"])),
    (unpack_call, List((symbol("f"), *[NIL] * 9))),
]


@pytest.mark.parametrize(("reader", "value"), TAKEN_APART)
def test_what_cannot_be_meant_is_refused_before_it_is_taken_apart(
    reader: Callable[[Value], object], value: Value, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond.qipc.read._items", None)
    with pytest.raises(CallError):
        reader(value)


def test_a_call_has_as_many_arguments_as_a_function_of_q() -> None:
    assert unpack_call(symbols(["f", *"abcdefgh"])) == ("f", tuple(map(symbol, "abcdefgh")))


def test_a_dictionary_comes_with_mixed_or_with_collapsed_values() -> None:
    assert mapping(dictionary({"a": long(1), "b": string("x")})) == {"a": long(1), "b": string("x")}
    assert mapping(dictionary({"a": long(1), "b": long(2)})) == {"a": long(1), "b": long(2)}
    assert mapping(Dictionary(symbols(["a", "b"]), string("xy"))) == {
        "a": Atom(QType.CHAR, b"x"),
        "b": Atom(QType.CHAR, b"y"),
    }
    assert mapping(Dictionary(List((symbol("a"),)), List((NIL,)))) == {"a": NIL}
    assert mapping(Dictionary(NONE, NONE)) == {}


def test_the_keys_of_a_dictionary_are_each_valid_utf_8() -> None:
    values = list_(int_(1), symbol("b"))
    accents = symbols(["\u00e9", "e"])
    assert mapping(Dictionary(accents, values)) == {"\u00e9": int_(1), "e": symbol("b")}
    halves = symbols(["\udcc3", "\udca9"])  # which are a letter where they come together
    with pytest.raises(CallError, match="each key of value must be UTF-8"):
        mapping(Dictionary(halves, values))


def test_only_the_empty_string_and_nothing_are_a_ping() -> None:
    assert is_ping(string(""))
    assert is_ping(NIL)
    assert not is_ping(NONE)
    assert not is_ping(symbol(""))
    assert not is_ping(string("f"))


@pytest.mark.parametrize(
    ("payload", "name", "arguments"),
    [
        ("f56600", "f", ()),  # `f
        ("0a0002000000666f", "fo", ()),  # "fo"
        ("f666", "f", ()),  # "f"
        ("0b00010000006600", "f", ()),  # enlist`f
        ("000002000000f566006500", "f", ()),  # (`f;::)
        ("0000010000000a0002000000666f", "fo", ()),  # enlist "fo"
        ("000002000000f666fa01000000", "f", (int_(1),)),  # ("f";1i)
        ("0b000200000066006100", "f", (symbol("a"),)),  # `f`a
        (
            "000003000000f56600fa010000006500",  # (`f;1i;::)
            "f",
            (int_(1), NIL),
        ),
        ("000002000000f566000000" + "00000000", "f", (NONE,)),  # (`f;())
    ],
)
def test_a_call_comes_in_every_shape_that_q_gives_it(
    payload: str, name: str, arguments: tuple[Value, ...]
) -> None:
    value = decode(bytes.fromhex(payload))
    assert isinstance(value, Atom | Vector | List)
    assert unpack_call(value) == (name, arguments)


@pytest.mark.parametrize(
    "value",
    [
        NIL,
        NONE,
        string(""),
        symbol(""),
        int_(1),
        Vector(QType.INT, (1, 2)),
        List((int_(1), string("f"))),
        List((List((symbol("f"),)), int_(1))),
        dictionary({"f": int_(1)}),
        BAD_SYMBOL,
        BAD_UTF8,
    ],
)
def test_anything_else_is_no_call(value: Value) -> None:
    with pytest.raises(CallError) as caught:
        unpack_call(value)
    assert "hunter2" not in str(caught.value)


READERS: list[Callable[[Value], object]] = [
    text,
    texts,
    password,
    octets_of,
    flag,
    integer,
    integers,
    guid_of,
    guids,
    moment,
    span,
    mapping,
    unpack_call,
]


@given(value=values, reader=st.sampled_from(READERS))
def test_a_reader_reads_or_raises_a_call_error(
    value: Value, reader: Callable[[Value], object]
) -> None:
    try:
        reader(value)
    except CallError as error:
        assert str(error)  # noqa: PT017 - any other exception is our bug
