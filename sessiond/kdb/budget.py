"""The memory that connections may fill: what they have sent and what they have not read."""

from collections import Counter
from typing import Final

MIB: Final = 1 << 20  # bytes
ALWAYS: Final = 64 << 10  # bytes that any connection may keep: more than a login or its answer has
# Of all connections of one user: 50,000 revocations pushed at once are half of it.
PER_USER: Final = 32 * MIB
TOTAL: Final = 4 * PER_USER  # of all: one user at the bound leaves three times as much to others


class Budget:
    """Bytes kept, by the user whose connections keep them and in all.

    No user's connections can take what another's need to log in: so much is always theirs, and
    the rest is bounded for each user well below what there is for all.
    """

    def __init__(self, *, per_user: int = PER_USER, total: int = TOTAL) -> None:
        self._per_user = per_user
        self._total = total
        self._kept: Counter[int] = Counter()  # bytes by uid

    @property
    def kept(self) -> int:
        """How many bytes are kept in all."""
        return self._kept.total()

    def open(self, uid: int) -> "Account":
        """Return the account of a new connection of this user's."""
        return Account(self, uid)

    def move(self, uid: int, size: int) -> None:
        """Note so many bytes more of a user's, or less."""
        self._kept[uid] += size
        if not self._kept[uid]:
            del self._kept[uid]

    def has_room(self, uid: int, size: int) -> bool:
        """Say whether a user's connections may keep so many bytes more."""
        return self._kept[uid] + size <= self._per_user and self.kept + size <= self._total


class Account:
    """What one connection keeps. Everything is given back when it is closed."""

    def __init__(self, budget: Budget, uid: int) -> None:
        self._budget = budget
        self._uid = uid
        self._kept = 0  # bytes
        self._is_closed = False

    def keep(self, size: int) -> bool:
        """Take so many bytes more. False: there is no room, and nothing was taken."""
        if self._is_closed:
            return False
        if self._kept + size > ALWAYS and not self._budget.has_room(self._uid, size):
            return False
        self._kept += size
        self._budget.move(self._uid, size)
        return True

    def give(self, size: int) -> None:
        """Give so many bytes back; after the end they have been."""
        if not self._is_closed:
            self._kept -= size
            self._budget.move(self._uid, -size)

    def close(self) -> None:
        """Give everything back."""
        self.give(self._kept)
        self._is_closed = True
