"""Keys are published a day before they sign, sign for thirty days, and stay a day after."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.ticket import TicketKey
from sessiond.tickets.rotation import (
    is_next_due,
    made_at,
    next_due_at,
    outlived,
    signer,
    signs_since,
    wakes_at,
)
from tests.fakes import DAY, HOUR, START


def key(made: datetime, name: str = "") -> TicketKey:
    return TicketKey(id=name or made.isoformat(), public=b"k" * 32, made_at=made)


def first() -> TicketKey:
    return key(made_at((), now=START), "first")


def test_the_very_first_key_signs_at_once() -> None:
    assert is_next_due((), now=START)
    assert signer([first()], now=START) == first()
    assert signs_since(first()) == START
    assert not is_next_due([first()], now=START)


def test_each_other_key_is_published_for_a_day_before_it_signs() -> None:
    second = key(made_at([first()], now=START + 29 * DAY), "second")
    assert second.made_at == START + 29 * DAY
    assert signer([first(), second], now=START + 30 * DAY - HOUR) == first()
    assert signer([second, first()], now=START + 30 * DAY) == second


def test_a_key_signs_for_thirty_days() -> None:
    assert next_due_at(first()) == START + 29 * DAY
    assert not is_next_due([first()], now=START + 29 * DAY - HOUR)
    assert is_next_due([first()], now=START + 29 * DAY)


def test_a_key_stays_published_for_a_day_after_it_has_signed() -> None:
    both = [first(), key(START + 29 * DAY, "second")]
    assert outlived(both, now=START + 31 * DAY - HOUR) == []
    assert outlived(both, now=START + 31 * DAY) == [first()]
    assert outlived(both[1:], now=START + 90 * DAY) == []


def test_a_daemon_that_was_down_for_long_goes_on_with_what_it_has() -> None:
    back = START + 90 * DAY
    late = key(made_at([first()], now=back), "late")
    assert is_next_due([first()], now=back)
    assert signer([first(), late], now=back) == first()
    assert signer([first(), late], now=back + DAY) == late


def test_a_clock_that_was_set_back_leaves_a_key_to_sign_with() -> None:
    assert signer([first(), key(START + 29 * DAY)], now=START - 40 * DAY) == first()
    assert signer([], now=START) is None


def test_it_is_known_when_there_is_something_to_do() -> None:
    second = key(START + 29 * DAY, "second")
    assert wakes_at([]) is None
    assert wakes_at([first()]) == START + 29 * DAY
    assert wakes_at([second, first()]) == START + 31 * DAY
    assert wakes_at([second]) == START + 59 * DAY


@given(steps=st.lists(st.integers(1, 40 * 24), max_size=40))
def test_whenever_it_is_looked_at_one_key_signs_and_no_other_is_missed(steps: list[int]) -> None:
    """By whoever has fetched the keys a day before, and whoever has had a ticket signed."""
    now, keys = START, [first()]
    published = {START: {"first"}}
    for hours in steps:
        before = signer(keys, now=now)
        now += timedelta(hours=hours)
        if is_next_due(keys, now=now):
            keys.append(key(made_at(keys, now=now)))
        gone = outlived(keys, now=now)
        keys = [each for each in keys if each not in gone]
        signing = signer(keys, now=now)
        assert signing is not None
        assert len(keys) <= 3
        if hours <= 24:
            assert before in keys  # what it has signed can still be checked
        published[now] = {each.id for each in keys}
        known = [ids for at, ids in published.items() if at <= now - DAY]
        assert not known or len(known) == 1 or signing.made_at <= now - DAY
