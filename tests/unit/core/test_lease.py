from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.lease import Lease, lease_of, refresh_at
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
