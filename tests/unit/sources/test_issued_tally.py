"""Who was given which token: the first told at once, repeats summed, all of them told."""

import pytest

from sessiond.core.events import Operator, SourceIssued
from sessiond.sources import issued_tally
from sessiond.sources.issued_tally import MINUTE, Asker, Issue, IssuedTally
from tests.fakes import START, process_about

FEED = Asker("feed", "quotes", ("", ""))
ISSUE = Issue(source="quotes", process=process_about())


def test_who_was_not_told_of_is_no_repeat() -> None:
    tally = IssuedTally()
    assert not tally.repeat(FEED, ISSUE, 0.0)
    tally.open(FEED, ISSUE, 0.0)
    assert tally.repeat(FEED, ISSUE, MINUTE - 1)
    assert not tally.repeat(FEED, ISSUE, MINUTE)
    assert not tally.repeat(FEED._replace(who="other"), ISSUE, 0.0)
    assert not tally.repeat(FEED._replace(user=("corp", "a-1")), ISSUE, 0.0)


def test_repeats_are_told_once_their_minute_is_over() -> None:
    tally = IssuedTally()
    tally.open(FEED, ISSUE, 0.0)
    newer = Issue(source="quotes", by=Operator(uid=1, name="a"))
    for _ in range(3):
        tally.repeat(FEED, newer, 1.0)
    assert tally.take(MINUTE - 1) == []
    assert tally.take(MINUTE) == [(newer, 3)]
    assert tally.take(MINUTE) == []


def test_who_has_not_repeated_is_not_told_of_again() -> None:
    tally = IssuedTally()
    tally.open(FEED, ISSUE, 0.0)
    assert tally.take_all() == []


def test_the_next_minute_begins_with_what_is_told() -> None:
    tally = IssuedTally()
    tally.open(FEED, ISSUE, 0.0)
    tally.repeat(FEED, ISSUE, 1.0)
    tally.open(FEED, ISSUE, MINUTE)
    assert tally.repeat(FEED, ISSUE, MINUTE + 1)
    assert tally.take_all() == [(ISSUE, 1), (ISSUE, 1)]


def test_what_could_not_be_told_is_told_later() -> None:
    tally = IssuedTally()
    tally.open(FEED, ISSUE, 0.0)
    tally.repeat(FEED, ISSUE, 1.0)
    taken = tally.take_all()
    tally.put_back(taken)
    assert tally.take(0.0) == taken


def test_of_very_many_the_oldest_is_told_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issued_tally, "MAX_KEPT", 2)
    tally = IssuedTally()
    for number in range(3):
        asker = FEED._replace(who=number)
        tally.open(asker, ISSUE, 0.0)
        tally.repeat(asker, ISSUE, 0.0)
    assert tally.take(0.0) == [(ISSUE, 1)]
    assert not tally.repeat(FEED._replace(who=0), ISSUE, 0.0)


def test_the_event_has_all_that_is_known_and_nothing_of_the_token() -> None:
    by = Operator(uid=1, name="app")
    issue = Issue(source="quotes", by=by, user="alice", issuer="corp")
    assert issue.event(2, START) == SourceIssued(
        at=START, source="quotes", by=by, user="alice", issuer="corp", count=2
    )
