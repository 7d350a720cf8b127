"""What a row holds, and what it does not."""

from typing import Any

import pytest
from kdb_standin import AT, COLUMNS, EVENTS, SESSION
from sessiond_kdb.rows import columns

from sessiond.api import SessionOpened, SessionRevoked
from sessiond.qipc import Atom, List, QType, Table, Vector, decode, encode, moment
from sessiond.testing import EventFactory


def column(name: str, *, events: Any = EVENTS) -> tuple[Any, ...]:
    value = columns(events, "timestamp").items[COLUMNS.index(name)]
    assert isinstance(value, Vector)
    return tuple(value.items)


def test_each_column_has_the_type_that_the_schema_states() -> None:
    types = [
        value.type if isinstance(value, Vector) else QType.LIST
        for value in columns(EVENTS, "timestamp").items
        if isinstance(value, Vector | List)
    ]
    assert dict(zip(COLUMNS, types, strict=True)) == {
        "time": QType.TIMESTAMP,
        "sym": QType.SYMBOL,
        "event": QType.SYMBOL,
        "session": QType.GUID,
        "handle": QType.INT,
        "process": QType.SYMBOL,
        "issuer": QType.SYMBOL,
        "roles": QType.LIST,
        "expires": QType.TIMESTAMP,
        "reason": QType.SYMBOL,
        "sequence": QType.LONG,
    }


def test_a_row_tells_its_event() -> None:
    assert column("event") == ("session.opened", "login.refused", "session.closed", "gap")
    assert column("sequence") == (7, 8, 9, 19)
    assert column("reason") == ("", "expired", "disconnect", "")
    assert column("process") == ("gw1", "gw1", "gw1", "")
    assert column("handle") == (6, 0, 6, 0)
    assert [item == SESSION for item in column("session")] == [True, False, True, False]
    assert moment(Atom(QType.TIMESTAMP, column("time")[0])) == AT
    assert moment(Atom(QType.TIMESTAMP, column("expires")[1])) is None


def test_roles_are_a_symbol_vector_in_each_row() -> None:
    roles = columns(EVENTS, "timestamp").items[COLUMNS.index("roles")]
    empty = Vector(QType.SYMBOL, ())
    assert roles == List((Vector(QType.SYMBOL, ("trader", "reader")), empty, empty, empty))


def test_what_anybody_typed_becomes_no_symbol() -> None:
    assert column("sym") == ("alice@example.com", "", "alice@example.com", "")
    assert b"typed-by-anyone" not in encode(columns(EVENTS, "timestamp"))


def test_a_token_for_a_data_source_is_of_whom_it_is_for_and_says_which() -> None:
    events = [EventFactory().issued("market-data", user="alice")]
    assert column("sym", events=events) == ("alice",)
    assert column("reason", events=events) == ("market-data",)


def test_an_order_is_of_whom_it_covers_and_its_words_become_no_symbol() -> None:
    events = [EventFactory().operator_revoked("alice", reason="left us"), EVENTS[0]]
    assert column("sym", events=events)[0] == "alice"
    assert column("event", events=events)[0] == "operator.revoked"
    assert column("reason", events=events)[0] == ""
    assert b"left us" not in encode(columns(events, "timestamp"))


@pytest.mark.parametrize("time", ["timestamp", "timespan", "none"])
def test_the_bytes_say_what_the_columns_say(time: Any) -> None:
    assert decode(encode(columns(EVENTS, time))) == columns(EVENTS, time)


def test_a_timespan_counts_from_midnight_utc() -> None:
    first = columns(EVENTS, "timespan").items[0]
    assert isinstance(first, Vector)
    assert first.type is QType.TIMESPAN
    assert first.items[0] == ((9 * 60 + 30) * 60 + 15) * 10**9 + 250_000_000


def test_the_tickerplant_may_add_the_time_itself() -> None:
    assert columns(EVENTS, "none").items == columns(EVENTS, "timestamp").items[1:]


def test_a_nul_does_not_make_an_event_unpublishable() -> None:
    event = SessionRevoked(sequence=1, at=AT, user="alice", roles=("a\0b",), reason="odd\0reason")
    written = decode(encode(columns([event], "timestamp")))
    assert isinstance(written, List)
    assert written.items[COLUMNS.index("reason")] == Vector(QType.SYMBOL, ("oddreason",))


def test_a_time_beyond_q_is_infinite_and_not_an_error() -> None:
    event = SessionOpened(sequence=1, at=AT, expires_at=AT.replace(year=9000))
    assert column("expires", events=[event]) == (2**63 - 1,)
    assert not isinstance(columns([event], "timestamp"), Table)
