"""A template gives the very bytes that the general encoder gives, for whatever is put into it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.qipc import (
    MessageKind,
    Template,
    Value,
    boolean,
    call,
    dictionary,
    encode_message,
    guid,
    int_,
    long,
    octets,
    string,
    strings,
    symbol,
    symbols,
    timespan,
    timestamp,
)
from tests.unit.qipc.strategies import symbol_texts

Make = Callable[[Any], Value]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.one_of(symbol_texts, st.text(max_size=4))  # with NULs and lone surrogates too
ITEMS: dict[Make, st.SearchStrategy[Any]] = {
    boolean: st.booleans(),
    guid: st.uuids(allow_nil=True),
    int_: st.integers(-(2**31) - 1, 2**31),
    long: st.integers(-(2**63) - 1, 2**63),
    octets: st.binary(max_size=8),
    string: texts,
    strings: st.dictionaries(NAMES, st.one_of(texts, st.text(max_size=4)), max_size=3),
    symbol: NAMES,
    symbols: st.lists(NAMES, max_size=3),
    timespan: st.timedeltas(),
    timestamp: st.none()
    | st.datetimes()
    | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))])),
}
entries = st.dictionaries(symbol_texts, st.sampled_from(list(ITEMS)), min_size=2, max_size=8)


def outcome(encoding: Callable[[], bytes]) -> bytes | type[Exception]:
    """Return what is sent, or that kdb+ has no such value."""
    try:
        return encoding()
    except ValueError:
        return ValueError


def whole(made: dict[str, Value], function: str) -> Value:
    return call(function, dictionary(made)) if function else dictionary(made)


@given(
    kind=st.sampled_from(MessageKind),
    keys=entries.filter(lambda keys: len(set(keys.values())) > 1),
    function=symbol_texts,
    data=st.data(),
)
def test_a_template_is_filled_as_the_value_would_be_encoded(
    kind: MessageKind, keys: dict[str, Make], function: str, data: st.DataObject
) -> None:
    template = Template(kind, keys, function)
    for _ in range(2):  # nothing of the one is left in the next
        items = [data.draw(ITEMS[make]) for make in keys.values()]

        def general(items: list[Any] = items) -> bytes:
            made = {key: make(item) for (key, make), item in zip(keys.items(), items, strict=True)}
            return encode_message(kind, whole(made, function))

        def filled(items: list[Any] = items) -> bytes:
            return template.message(*items)

        assert outcome(filled) == outcome(general)


def test_a_filled_template_is_these_bytes() -> None:
    closed = Template(MessageKind.ASYNC, {"event": symbol, "handle": int_}, function="upd")
    assert (
        closed.message("bye", 7).hex()
        == (
            "0100000037000000"  # little-endian, async, 55 bytes
            "000002000000"  # a list of two
            "f575706400"  # `upd
            "63"  # a dictionary
            "0b0002000000" + b"event\0handle\0".hex() + "000002000000"  # its values are a list
            "f562796500"  # `bye
            "fa07000000"  # 7i
        )
    )


@pytest.mark.parametrize(
    ("make", "item"),
    [
        (symbol, "a\0b"),
        (symbol, "\ud800"),
        (symbols, ["a", "b\0"]),
        (symbols, ["a", 1]),
        (strings, {"a\0": ""}),
        (strings, {"a": "\ud800"}),
        (int_, 2**31),
        (long, 2**63),
        (timestamp, datetime(2026, 1, 1)),  # noqa: DTZ001 - a naive one is what is refused
    ],
)
def test_what_kdb_has_no_value_for_is_a_value_error(make: Make, item: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Template(MessageKind.ASYNC, {"is": boolean, "item": make}).message(True, item)


def test_a_template_takes_one_item_for_each_key() -> None:
    template = Template(MessageKind.SYNC, {"session": guid, "user": symbol})
    for items in ([UUID(int=1)], [UUID(int=1), "a", "b"]):
        with pytest.raises(ValueError, match="argument"):
            template.message(*items)


@pytest.mark.parametrize("keys", [{}, {"a": int_}, {"a": symbol, "b": symbol}])
def test_a_template_whose_values_would_collapse_to_a_vector_is_refused(
    keys: dict[str, Make],
) -> None:
    with pytest.raises(ValueError, match="several types"):
        Template(MessageKind.ASYNC, keys)
