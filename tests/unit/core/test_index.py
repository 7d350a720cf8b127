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


@given(
    before=st.lists(st.tuples(KEYS, KEYS)),
    at_once=st.lists(st.tuples(KEYS, KEYS)),
    later=st.lists(st.tuples(st.booleans(), KEYS, KEYS)),
)
def test_values_that_come_at_once_are_as_if_they_had_come_one_by_one(
    before: list[tuple[int, int]],
    at_once: list[tuple[int, int]],
    later: list[tuple[bool, int, int]],
) -> None:
    filled, plain = Index[int, int](), dict[int, dict[int, None]]()
    for key, value in before:
        filled.add(key, value)
    filled.fill([key for key, _ in at_once], [value for _, value in at_once])
    for key, value in before + at_once:
        plain.setdefault(key, {})[value] = None
    for is_added, key, value in later:
        if is_added:
            filled.add(key, value)
            plain.setdefault(key, {})[value] = None
        else:
            filled.discard(key, value)
            plain.get(key, {}).pop(value, None)
    assert {key: list(filled.of(key)) for key in filled.keys()} == {  # noqa: SIM118 - no mapping
        key: list(values) for key, values in plain.items() if values
    }


def test_a_key_with_one_value_costs_no_collection_of_its_own() -> None:
    index = Index[str, str]()
    index.add("a", "1")
    index.add("a", "2")
    index.discard("a", "1")
    index.fill(["b"], ["1"])
    assert index._values == {"a": "2", "b": "1"}


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
