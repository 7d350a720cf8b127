"""A table encoded in pieces is the table encoded at once."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.qipc import (
    List,
    MessageKind,
    TableInPieces,
    Value,
    encode_message,
    string,
    strings,
    symbol,
    symbols,
    table,
)

WORDS = st.text("abcé", max_size=3)
ROWS = st.tuples(
    WORDS, st.lists(WORDS, max_size=3), st.dictionaries(WORDS, WORDS, max_size=2), WORDS
)
COLUMNS: dict[str, Callable[[Any], Value]] = {
    "user": symbol,
    "roles": symbols,
    "attributes": strings,
    "note": string,
}


@given(pieces=st.lists(st.lists(ROWS, max_size=3), max_size=4))
def test_it_is_the_same_message_however_it_is_cut(
    pieces: list[list[tuple[str, list[str], dict[str, str], str]]],
) -> None:
    growing = TableInPieces(COLUMNS)
    for rows in pieces:
        growing.add(rows)
    rows = [row for piece in pieces for row in piece]
    whole = table(
        {
            "user": symbols(row[0] for row in rows),
            "roles": List(tuple(symbols(row[1]) for row in rows)),
            "attributes": List(tuple(strings(row[2]) for row in rows)),
            "note": List(tuple(string(row[3]) for row in rows)),
        }
    )
    message = b"".join(growing.parts(MessageKind.RESPONSE))
    assert message == encode_message(MessageKind.RESPONSE, whole)


def test_a_row_has_an_item_for_each_column() -> None:
    growing = TableInPieces({"user": symbol, "roles": symbols})
    with pytest.raises(ValueError, match="zip"):
        growing.add([("alice", ()), ("bob",)])
    with pytest.raises(ValueError, match="zip"):
        growing.add([("alice", (), "more")])
