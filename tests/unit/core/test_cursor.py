"""What is missing between a place and the events that are kept after it."""

import pytest

from sessiond.core.cursor import consecutive, gap_at
from sessiond.core.events import Gap
from tests.fakes import START, opened_event


@pytest.mark.parametrize(
    ("place", "there", "last", "gap"),
    [
        (0, (), 0, None),
        (0, (1, 2), 2, None),
        (0, (5, 6), 6, (0, 5)),  # who was there before the first event has missed some too
        (0, (), 9, (0, 10)),
        (9, (), 9, None),
        (4, (5, 6), 6, None),
        (2, (5, 6), 6, (2, 5)),
        (3, (), 9, (3, 10)),
        (700, (5, 6), 6, (700, 5)),  # of another database
        (700, (), 9, (700, 10)),
    ],
)
def test_a_gap_says_from_where_to_where_and_has_the_number_of_the_last_event_missed(
    place: int, there: tuple[int, ...], last: int, gap: tuple[int, int] | None
) -> None:
    events = [opened_event(number) for number in there]
    expected = None
    if gap is not None:
        expected = Gap(sequence=gap[1] - 1, at=START, after=gap[0], before=gap[1])
    assert gap_at(place, events, last=last, at=START) == expected


@pytest.mark.parametrize("there", [(), (1, 2), (5, 6)])
def test_from_the_oldest_kept_nothing_is_missing(there: tuple[int, ...]) -> None:
    events = [opened_event(number) for number in there]
    assert gap_at(0, events, last=6, at=START, from_oldest=True) is None


@pytest.mark.parametrize(
    ("numbers", "first"),
    [((), 0), ((4,), 1), ((4, 5, 6), 3), ((4, 5, 7, 8), 2), ((4, 6, 7), 1)],
)
def test_events_go_together_up_to_the_first_that_is_missing(
    numbers: tuple[int, ...], first: int
) -> None:
    events = [opened_event(number) for number in numbers]
    assert consecutive(events) == events[:first]
