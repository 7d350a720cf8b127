"""The state of one token: given, refused for a while, and due for another."""

from dataclasses import replace

from sessiond.sources.answer import NotGiven, Reason
from sessiond.sources.holding import LONGEST_PAUSE, Holding, Patience
from sessiond.sources.kept_token import KeptToken
from tests.unit.sources.fakes import token

REFUSED = NotGiven(reason=Reason.REFUSED, detail="no")
ODD = NotGiven(reason=Reason.UNAVAILABLE, detail="odd")
THROTTLED = NotGiven(reason=Reason.THROTTLED, detail="wait", retry_after=30.0)


def holding(min_validity: float = 60.0) -> Holding:
    return Holding(min_validity, Patience(first=10.0, longest=40.0))


def held(asked_at: float = 0.0, life: float = 300.0) -> KeptToken:
    return token(asked_at=asked_at, life=life)


def test_nothing_is_known_of_it_at_first() -> None:
    assert holding().answer(0.0) is None


def test_it_is_given_until_too_little_is_left() -> None:
    one = holding()
    one.take(held())
    assert one.answer(239.9) is one.token
    assert one.answer(240.0) is None


def test_a_refusal_is_told_for_longer_each_time_up_to_a_bound() -> None:
    one, now = holding(), 0.0
    for pause in (10.0, 20.0, 40.0, 40.0):
        one.fail(REFUSED, now, is_of_no_use=True)
        assert one.answer(now + pause - 1) == replace(REFUSED, retry_after=1.0)
        assert one.answer(now + pause) is None
        now += pause
    one.take(held(now))
    one.fail(REFUSED, now, is_of_no_use=True)
    one.forget()
    assert one.answer(now) is None


def test_an_answer_of_no_use_is_told_for_a_while_and_none_at_all_not() -> None:
    one = holding()
    one.fail(ODD, 0.0, is_of_no_use=True)
    assert one.answer(0.5) == replace(ODD, retry_after=0.5)
    for _ in range(9):
        one.fail(ODD, 0.0, is_of_no_use=True)
    assert one.answer(LONGEST_PAUSE - 1) is not None
    assert one.answer(LONGEST_PAUSE) is None
    other = holding()
    other.fail(ODD, 0.0, is_of_no_use=False)  # the breaker's to leave alone
    assert other.answer(0.0) is None


def test_what_the_issuer_asks_for_is_obeyed() -> None:
    one = holding()
    one.fail(THROTTLED, 0.0, is_of_no_use=False)
    assert one.answer(29.0) == replace(THROTTLED, retry_after=1.0)
    assert one.answer(30.0) is None


def test_a_token_is_given_on_although_the_next_was_not_to_be_had() -> None:
    one = holding()
    one.take(held())
    one.fail(REFUSED, 220.0, is_of_no_use=True)
    assert one.answer(230.0) is one.token
    assert one.answer(240.0) is None  # ten seconds after the refusal it may be asked


def test_the_next_is_due_ahead_of_time_only_if_this_one_was_asked_for() -> None:
    one = holding()
    one.take(held())
    assert not one.is_due_ahead(230.0)
    one.answer(0.0)
    assert [one.is_due_ahead(at) for at in (215.9, 216.0, 240.0)] == [False, True, False]


def test_whoever_waited_for_a_token_has_asked_for_it() -> None:
    one = holding()
    one.is_waited_for = True
    one.take(held())
    assert one.is_due_ahead(216.0)
    one.take(held(216.0))
    assert not one.is_due_ahead(216.0 + 216.0)


def test_after_a_failure_the_next_is_tried_halfway_to_the_end_of_this_one() -> None:
    one = holding()
    one.take(held())
    one.answer(0.0)
    one.fail(ODD, 216.0, is_of_no_use=False)
    assert one.ahead_at == 228.0
    one.fail(THROTTLED, 228.0, is_of_no_use=False)
    assert one.ahead_at == 258.0  # not before the issuer wants it
    assert not one.is_due_ahead(258.0)
