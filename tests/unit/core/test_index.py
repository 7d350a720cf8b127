from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.index import FEW, Index, Schedule
from tests.fakes import START

KEYS = st.integers(0, 5)


def test_a_key_has_its_values_in_the_order_in_which_they_came() -> None:
    index = Index[str, int]()
    for value in (3, 1, 2, 1):
        index.add("a", value)
    assert list(index.of("a")) == [3, 1, 2]
    assert list(index.of("b")) == []


def test_a_key_goes_with_its_last_value() -> None:
    index = Index[str, int]()
    index.add("a", 1)
    index.discard("a", 2)
    index.discard("b", 1)
    assert list(index.of("a")) == [1]
    index.discard("a", 1)
    assert not index.of("a")
    assert index._values == {}


@given(steps=st.lists(st.tuples(KEYS, st.none() | st.integers(0, 99))))
def test_the_first_time_is_the_least_of_those_that_count(
    steps: list[tuple[int, int | None]],
) -> None:
    schedule, plain = Schedule[int](), dict[int, datetime]()
    for key, minutes in steps:
        if minutes is None:
            schedule.drop(key)
            plain.pop(key, None)
        else:
            plain[key] = START + timedelta(minutes=minutes)
            schedule.put(key, plain[key])
        assert schedule.first == min(plain.values(), default=None)


def test_times_that_count_no_more_do_not_pile_up() -> None:
    schedule = Schedule[int]()
    for number in range(10 * FEW):
        schedule.put(1, START + timedelta(minutes=number))
    assert len(schedule._heap) <= FEW + 2
    assert schedule.first == START + timedelta(minutes=10 * FEW - 1)
