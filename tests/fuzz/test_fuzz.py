"""A few seconds of fuzzing in every run of the tests."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz import targets
from tests.fuzz.damage import damaged, replacements
from tests.fuzz.targets import TARGETS, Target

EXAMPLES = 250
LONGEST = 2000  # bytes of a seed that is taken apart word by word


@pytest.fixture(autouse=True, scope="module")
def event_loop() -> Iterator[None]:
    yield
    targets.close()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_whole_is_taken(target: Target) -> None:
    assert [target.fuzz(seed) for seed in target.seeds] == [True] * len(target.seeds)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_an_odd_word_anywhere_is_taken_or_refused_and_nothing_else_happens(target: Target) -> None:
    seeds = [seed for seed in (*target.seeds, *target.refused) if len(seed) < LONGEST]
    assert False in {target.fuzz(data) for seed in seeds for data in replacements(seed)}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_damaged_is_taken_or_refused_and_nothing_else_happens(target: Target) -> None:
    outcomes = set()

    @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
    @given(damaged([*target.seeds, *target.refused]))
    def fuzz(data: bytes) -> None:
        outcomes.add(target.fuzz(data))

    fuzz()
    assert outcomes == {True, False}
