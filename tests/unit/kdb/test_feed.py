"""`.u.sub`: rows from now on, of whom was asked for, and nobody waits for who does not read."""

import math
from typing import Any

import pytest
from structlog.testing import capture_logs

from sessiond.core.errors import Refusal, StoreError
from sessiond.core.events import (
    Event,
    Gap,
    LoginRefused,
    SessionRevoked,
)
from sessiond.kdb import feed, subscriber_access
from sessiond.kdb.calls import TABLE
from sessiond.qipc import (
    Atom,
    List,
    Table,
    Value,
    Vector,
    call,
    decode,
    encode,
    symbol,
    symbols,
)
from sessiond.qipc.values import QType
from sessiond.system.peer import AllowList
from sessiond.testing import EventFactory, QReplyError
from sessiond.testing.calls import disconnect_call
from sessiond.testing.plain import plain, plain_rows
from tests.fakes import HOUR, START, FakeClock, idle, opened_event, process_about, session_id
from tests.unit.kdb.serving import Process, Serving, peer, serving

pytestmark = pytest.mark.anyio

NAMES = [
    "time",
    "sym",
    "event",
    "session",
    "handle",
    "process",
    "issuer",
    "roles",
    "expires",
    "reason",
    "sequence",
]
TYPES = {
    "time": QType.TIMESTAMP,
    "sym": QType.SYMBOL,
    "event": QType.SYMBOL,
    "session": QType.GUID,
    "handle": QType.INT,
    "process": QType.SYMBOL,
    "issuer": QType.SYMBOL,
    "expires": QType.TIMESTAMP,
    "reason": QType.SYMBOL,
    "sequence": QType.LONG,
}
ALL = symbol("")


class Monitor(Process):
    """A process that subscribes."""

    messages = 0  # of rows, looked at

    @classmethod
    async def at(cls, serving: Serving, *, pid: int = 200, room: float = math.inf) -> "Monitor":
        said_hello = await serving.process(pid, room=room)
        monitor = cls(said_hello.end, said_hello.over, said_hello.connection)
        monitor.wire = said_hello.wire
        return monitor

    async def subscribe(self, users: Value = ALL, name: str = TABLE) -> Value:
        return await self.sync(call(".u.sub", symbol(name), users))

    async def told(self, *wanted: str) -> list[Any]:
        """Return these columns of the rows since last asked, once everything was sent."""
        await idle()
        await self.ping()
        told = []
        while (published := self.wire.next_published()) is not None:
            name, rows = published
            assert name == TABLE
            self.messages += 1
            told += [tuple(row[each] for each in wanted) for row in plain_rows(rows)]
        return told


def revoked(sequence: int, user: str = "alice") -> SessionRevoked:
    return SessionRevoked(
        sequence=sequence,
        at=START,
        session=session_id(7),
        user=user,
        issuer="corp",
        process=process_about(),
        handle=5,
        roles=("reader", "writer"),
        expires_at=START + HOUR,
        reason="left the company",
    )


def refused(user: str, sequence: int = 1) -> LoginRefused:
    return LoginRefused(sequence=sequence, at=START, user=user, reason="expired", count=3)


def typed(rows: Table) -> dict[str, object]:
    return {
        name: column.type if isinstance(column, Vector) else type(column)
        for name, column in zip(rows.columns, rows.values, strict=True)
    }


def row_of(event: Event, known: frozenset[str] = frozenset()) -> dict[str, Any]:
    rows = feed.rows([event], known)
    assert decode(encode(rows)) == rows
    return {name: plain(of)[0] for name, of in zip(rows.columns, rows.values, strict=True)}


def test_the_table_has_these_columns_of_these_types_also_when_it_is_empty() -> None:
    for rows in (feed.rows([]), feed.rows([opened_event(1), refused("x"), revoked(3)])):
        assert list(rows.columns) == NAMES
        assert typed(rows) == {**TYPES, "roles": List}
        assert decode(encode(rows)) == rows


def test_an_order_is_a_row_of_whom_it_covers_and_its_words_are_no_symbol() -> None:
    events = EventFactory()
    row = row_of(events.operator_revoked("alice", reason="left us"))
    assert (row["event"], row["sym"], row["reason"]) == ("operator.revoked", "alice", "")
    assert (row["roles"], row["session"]) == ([], feed.NO_SESSION)
    everybody = events.operator_revoked("", scope="all", value="")
    assert row_of(everybody)["sym"] == ""
    assert b"left us" not in encode(feed.rows([everybody, events.operator_reloaded()]))


def test_a_token_for_a_data_source_is_a_row_of_its_source() -> None:
    row = row_of(EventFactory().issued("market-data", user="alice"))
    assert (row["event"], row["sym"], row["reason"]) == ("source.issued", "alice", "market-data")
    authorized = row_of(EventFactory().operator_authorized("market-data"))
    assert (authorized["sym"], authorized["reason"]) == ("", "")


def test_a_session_s_event_is_a_row_with_everything_it_was() -> None:
    row = row_of(revoked(9))
    nanoseconds = row.pop("expires") - row.pop("time")
    assert nanoseconds == int(HOUR.total_seconds()) * 10**9
    assert row == {
        "sym": "alice",
        "event": "session.revoked",
        "session": session_id(7),
        "handle": 5,
        "process": process_about().name,
        "issuer": "corp",
        "roles": ["reader", "writer"],
        "reason": "left the company",
        "sequence": 9,
    }


def test_what_an_event_does_not_have_is_null() -> None:
    row = row_of(Gap(sequence=4, at=START, after=2, before=5))
    assert row.pop("time") > 0
    assert row == {
        "sym": "",
        "event": "gap",
        "session": session_id(0),
        "handle": 0,
        "process": "",
        "issuer": "",
        "roles": [],
        "expires": -(2**63),
        "reason": "",
        "sequence": 4,
    }


def test_a_name_that_was_only_typed_becomes_no_symbol() -> None:
    known = frozenset({"alice"})
    assert row_of(refused("mallory"), known)["sym"] == ""
    assert row_of(refused("(token)"), known)["sym"] == ""
    assert row_of(refused("alice"), frozenset())["sym"] == ""
    assert row_of(refused("ALICE"), known)["sym"] == "alice"  # one symbol, however it is typed
    assert row_of(refused("alice"), known)["reason"] == "expired"


async def test_a_subscriber_is_answered_with_the_empty_table_and_then_gets_rows(
    clock: FakeClock,
) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        await q.log_in(handle=4)
        answer = await monitor.subscribe()
        assert answer == List((symbol(TABLE), feed.rows([])))
        assert await monitor.told("event") == []  # from now on
        session = await q.log_in("other", handle=5)
        await q.tell(disconnect_call(5))
        await q.ping()
        told = await monitor.told("event", "sym", "session", "handle", "process", "sequence")
        assert told == [
            ("session.opened", "alice", session, 5, "gw1", 2),
            ("session.closed", "alice", session, 5, "gw1", 3),
        ]


async def test_events_of_one_batch_are_one_message(clock: FakeClock) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        for handle in range(5, 10):
            await q.log_in(handle=handle)
        await monitor.subscribe()
        await at.revoke_all()
        assert await monitor.told("handle", "reason") == [
            (each, "operator") for each in range(5, 10)
        ]
        assert monitor.messages == 1


async def test_more_than_one_message_holds_comes_whole(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "AT_ONCE", 2)
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        for handle in range(5, 10):
            await q.log_in(handle=handle)
        await monitor.subscribe()
        await at.revoke_all()
        assert await monitor.told("handle") == [(each,) for each in range(5, 10)]
        assert monitor.messages == 3


@pytest.mark.parametrize(
    ("users", "wanted"),
    [
        (symbol("alice"), True),
        (symbols(["bob", "ALICE"]), True),  # names are compared without case
        (symbols(["bob"]), False),
        (List(()), False),
        (symbols([]), False),
        (symbols([""]), False),  # the rows without a name
        (ALL, True),
    ],
)
async def test_the_filter_is_by_user(clock: FakeClock, users: Value, wanted: bool) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        await monitor.subscribe(users)
        await q.log_in()
        assert await monitor.told("sym") == ([("alice",)] if wanted else [])


async def test_subscribing_again_replaces_the_filter_and_doubles_nothing(clock: FakeClock) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        await monitor.subscribe()
        await q.log_in(handle=5)
        assert await monitor.told("handle") == [(5,)]
        await monitor.subscribe(symbol("bob"))
        await q.log_in("other", handle=6)
        assert await monitor.told("handle") == []
        await monitor.subscribe(symbol("alice"))
        await q.log_in("third", handle=7)
        assert await monitor.told("handle") == [(7,)]


async def test_a_refused_login_shows_a_name_only_where_it_belongs_to_somebody(
    clock: FakeClock,
) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        await q.log_in()
        await monitor.subscribe()
        for user in ("Alice", "mallory", "eyJhbGciOiJub25lIn0.e30."):
            at.table.note_refusal(user=user, issuer="", process=None, reason=Refusal.NOTTOKEN)
        await clock.advance(2)
        assert sorted(await monitor.told("event", "sym")) == [
            ("login.refused", ""),
            ("login.refused", ""),
            ("login.refused", "alice"),
        ]
        await monitor.subscribe(symbol("alice"))
        for user in ("Alice", "mallory"):
            at.table.note_refusal(user=user, issuer="", process=None, reason=Refusal.NOTTOKEN)
        await clock.advance(2)
        assert await monitor.told("sym") == [("alice",)]


@pytest.mark.parametrize(
    ("name", "users", "error"),
    [
        ("trade", ALL, "there is no such table, only `sessionevents"),
        ("", ALL, "there is no such table, only `sessionevents"),
        (TABLE, Atom(QType.INT, 1), "the filter must be a symbol or a string"),
        (TABLE, Vector(QType.CHAR, b"alice"), "the filter must be a list of symbols"),
    ],
)
async def test_a_wrong_subscription_is_an_error_and_the_connection_stays(
    clock: FakeClock, name: str, users: Value, error: str
) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        with pytest.raises(QReplyError, match=error):
            await monitor.subscribe(users, name)
        await q.log_in()
        assert await monitor.told("sym") == []


async def test_only_who_is_configured_may_subscribe(clock: FakeClock) -> None:
    async with serving(clock) as at:
        at.subscriber_access.now = AllowList(frozenset({499}), frozenset())
        q, monitor = await at.process(100), await Monitor.at(at)
        for _ in range(2):
            with pytest.raises(QReplyError, match="this user"):
                await monitor.subscribe()
        await q.log_in()
        assert await monitor.told("sym") == []
        at.subscriber_access.now = AllowList(frozenset({500}), frozenset())
        await monitor.subscribe()
        await q.log_in("other", handle=6)
        assert await monitor.told("sym") == [("alice",)]


async def test_the_subscription_of_who_may_not_any_more_ends_and_may_begin_again(
    clock: FakeClock,
) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        await monitor.subscribe()
        at.subscriber_access.now = AllowList(frozenset({499}), frozenset())
        with capture_logs() as logs:
            await q.log_in(handle=5)
            assert await monitor.told("sym") == []
        assert "subscription ended: not allowed any more" in {each["event"] for each in logs}
        with pytest.raises(QReplyError, match="this user"):
            await monitor.subscribe()
        at.subscriber_access.now = None
        await q.log_in("other", handle=6)
        assert await monitor.told("handle") == []  # it has ended
        await monitor.subscribe()
        await q.log_in("third", handle=7)
        assert await monitor.told("handle") == [(7,)]


async def test_a_name_too_many_is_nobody_s_for_who_subscribes(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber_access, "NAMES", 2)
    async with serving(clock) as at:
        monitor = await Monitor.at(at)  # gw1
        await monitor.subscribe()
        for pid in range(1, 5):
            q = at.arrive(peer(pid))
            await q.greet()
            await q.hello(f"name {pid}")
            await q.log_in(f"access{pid}", handle=pid)
        assert await monitor.told("process") == [("name 1",), ("",), ("",), ("",)]


async def test_it_must_be_sync_and_after_hello(clock: FakeClock) -> None:
    async with serving(clock) as at:
        early = at.arrive()
        await early.greet()
        with pytest.raises(QReplyError, match="say hello first"):
            await early.sync(call(".u.sub", symbol(TABLE), ALL))
        q, monitor = await at.process(100), await Monitor.at(at)
        await monitor.tell(call(".u.sub", symbol(TABLE), ALL))
        await q.log_in()
        assert await monitor.told("sym") == []


async def test_who_does_not_read_holds_nobody_and_is_cut_off_when_too_far_behind(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PATIENCE", 0.001)
    monkeypatch.setattr(feed, "BEHIND", 3)
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at, room=0)
        await monitor.subscribe()
        for handle in range(5, 12):
            await q.log_in(handle=handle)  # each is answered
        await monitor.over.wait()
        assert await at.live(q) == 7


async def test_a_slow_reader_within_the_bound_gets_every_row(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PATIENCE", 0.001)
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at, room=0)
        await monitor.subscribe()
        for handle in range(5, 12):
            await q.log_in(handle=handle)
        assert not monitor.over.is_set()
        handles = list[tuple[int]]()
        while len(handles) < 7:
            handles += await monitor.told("handle")
        assert handles == [(each,) for each in range(5, 12)]


async def test_where_events_cannot_be_read_the_connection_ends_rather_than_skip_some(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        await monitor.subscribe()

        async def fail(place: int, *, limit: int) -> Any:
            raise StoreError("the disk is gone")

        monkeypatch.setattr(at.context.events, "read", fail)
        await q.log_in()
        assert await monitor.is_cut()
        assert await at.live(q) == 1


async def test_a_subscriber_that_leaves_is_forgotten(clock: FakeClock) -> None:
    async with serving(clock) as at:
        q, monitor = await at.process(100), await Monitor.at(at)
        await monitor.subscribe()
        await monitor.leave()
        await q.log_in()
        assert await at.live(q) == 1


async def test_rows_end_quietly_when_the_table_closes_first(clock: FakeClock) -> None:
    async with serving(clock) as at:
        monitor = await Monitor.at(at)
        await monitor.subscribe()
        at.table.note_refusal(user="x", issuer="", process=None, reason=Refusal.NOTTOKEN)
        at.table.close()
        await idle()
        assert await monitor.told("sym") == []
