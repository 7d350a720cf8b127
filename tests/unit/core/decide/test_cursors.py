"""Where subscribers are: places move forward, set-aside events wait, and both can be dropped."""

from dataclasses import replace

import pytest

from sessiond.core.changes import DropDeadLetter, ForgetSubscriber, KeepCursor, KeepDeadLetters
from sessiond.core.cursor import MAX_ERROR, Cursor, Cursors, DeadLetter
from sessiond.core.decide import cursors
from sessiond.core.queries import ListCursors
from sessiond.core.rows import Drop
from tests.fakes import MINUTE, START, opened_event
from tests.unit.core.decide.ledger import Ledger

NOTHING = Cursors(cursors=(), dead_letters=())


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def place(sequence: int, subscriber: str = "audit") -> Cursor:
    return Cursor(subscriber=subscriber, sequence=sequence, at=START)


def aside(sequence: int, subscriber: str = "audit") -> DeadLetter:
    event = opened_event(sequence)
    return DeadLetter(subscriber=subscriber, event=event, attempts=8, error="full", at=START)


def setting(*numbers: int, subscriber: str = "audit") -> KeepDeadLetters:
    events = tuple(opened_event(number) for number in numbers)
    return KeepDeadLetters(subscriber=subscriber, events=events, attempts=8, error="full")


def kept(ledger: Ledger) -> Cursors:
    found = ledger.ask(ListCursors())
    assert not ledger.writes
    return found


def test_a_place_is_kept_from_the_first_on_also_when_that_is_0(ledger: Ledger) -> None:
    ledger.ask(KeepCursor(subscriber="audit", sequence=0))
    ledger.ask(KeepCursor(subscriber="webhook", sequence=3))
    assert kept(ledger).cursors == (place(0), place(3, "webhook"))
    assert not ledger.last.notices


def test_a_place_moves_forward_and_never_back(ledger: Ledger) -> None:
    for sequence in (5, 7, 6, 7):
        ledger.ask(KeepCursor(subscriber="audit", sequence=sequence))
    assert not ledger.writes  # the last one changed nothing
    assert kept(ledger).cursors == (place(7),)


def test_a_place_says_when_it_was_reached(ledger: Ledger) -> None:
    ledger.ask(KeepCursor(subscriber="audit", sequence=5))
    ledger.let_pass(MINUTE)
    ledger.ask(KeepCursor(subscriber="audit", sequence=5))
    assert kept(ledger).cursors == (place(5),)
    ledger.ask(KeepCursor(subscriber="audit", sequence=6))
    assert kept(ledger).cursors == (replace(place(6), at=START + MINUTE),)


def test_events_are_set_aside_whole_and_the_place_moves_past_them(ledger: Ledger) -> None:
    ledger.ask(KeepCursor(subscriber="audit", sequence=4))
    assert ledger.ask(setting(5, 6))
    assert kept(ledger) == Cursors(cursors=(place(6),), dead_letters=(aside(5), aside(6)))


def test_an_event_set_aside_again_leaves_the_place_where_it_is(ledger: Ledger) -> None:
    ledger.ask(KeepCursor(subscriber="audit", sequence=9))
    ledger.ask(setting(5))
    assert ledger.ask(replace(setting(5), attempts=16))
    assert kept(ledger) == Cursors(
        cursors=(place(9),), dead_letters=(replace(aside(5), attempts=16),)
    )


def test_an_event_taken_back_is_gone_and_only_that_one(ledger: Ledger) -> None:
    ledger.ask(setting(5, 6))
    ledger.ask(setting(5, subscriber="webhook"))
    assert ledger.ask(DropDeadLetter(subscriber="audit", sequence=5))
    assert ledger.writes == [Drop(aside(5))]
    assert not ledger.ask(DropDeadLetter(subscriber="audit", sequence=5))
    assert not ledger.ask(DropDeadLetter(subscriber="nobody", sequence=6))
    assert kept(ledger).dead_letters == (aside(6), aside(5, "webhook"))


def test_no_more_is_set_aside_than_there_is_room_for_and_then_nothing_moves(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursors, "MAX_DEAD_LETTERS", 3)
    assert ledger.ask(setting(1, 2))
    assert not ledger.ask(setting(3, 4))
    assert not ledger.writes
    assert ledger.ask(setting(2, 3))  # one of them is there already
    assert ledger.ask(setting(1, subscriber="webhook"))  # each has room of its own
    assert not ledger.ask(setting(4))
    assert kept(ledger).cursors == (place(3), place(1, "webhook"))


def test_a_long_error_is_cut(ledger: Ledger) -> None:
    ledger.ask(replace(setting(1), error="x" * 10_000))
    assert [len(each.error) for each in kept(ledger).dead_letters] == [MAX_ERROR]


def test_setting_nothing_aside_begins_a_place_at_most(ledger: Ledger) -> None:
    assert ledger.ask(setting())
    assert kept(ledger) == Cursors(cursors=(place(0),), dead_letters=())


def test_a_subscriber_is_forgotten_with_everything_kept_for_it_and_no_other(
    ledger: Ledger,
) -> None:
    ledger.ask(setting(5, 6))
    ledger.ask(setting(5, subscriber="webhook"))
    assert ledger.ask(ForgetSubscriber(subscriber="audit"))
    assert kept(ledger) == Cursors(
        cursors=(place(5, "webhook"),), dead_letters=(aside(5, "webhook"),)
    )
    assert not ledger.ask(ForgetSubscriber(subscriber="audit"))
    assert ledger.ask(ForgetSubscriber(subscriber="webhook"))
    assert kept(ledger) == NOTHING
