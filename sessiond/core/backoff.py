"""How long to wait before the next try, after some in a row have failed."""

_DOUBLINGS = 32  # by then any longest pause has been reached, and no float overflows


def pause_after(failures: int, *, first: float, longest: float) -> float:
    """Return the seconds of the pause: doubled for each failure beyond the first.

    Args:
        failures: In a row, at least 1.
        first: Seconds after the first failure.
        longest: Seconds that no pause exceeds.
    """
    return min(first * 2.0 ** min(failures - 1, _DOUBLINGS), longest)
