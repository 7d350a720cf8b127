"""What processes are told: every key and every kdb+ type of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.errors import Refusal
from sessiond.core.events import (
    Event,
    Gap,
    LoginRefused,
    SessionClosed,
    SessionExpired,
    SessionOpened,
    SessionRefreshed,
    SessionRenewed,
    SessionRevoked,
    SessionRolesChanged,
)
from sessiond.core.session import ActiveSession
from sessiond.core.standing import Standing
from sessiond.kdb import replies
from sessiond.qipc import (
    NULL_GUID,
    NULL_TIMESTAMP,
    Atom,
    Dictionary,
    List,
    MessageDecoder,
    MessageKind,
    QError,
    Table,
    Value,
    Vector,
    boolean,
    call,
    decode,
    dictionary,
    encode,
    encode_message,
    guid,
    int_,
    long,
    mapping,
    string,
    symbol,
    symbols,
    timestamp,
)
from sessiond.qipc.values import QType
from sessiond.testing import EventFactory
from sessiond.web.answer import Answer
from sessiond.web.answer import sent as sent_answer
from tests.fakes import START, principal, process_about, session, session_id
from tests.unit.qipc.strategies import symbol_texts

NANOSECONDS = int((START - datetime(2000, 1, 1, tzinfo=UTC)).total_seconds()) * 10**9
WEB_KEYS = [
    *("action", "user", "session", "roles", "attributes", "expires"),
    *("status", "headers", "body", "signout", "reason", "keep"),
]
KEYS = ["ok", "session", "user", "roles", "attributes", "expires", "reason"]
PUSH_KEYS = ["event", "session", "handle", "user", "roles", "expires", "reason", "sequence"]
SESSION_EVENTS = [
    (SessionRefreshed, "refreshed"),
    (SessionRenewed, "renewed"),
    (SessionRolesChanged, "roles"),
    (SessionRevoked, "revoked"),
    (SessionExpired, "expired"),
    (SessionClosed, "revoked"),  # it was lost, and has come back without reconciling
]


def active(number: int = 1, **members: object) -> ActiveSession:
    return ActiveSession(session=session(number, **members), expires_at=START)


def said(message: bytes, kind: MessageKind = MessageKind.RESPONSE) -> Value:
    """Return what q reads in a message of this kind."""
    messages = MessageDecoder(max_size=len(message))
    messages.receive_data(message)
    arrived = messages.next_message()
    assert arrived is not None
    assert arrived.kind is kind
    value = decode(arrived.payload)
    assert not isinstance(value, QError)
    return value


def sent(value: Value) -> Value:
    """Return what q gets: through the wire and back."""
    arrived = decode(encode(value))
    assert not isinstance(arrived, QError)
    return arrived


def pushed(message: bytes) -> dict[str, Value]:
    """Return the entries of a push."""
    arrived = said(message, MessageKind.ASYNC)
    assert isinstance(arrived, List)
    name, entries = arrived.items
    assert name == symbol(".sessiond.upd")
    return mapping(entries)


def test_a_request_that_is_let_in_has_twelve_keys_of_these_types() -> None:
    who = active(principal=principal("Alice"), roles=("reader",), attributes={"desk": "R"})
    answer = Answer(action="allow", active=who, signout="https://gw/out", keep=timedelta(seconds=6))
    entries = mapping(said(replies.web(answer)))
    assert entries == {
        "action": symbol("allow"),
        "user": symbol("Alice"),
        "session": guid(session_id(1)),
        "roles": Vector(QType.SYMBOL, ("reader",)),
        "attributes": Dictionary(
            Vector(QType.SYMBOL, ("desk",)), List((Vector(QType.CHAR, b"R"),))
        ),
        "expires": Atom(QType.TIMESTAMP, NANOSECONDS),
        "status": int_(0),
        "headers": string(""),
        "body": string(""),
        "signout": string("https://gw/out"),
        "reason": symbol(""),
        "keep": Atom(QType.TIMESPAN, 6 * 10**9),
    }
    assert list(entries) == WEB_KEYS


def test_a_request_that_is_not_let_in_names_nobody() -> None:
    answer = sent_answer("deny", 403, ("X-A", "b"), body="no", reason="notallowed")
    entries = mapping(said(replies.web(answer)))
    assert list(entries) == WEB_KEYS
    assert [entries[name] for name in WEB_KEYS[1:6]] == [
        *(symbol(""), NULL_GUID, symbols(()), Dictionary(symbols(()), List(())), NULL_TIMESTAMP),
    ]
    assert (entries["status"], entries["body"]) == (int_(403), string("no"))
    assert entries["headers"] == string(answer.headers)
    assert entries["keep"] == Atom(QType.TIMESPAN, 0)


def test_an_accepted_login_has_seven_keys_of_these_types() -> None:
    who = active(principal=principal("Alice"), roles=("reader",), attributes={"desk": "R"})
    entries = mapping(said(replies.accepted(who)))
    assert entries == {
        "ok": boolean(True),
        "session": guid(session_id(1)),
        "user": symbol("Alice"),
        "roles": Vector(QType.SYMBOL, ("reader",)),
        "attributes": Dictionary(
            Vector(QType.SYMBOL, ("desk",)), List((Vector(QType.CHAR, b"R"),))
        ),
        "expires": Atom(QType.TIMESTAMP, NANOSECONDS),
        "reason": symbol(""),
    }
    assert list(entries) == KEYS


@pytest.mark.parametrize("reason", list(Refusal))
def test_a_refused_login_has_the_same_keys_and_only_the_reason_in_them(reason: Refusal) -> None:
    entries = mapping(said(replies.refused(reason)))
    assert entries == {
        "ok": boolean(False),
        "session": NULL_GUID,
        "user": symbol(""),
        "roles": Vector(QType.SYMBOL, ()),
        "attributes": Dictionary(Vector(QType.SYMBOL, ()), List(())),
        "expires": NULL_TIMESTAMP,
        "reason": symbol(reason.value),
    }
    assert list(entries) == KEYS


def test_sessions_are_a_table_of_typed_columns() -> None:
    table = sent(
        replies.sessions(
            [
                active(1, roles=()),
                active(2, roles=("reader", "writer"), since=START + timedelta(seconds=1)),
            ]
        )
    )
    assert isinstance(table, Table)
    assert dict(zip(table.columns, table.values, strict=True)) == {
        "session": Vector(QType.GUID, (session_id(1), session_id(2))),
        "handle": Vector(QType.INT, (1, 2)),
        "user": Vector(QType.SYMBOL, ("alice", "alice")),
        "issuer": Vector(QType.SYMBOL, ("corp", "corp")),
        "roles": List((symbols([]), symbols(["reader", "writer"]))),
        "opened": Vector(QType.TIMESTAMP, (NANOSECONDS, NANOSECONDS + 10**9)),
        "expires": Vector(QType.TIMESTAMP, (NANOSECONDS, NANOSECONDS)),
    }


def test_without_sessions_each_column_still_has_its_type() -> None:
    table = sent(replies.sessions([]))
    assert isinstance(table, Table)
    types = {
        name: column.type if isinstance(column, Vector) else None
        for name, column in zip(table.columns, table.values, strict=True)
    }
    assert types == {
        "session": QType.GUID,
        "handle": QType.INT,
        "user": QType.SYMBOL,
        "issuer": QType.SYMBOL,
        "roles": None,
        "opened": QType.TIMESTAMP,
        "expires": QType.TIMESTAMP,
    }
    assert table.values[4] == List(())


@pytest.mark.parametrize(("kind", "name"), SESSION_EVENTS)
def test_a_push_has_eight_keys_of_these_types(kind: type[SessionRefreshed], name: str) -> None:
    event = kind(
        sequence=2**40,
        at=START,
        session=session_id(1),
        user="alice",
        issuer="corp",
        process=process_about(),
        handle=5,
        roles=("reader",),
        expires_at=START,
        reason="why",
    )
    entries = pushed(replies.push_of(event))
    assert entries == {
        "event": symbol(name),
        "session": guid(session_id(1)),
        "handle": int_(5),
        "user": symbol("alice"),
        "roles": symbols(["reader"]),
        "expires": timestamp(START),
        "reason": symbol("why"),
        "sequence": long(2**40),
    }
    assert list(entries) == PUSH_KEYS


@given(
    event=st.builds(
        SessionRevoked,
        at=st.just(START),
        session=st.none() | st.uuids(),
        user=symbol_texts,
        handle=st.integers(0, 2**31 - 1),
        roles=st.lists(symbol_texts, max_size=3).map(tuple),
        expires_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        reason=symbol_texts,
        sequence=st.integers(0, 2**63 - 1),
    )
)
def test_a_push_is_the_bytes_of_the_call_whatever_the_event(event: SessionRevoked) -> None:
    entries: dict[str, Value] = {
        "event": symbol("revoked"),
        "session": guid(event.session) if event.session else NULL_GUID,
        "handle": int_(event.handle),
        "user": symbol(event.user),
        "roles": symbols(event.roles),
        "expires": timestamp(event.expires_at),
        "reason": symbol(event.reason),
        "sequence": long(event.sequence),
    }
    general = encode_message(MessageKind.ASYNC, call(".sessiond.upd", dictionary(entries)))
    assert replies.push_of(event) == general


@pytest.mark.parametrize(
    "event",
    [
        SessionOpened(at=START),
        LoginRefused(at=START, reason="expired", count=1),
        Gap(at=START, after=1, before=9),
        EventFactory().operator_revoked(),
        EventFactory().operator_reloaded(),
    ],
)
def test_what_concerns_no_process_is_never_pushed(event: Event) -> None:
    with pytest.raises(ValueError, match=f"no process is pushed {event.kind}"):
        replies.push_of(event)


def nothing(event: str, **entries: Value) -> dict[str, Value]:
    """Return the entries of a push that tells of no session but for these."""
    return {
        "event": symbol(event),
        "session": NULL_GUID,
        "handle": int_(0),
        "user": symbol(""),
        "roles": symbols([]),
        "expires": NULL_TIMESTAMP,
        "reason": symbol(""),
        "sequence": long(0),
        **entries,
    }


def test_bye_tells_of_no_session() -> None:
    entries = pushed(replies.bye())
    assert entries == nothing("bye")
    assert list(entries) == PUSH_KEYS


def test_a_login_that_no_longer_stands_is_pushed_as_revoked_because_unbound() -> None:
    unknown = UUID(int=9)
    assert pushed(replies.unknown_session(unknown, 5)) == nothing(
        "revoked", session=guid(unknown), handle=int_(5), reason=symbol("unbound")
    )


def test_a_refused_renewal_is_pushed_with_its_reason_and_says_that_it_is_not_ok() -> None:
    refused = pushed(replies.renewal_refused(session_id(1), 5, Refusal.EXPIRED))
    assert refused == nothing(
        "renewed",
        session=guid(session_id(1)),
        handle=int_(5),
        reason=symbol("expired"),
        ok=boolean(False),
    )


def test_a_renewal_that_happens_late_is_pushed_as_any_other() -> None:
    late = pushed(replies.renewed_late(active(5, roles=("writer",))))
    assert late == nothing(
        "renewed",
        session=guid(session_id(5)),
        handle=int_(5),
        user=symbol("alice"),
        roles=symbols(["writer"]),
        expires=timestamp(START),
    )


def test_the_texts_of_one_attribute_are_a_list_of_strings_too() -> None:
    one = replace(active(), session=session(attributes={"a": "", "b": "xy"}))
    attributes = mapping(said(replies.accepted(one)))["attributes"]
    assert attributes == Dictionary(symbols(["a", "b"]), List((string(""), string("xy"))))


def test_a_standing_has_the_keys_of_every_push_and_three_of_its_own() -> None:
    alice = Standing("Alice", ("reader",), {"desk": "rates"})
    entries = pushed(replies.standing("ALICE", alice))
    assert list(entries) == [*PUSH_KEYS, "name", "attributes", "gone"]
    assert entries == {
        **nothing("standing", user=symbol("ALICE"), roles=symbols(["reader"])),
        "name": symbol("Alice"),
        "attributes": Dictionary(symbols(["desk"]), List((string("rates"),))),
        "gone": boolean(False),
    }


def test_whoever_is_gone_has_no_role_and_no_attribute() -> None:
    assert pushed(replies.gone("ALICE", "Alice")) == {
        **nothing("standing", user=symbol("ALICE")),
        "name": symbol("Alice"),
        "attributes": Dictionary(symbols([]), List(())),
        "gone": boolean(True),
    }
