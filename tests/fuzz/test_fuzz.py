"""A few seconds of fuzzing in every run of the tests."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz import seeds, targets
from tests.fuzz.control import fuzz_control
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
    short = [seed for seed in (*target.seeds, *target.refused) if len(seed) < LONGEST]
    assert False in {target.fuzz(data) for seed in short for data in replacements(seed)}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_damaged_is_taken_or_refused_and_nothing_else_happens(target: Target) -> None:
    outcomes = set()

    @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
    @given(damaged([*target.seeds, *target.refused]))
    def fuzz(data: bytes) -> None:
        outcomes.add(target.fuzz(data))

    fuzz()
    assert outcomes == {True, False}


@pytest.mark.parametrize("data", seeds.CONTROL_FINDINGS, ids=["query", "slash", "utf-8"])
def test_what_was_found_in_the_control_api_is_refused_as_everything_else(data: bytes) -> None:
    assert not fuzz_control(data)
