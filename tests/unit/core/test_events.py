from typing import get_args

import msgspec
import pytest

from sessiond.core import events
from sessiond.core.access import Because
from sessiond.core.events import (
    Event,
    Gap,
    LoginRefused,
    Operator,
    OperatorEvent,
    OperatorReloaded,
    SessionClosed,
    SessionOpened,
    SessionRolesChanged,
    SourceIssued,
    from_json,
    to_json,
)
from tests.fakes import HOUR, START, process_about, session_id

KINDS = {
    "session.opened",
    "session.refreshed",
    "session.renewed",
    "session.roles",
    "session.revoked",
    "session.expired",
    "session.closed",
    "login.refused",
    "operator.revoked",
    "operator.forgave",
    "operator.forgot",
    "operator.reloaded",
    "operator.authorized",
    "source.issued",
    "gap",
}


def sample(kind: type[Event]) -> Event:
    if kind is LoginRefused:
        return LoginRefused(sequence=4, at=START, user="mallory", reason="nottoken", count=2)
    if kind is SourceIssued:
        return SourceIssued(at=START, source="market-data", process=process_about(), count=3)
    if kind is Gap:
        return Gap(at=START, after=3, before=9)
    if issubclass(kind, get_args(OperatorEvent)):
        by = Operator(uid=1001, name="olga")
        return kind(sequence=5, at=START, by=by, reason="left", scope="user", value="al", count=2)  # type: ignore[call-arg]  # all five have these members
    return kind(
        sequence=3,
        at=START,
        session=session_id(1),
        user="alice",
        issuer="corp",
        process=process_about(),
        handle=7,
        roles=("reader",),
        expires_at=START + HOUR,
        reason="operator",
        parent=session_id(9),
    )  # type: ignore[call-arg]  # every other kind has these members


def test_each_event_is_known_by_its_kind() -> None:
    assert {sample(kind).kind for kind in get_args(Event)} == KINDS


@pytest.mark.parametrize("kind", get_args(Event))
def test_an_event_comes_back_from_json_as_it_was(kind: type[Event]) -> None:
    event = sample(kind)
    assert from_json(to_json(event)) == event


@pytest.mark.parametrize("kind", get_args(Event))
def test_an_event_as_json_is_an_object_with_its_kind(kind: type[Event]) -> None:
    decoded = msgspec.json.decode(to_json(sample(kind)))
    assert decoded["kind"] == sample(kind).kind
    assert set(decoded) >= {"kind", "sequence", "at", "session", "user", "issuer", "process"}


def test_an_event_says_by_itself_when_it_was_in_utc() -> None:
    decoded = msgspec.json.decode(to_json(SessionClosed(at=START)))
    assert decoded["at"] == "2026-03-02T09:00:00Z"


def test_who_gave_an_order_is_in_it_and_a_signal_is_nobody_s() -> None:
    told = msgspec.json.decode(to_json(sample(OperatorReloaded)))
    assert told["by"] == {"uid": 1001, "name": "olga"}
    by_signal = OperatorReloaded(at=START, by=None, scope="configuration", value="2")
    assert msgspec.json.decode(to_json(by_signal))["by"] is None


def test_an_event_of_an_older_release_is_read_without_the_operator_s_words() -> None:
    old = b'{"kind":"session.revoked","at":"2026-03-02T09:00:00Z","reason":"operator"}'
    revoked = from_json(old)
    assert isinstance(revoked, events.SessionRevoked)
    assert (revoked.reason, revoked.detail) == ("operator", "")


@pytest.mark.parametrize("kind", ["session.opened", "session.roles"])
def test_an_event_of_an_older_release_does_not_say_why_there_are_roles(kind: str) -> None:
    text = f'{{"kind":"{kind}","at":"2026-03-02T10:00:00Z","roles":["reader"]}}'
    read = from_json(text.encode())
    assert isinstance(read, SessionOpened | SessionRolesChanged)
    assert (read.because, read.configuration) == (Because(), "")
    told = to_json(read)
    assert b'"because":{"roles":{},"cut":[]},"configuration":""' in told


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        sample(SessionClosed).user = "mallory"  # type: ignore[misc]  # that is the point


def test_every_event_of_the_module_is_in_the_union() -> None:
    kinds = {
        each
        for each in vars(events).values()
        if isinstance(each, type)
        and issubclass(each, msgspec.Struct)
        and not each.__name__.startswith("_")
        and each.__module__ == events.__name__
    }
    assert kinds == set(get_args(Event))
