"""Who may hear of everybody, and which processes' names become symbols there."""

from collections.abc import Iterator

import pytest

from sessiond.kdb.subscriber_access import ANOTHER_EVERY, NAMES, ProcessNames, SubscriberAccess
from sessiond.system.peer import AllowList
from tests.fakes import Settings
from tests.unit.kdb.serving import peer

ALICE, BOB = 500, 501


@pytest.fixture
def moment() -> list[float]:
    """The monotonic time, for the test to move."""
    return [1000.0]


@pytest.fixture
def names(moment: list[float]) -> ProcessNames:
    return ProcessNames(lambda: moment[0])


def note_many(names: ProcessNames, uid: int = ALICE, count: int = NAMES) -> None:
    for number in range(count):
        names.note(uid, f"name {number}")


def given(names: ProcessNames, *wanted: str) -> Iterator[bool]:
    return map(names.may_give, wanted)


def test_an_empty_list_admits_whoever_may_connect_and_another_only_those() -> None:
    allowed = Settings[AllowList | None](None)
    subscriber_access = SubscriberAccess(allowed)
    assert subscriber_access.admits(peer())
    allowed.now = AllowList(frozenset({501}), frozenset())
    assert not subscriber_access.admits(peer())
    allowed.now = AllowList(frozenset(), frozenset({500}))  # its group
    assert subscriber_access.admits(peer())


def test_a_name_that_was_never_said_is_nobody_s(names: ProcessNames) -> None:
    assert not names.may_give("rdb1")
    names.note(ALICE, "rdb1")
    assert names.may_give("rdb1")


def test_a_user_s_processes_have_so_many_names_and_another_s_are_not_fewer(
    names: ProcessNames,
) -> None:
    note_many(names)
    names.note(ALICE, "one more")
    names.note(BOB, "rdb1")
    assert list(given(names, "name 0", f"name {NAMES - 1}", "one more", "rdb1")) == [
        *(True, True, False, True)
    ]


def test_a_name_that_was_given_stays_however_often_it_is_said(names: ProcessNames) -> None:
    names.note(ALICE, "rdb1")
    note_many(names, count=NAMES - 1)
    for _ in range(NAMES):
        names.note(ALICE, "rdb1")
    names.note(ALICE, "one more")
    assert list(given(names, "rdb1", "one more")) == [True, False]


def test_a_few_new_ones_are_given_as_time_goes_by_and_the_oldest_are_forgotten(
    names: ProcessNames, moment: list[float]
) -> None:
    note_many(names)
    names.note(ALICE, "name 0")  # now name 1 is the oldest
    moment[0] += 2 * ANOTHER_EVERY
    for name in ("second", "third", "fourth"):
        names.note(ALICE, name)
    assert list(given(names, "second", "third", "fourth")) == [True, True, False]
    assert list(given(names, "name 0", "name 1", "name 2", "name 3")) == [True, False, False, True]


def test_a_long_silence_gives_no_more_than_at_first(
    names: ProcessNames, moment: list[float]
) -> None:
    names.note(ALICE, "rdb1")
    moment[0] += 1e9
    note_many(names, count=2 * NAMES)
    assert sum(given(names, *(f"name {number}" for number in range(2 * NAMES)))) == NAMES
