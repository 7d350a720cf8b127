from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.backoff import pause_after


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (10**9, 60)]
)
def test_each_failure_doubles_the_pause_up_to_the_longest(failures: int, seconds: float) -> None:
    assert pause_after(failures, first=1.0, longest=60.0) == seconds


@given(first=st.floats(0.01, 60.0), longest=st.floats(60.0, 86400.0))
def test_no_pause_is_shorter_than_the_one_before_and_the_longest_is_reached(
    first: float, longest: float
) -> None:
    pauses = [pause_after(number, first=first, longest=longest) for number in range(1, 40)]
    assert pauses[0] == first
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert pauses[-1] == longest
