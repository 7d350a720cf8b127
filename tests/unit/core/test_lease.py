from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.lease import (
    FLOOR,
    Lease,
    is_same_end,
    lease_of,
    next_refresh_at,
    refresh_at,
)
from tests.fakes import HOUR, MINUTE, START, lease

NOW = START
DAY = timedelta(days=1)


def test_an_empty_lease_cannot_be_made() -> None:
    for end in (START, START - MINUTE):
        with pytest.raises(ValueError, match="is empty"):
            Lease(issued_at=START, expires_at=end)


@pytest.mark.parametrize(
    ("issued", "expires", "seconds", "expected"),
    [
        (-MINUTE, HOUR, None, (-MINUTE, HOUR)),
        (None, HOUR, None, (timedelta(0), HOUR)),
        (None, None, 60.0, (timedelta(0), MINUTE)),
        (-MINUTE, HOUR, 60.0, (-MINUTE, MINUTE)),
        (-MINUTE, MINUTE, 3600.0, (-MINUTE, MINUTE)),
        (None, None, None, (timedelta(0), DAY)),
        (-HOUR, None, None, (-HOUR, DAY - HOUR)),
        (MINUTE, HOUR, None, (timedelta(0), HOUR)),
    ],
    ids=[
        "iat and exp",
        "exp alone",
        "expires_in alone",
        "the earlier end: expires_in",
        "the earlier end: exp",
        "nothing stated",
        "no end stated, counted from iat",
        "a future iat counts as now",
    ],
)
def test_a_lease_follows_from_what_the_issuer_states(
    issued: timedelta | None,
    expires: timedelta | None,
    seconds: float | None,
    expected: tuple[timedelta, timedelta],
) -> None:
    assert lease_of(
        now=NOW,
        issued_at=None if issued is None else NOW + issued,
        expires_at=None if expires is None else NOW + expires,
        expires_in=seconds,
        otherwise=DAY,
    ) == Lease(issued_at=NOW + expected[0], expires_at=NOW + expected[1])


@pytest.mark.parametrize(
    ("issued", "expires", "seconds"),
    [
        (-HOUR, timedelta(0), None),
        (-HOUR, -MINUTE, None),
        (None, HOUR, 0.0),
        (-2 * DAY, None, None),
        (MINUTE, timedelta(0), None),
    ],
)
def test_what_is_over_is_no_lease(
    issued: timedelta | None, expires: timedelta | None, seconds: float | None
) -> None:
    assert (
        lease_of(
            now=NOW,
            issued_at=None if issued is None else NOW + issued,
            expires_at=None if expires is None else NOW + expires,
            expires_in=seconds,
            otherwise=DAY,
        )
        is None
    )


@pytest.mark.parametrize(("draw", "minutes"), [(0.0, 30), (0.25, 33), (0.5, 36), (0.75, 39)])
def test_a_refresh_is_due_at_its_share_of_the_lease_moved_by_the_draw(
    draw: float, minutes: int
) -> None:
    assert refresh_at(lease(), share=0.6, jitter=0.1, draw=draw) == START + minutes * MINUTE


def test_a_refresh_is_never_due_before_the_lease_begins() -> None:
    assert refresh_at(lease(), share=0.1, jitter=0.5, draw=0.0) == START


@given(
    share=st.floats(0.01, 0.98),
    jitter=st.floats(0.0, 1.0),
    draw=st.floats(0.0, 1.0, exclude_max=True),
    seconds=st.integers(1, 86_400),
)
def test_a_refresh_is_due_within_the_lease(
    share: float, jitter: float, draw: float, seconds: int
) -> None:
    jitter = min(jitter, 0.99 - share)  # the configuration keeps their sum below 1
    span = lease(length=timedelta(seconds=seconds))
    due = refresh_at(span, share=share, jitter=jitter, draw=draw)
    assert span.issued_at <= due < span.expires_at


@given(
    share=st.floats(0.05, 0.95),
    draw=st.floats(0.0, 1.0, exclude_max=True),
    seconds=st.integers(1, 86_400),
    part=st.floats(0.0, 0.99),
    moved=st.floats(-0.99, 0.99),
)
def test_an_issuer_that_gives_no_longer_leases_is_asked_no_oftener_than_the_floor(
    share: float, draw: float, seconds: int, part: float, moved: float
) -> None:
    end = START + timedelta(seconds=seconds)
    now, held, asked = START + part * (end - START), lease(length=end - START), list[datetime]()
    cut_to = end + timedelta(seconds=moved)
    while now < min(end, cut_to):
        asked.append(now)
        cut = Lease(issued_at=now, expires_at=cut_to)
        now = next_refresh_at(held, cut, now=now, share=share, jitter=0.0, draw=draw)
    assert all(later - earlier >= FLOOR for earlier, later in pairwise(asked))


@pytest.mark.parametrize("seconds", [2, 5, 10, 60, 3600])
@pytest.mark.parametrize("draw", [0.0, 0.5, 0.99])
def test_no_lease_that_is_really_given_is_too_short_for_the_floor(
    seconds: int, draw: float
) -> None:
    length = timedelta(seconds=seconds)
    held, due = (
        lease(START, length),
        refresh_at(lease(START, length), share=0.6, jitter=0.1, draw=draw),
    )
    for _ in range(20):
        given_ = lease(due, length)
        now, due = due, next_refresh_at(held, given_, now=due, share=0.6, jitter=0.1, draw=draw)
        assert now < due < given_.expires_at
        assert due == refresh_at(given_, share=0.6, jitter=0.1, draw=draw)
        held = given_


def test_an_issuer_whose_clock_is_far_behind_is_asked_again_after_a_share_of_what_is_left() -> None:
    old, new = lease(), lease(START - 50 * MINUTE, HOUR + MINUTE + HOUR)
    now = START + 40 * MINUTE
    due = next_refresh_at(old, new, now=now, share=0.6, jitter=0.0, draw=0.5)
    assert due == now + 0.6 * (new.expires_at - now)


@pytest.mark.parametrize(("by", "same"), [(0, True), (0.99, True), (-0.99, True), (1, False)])
def test_ends_that_a_second_does_not_part_are_the_same(by: float, same: bool) -> None:
    other = lease(length=HOUR + timedelta(seconds=by))
    assert is_same_end(lease(), other) is is_same_end(other, lease()) is same
