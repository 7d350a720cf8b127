"""How fast one user's tickets are spent.

The trace of each is kept for up to a quarter of an hour, longer than any session needs to last. A
user who goes on and on from one process to another would fill memory and disk with them.
"""

from collections import OrderedDict

from sessiond.core.principal import folded

AT_ONCE = 2000  # tickets of one user
A_SECOND = 50  # that he may spend on and on: some 50,000 traces, of 1.5 KB each
MAX_USERS = 4096  # of whom it is known; the one who was away for longest is forgotten


class Pace:
    """Counts what users spend. Each has as much as is there again by now."""

    def __init__(self) -> None:
        self._left = OrderedDict[str, tuple[float, float]]()  # tickets, and when: monotonic seconds

    def take(self, user: str, *, now: float) -> bool:
        """Say whether a user may spend one more, and count it then.

        Args:
            user: The verified name.
            now: Monotonic seconds.
        """
        key = folded(user)
        left, since = self._left.pop(key, (float(AT_ONCE), now))
        left = min(left + (now - since) * A_SECOND, float(AT_ONCE))
        is_left = left >= 1
        self._left[key] = (left - 1 if is_left else left, now)
        if len(self._left) > MAX_USERS:
            self._left.popitem(last=False)
        return is_left
