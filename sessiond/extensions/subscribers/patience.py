"""When a subscriber that failed is tried again."""

from sessiond.core.backoff import pause_after

FIRST = 1.0  # seconds
LONGEST = 60.0  # seconds


def retry_in(failures: int, *, spread: float) -> float:
    """Return the seconds to wait after so many failures in a row: doubling from 1 to 60.

    Args:
        failures: At least 1.
        spread: Uniform in [0, 1), drawn by the caller: shortens the pause by up to a quarter, so
            that not all that failed together come back together.
    """
    return pause_after(failures, first=FIRST, longest=LONGEST) * (1.0 - spread / 4)
