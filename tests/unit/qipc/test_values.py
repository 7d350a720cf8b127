"""What one builds to send."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

import sessiond.qipc as qipc
from sessiond.qipc import (
    NIL,
    NULL_GUID,
    NULL_INT,
    NULL_LONG,
    NULL_SYMBOL,
    NULL_TIMESPAN,
    NULL_TIMESTAMP,
    Atom,
    Dictionary,
    Function,
    Lambda,
    List,
    Message,
    MessageKind,
    QType,
    Received,
    Table,
    Value,
    Vector,
    boolean,
    call,
    count,
    dictionary,
    encode,
    guid,
    int_,
    list_,
    long,
    octets,
    string,
    symbol,
    symbols,
    table,
    timespan,
    timestamp,
)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (boolean(True), "ff01"),
        (int_(-1), "faffffffff"),
        (long(1), "f90100000000000000"),
        (symbol("é"), "f5c3a900"),
        (symbols([]), "0b0000000000"),
        (string("a"), "0a000100000061"),
        (octets(b"\x01\x02"), "0400020000000102"),
        (
            guid(UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")),
            "fe000102030405060708090a0b0c0d0e0f",
        ),
        (timespan(timedelta(seconds=2)), "f00094357700000000"),
        (timestamp(datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC)), "f400ca9a3b00000000"),
        (NULL_SYMBOL, "f500"),
        (NULL_GUID, "fe" + "00" * 16),
        (NULL_INT, "fa00000080"),
        (NULL_LONG, "f90000000000000080"),
        (NULL_TIMESTAMP, "f40000000000000080"),
        (NULL_TIMESPAN, "f00000000000000080"),
    ],
)
def test_atoms_and_vectors_are_sent_as_q_reads_them(value: Value, payload: str) -> None:
    assert encode(value).hex() == payload


def test_a_timestamp_counts_nanoseconds_from_2000_in_any_zone() -> None:
    paris = timezone(timedelta(hours=1))
    assert timestamp(datetime(2000, 1, 1, 1, 0, 0, 1, tzinfo=paris)).value == 1000
    assert timestamp(datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)).value == -(10**9)
    assert timestamp(None) == NULL_TIMESTAMP


def test_a_time_beyond_the_range_of_q_is_infinite_and_never_null() -> None:
    assert timestamp(datetime(9999, 1, 1, tzinfo=UTC)).value == 2**63 - 1
    assert timestamp(datetime(1, 1, 1, tzinfo=UTC)).value == -(2**63) + 1
    assert timespan(timedelta.max).value == 2**63 - 1


def test_a_naive_datetime_is_no_timestamp() -> None:
    with pytest.raises(ValueError, match="aware"):
        timestamp(datetime(2000, 1, 1))  # noqa: DTZ001 - the point


@pytest.mark.parametrize(
    ("items", "collapsed"),
    [
        ((), List(())),
        ((symbol("f"), symbol("a")), Vector(QType.SYMBOL, ("f", "a"))),
        ((int_(1),), Vector(QType.INT, (1,))),
        ((Atom(QType.CHAR, b"a"), Atom(QType.CHAR, b"b")), Vector(QType.CHAR, b"ab")),
        ((Atom(QType.BYTE, 1), Atom(QType.BYTE, 2)), Vector(QType.BYTE, b"\1\2")),
        ((int_(1), long(1)), List((int_(1), long(1)))),
        ((int_(1), string("a")), List((int_(1), string("a")))),
        ((string("a"), int_(1)), List((string("a"), int_(1)))),
        ((NIL, NIL), List((NIL, NIL))),
    ],
)
def test_atoms_of_one_type_collapse_to_a_vector(items: tuple[Value, ...], collapsed: Value) -> None:
    assert list_(*items) == collapsed


def test_a_dictionary_has_symbol_keys_and_collapsed_values() -> None:
    assert dictionary({"a": long(1), "b": long(2)}) == Dictionary(
        symbols(["a", "b"]), Vector(QType.LONG, (1, 2))
    )
    assert dictionary({"a": long(1), "b": string("x")}) == Dictionary(
        symbols(["a", "b"]), List((long(1), string("x")))
    )
    assert dictionary({}) == Dictionary(symbols([]), List(()))


def test_a_table_has_columns_of_one_length() -> None:
    names, ages = symbols(["x", "y"]), Vector(QType.INT, (1, 2))
    assert table({"name": names, "age": ages}) == Table(("name", "age"), (names, ages))
    for columns in ({}, {"a": names, "b": symbols([])}, {"a": int_(1)}):
        with pytest.raises(ValueError, match="one length"):
            table(columns)


def test_a_call_without_arguments_is_sent_with_nothing() -> None:
    assert call("f") == List((symbol("f"), NIL))
    assert call("f", symbol("a")) == symbols(["f", "a"])
    assert call("f", int_(1)) == List((symbol("f"), int_(1)))


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (int_(1), None),
        (NIL, None),
        (Lambda("", b"{}"), None),
        (Function(QType.OVER, parts=(NIL,)), None),
        (string("abc"), 3),
        (list_(), 0),
        (dictionary({"a": int_(1)}), 1),
        (table({"a": symbols(["x", "y"])}), 2),
        (Table((), ()), 0),
    ],
)
def test_count_is_that_of_q_for_lists_dictionaries_and_tables(
    value: Value, length: int | None
) -> None:
    assert count(value) == length


def test_no_repr_shows_what_may_be_a_password() -> None:
    for value in (symbol("hunter2"), string("hunter2"), Lambda("", b"hunter2")):
        inside = dictionary({"password": value, "n": int_(1)})
        received = Received(MessageKind.SYNC, inside)
        message = Message(MessageKind.SYNC, encode(inside))
        assert "hunter2" not in f"{value} {inside} {received} {message}"


def test_every_public_name_is_there() -> None:
    assert [name for name in qipc.__all__ if not hasattr(qipc, name)] == []
    assert len(set(qipc.__all__)) == len(qipc.__all__)
