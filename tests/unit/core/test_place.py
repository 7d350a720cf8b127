"""What is missing between a place and the events that are kept after it."""

import pytest

from sessiond.core.events import Gap
from sessiond.core.place import gap_at
from tests.fakes import START, opened_event


@pytest.mark.parametrize(
    ("place", "there", "last", "gap"),
    [
        (0, (), 0, None),
        (0, (5, 6), 6, None),  # 0: from the oldest kept, whatever that is
        (0, (), 9, None),
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
