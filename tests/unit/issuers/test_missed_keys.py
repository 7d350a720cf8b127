import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.issuers.missed_keys import ANSWERED_FOR, AT_ONCE, EVERY, MAX_ANSWERED, MissedKeys
from tests.unit.issuers.fake import HandClock


@pytest.fixture
def missed(clock: HandClock) -> MissedKeys:
    return MissedKeys(clock)


def test_a_few_fetches_may_be_made_in_a_row_and_then_one_each_time(
    missed: MissedKeys, clock: HandClock
) -> None:
    for _ in range(AT_ONCE):
        assert missed.pause == 0
        missed.spend()
    assert missed.pause == EVERY
    clock.pass_(EVERY - 1)
    assert missed.pause == 1
    clock.pass_(1)
    assert missed.pause == 0
    missed.spend()
    assert missed.pause == EVERY


def test_what_is_not_spent_is_saved_up_to_the_few(missed: MissedKeys, clock: HandClock) -> None:
    for _ in range(AT_ONCE):
        missed.spend()
    clock.pass_(1000 * EVERY)
    for _ in range(AT_ONCE):
        assert missed.pause == 0
        missed.spend()
    assert missed.pause == EVERY


def test_what_was_missed_is_answered_for_a_while(missed: MissedKeys, clock: HandClock) -> None:
    missed.note_answer(b"one")
    assert (missed.is_answered(b"one"), missed.is_answered(b"two")) == (True, False)
    clock.pass_(ANSWERED_FOR)
    assert not missed.is_answered(b"one")
    missed.note_answer(b"one")
    assert missed.is_answered(b"one")


def test_however_much_is_missed_little_is_remembered(missed: MissedKeys) -> None:
    for number in range(3 * MAX_ANSWERED):
        missed.note_answer(b"%d" % number)
    answered = [missed.is_answered(b"%d" % number) for number in range(3 * MAX_ANSWERED)]
    assert sum(answered) == MAX_ANSWERED
    assert answered[-1]


@given(pauses=st.lists(st.floats(0.0, 20.0), max_size=60))
def test_however_often_it_is_tried_no_more_is_fetched_than_is_allowed_nor_less(
    pauses: list[float],
) -> None:
    clock = HandClock()
    missed = MissedKeys(clock)
    began, fetched_at = clock.monotonic(), list[float]()
    for pause in pauses:
        clock.pass_(pause)
        if not missed.pause:
            missed.spend()
            fetched_at.append(clock.monotonic())
        # Whoever comes now waits for EVERY at most, whatever came before.
        assert missed.pause <= EVERY
    for number, at in enumerate(fetched_at):
        assert number + 1 <= AT_ONCE + (at - began) / EVERY + 1e-6
