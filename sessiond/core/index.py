"""What rows are found by, other than their keys."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

FEW = 64  # entries of a schedule that are not worth tidying


class _Several(dict[V, None]):
    """The values of a key that has more than one, in the order in which they came."""

    __slots__ = ()


class Index(Generic[K, V]):
    """Which values a key has, in the order in which they came.

    Most keys have one, which is then kept as it is: a dictionary for it would be ten times as big.
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[K, V | _Several[V]] = {}

    def of(self, key: K) -> Collection[V]:
        """Return a key's values: a view, good until the next change."""
        found = self._values.get(key)
        if found is None:
            return ()
        return found.keys() if isinstance(found, _Several) else (found,)

    def keys(self) -> Collection[K]:
        """Return the keys that have values: a view, good until the next change."""
        return self._values.keys()

    def fill(self, keys: Sequence[K], values: Sequence[V]) -> None:
        """Add many values, each to the key in its place: all at once where each has its own key."""
        found = dict(zip(keys, values, strict=True))
        if not self._values and len(found) == len(keys):
            self._values = {**found}
            return
        several: dict[K, list[V]] = {key: [*self.of(key)] for key in found}
        for key, value in zip(keys, values, strict=True):
            several[key].append(value)
        for key, all_of_it in several.items():
            one, *more = each = _Several(dict.fromkeys(all_of_it))
            self._values[key] = each if more else one

    def add(self, key: K, value: V) -> None:
        """Add a value as the newest of its key."""
        found = self._values.setdefault(key, value)
        if isinstance(found, _Several):
            found[value] = None
        elif found != value:
            self._values[key] = _Several({found: None, value: None})

    def discard(self, key: K, value: V) -> None:
        """Take a value out if it is there, and the key with its last value."""
        found = self._values.get(key)
        if isinstance(found, _Several):
            found.pop(value, None)
            if len(found) == 1:
                (self._values[key],) = found
        elif found is not None and found == value:
            del self._values[key]


class Schedule(Generic[K]):
    """Keys by their times; only the first of the times is ever asked for."""

    def __init__(self) -> None:
        self._at: dict[K, datetime] = {}
        self._heap: list[tuple[datetime, int, K]] = []  # with entries that count no more
        self._added = 0  # breaks ties, so that keys need no order

    def fill(self, at: Iterable[tuple[K, datetime]]) -> None:
        """Give many keys their times."""
        self._at.update(at)
        self._tidy()

    def put(self, key: K, at: datetime) -> None:
        """Give a key its time, or another one."""
        self._at[key] = at
        self._added += 1
        heappush(self._heap, (at, self._added, key))
        if len(self._heap) > 2 * len(self._at) + FEW:
            self._tidy()

    def _tidy(self) -> None:
        self._added = len(self._at)
        self._heap = [(when, count, key) for count, (key, when) in enumerate(self._at.items())]
        heapify(self._heap)

    def drop(self, key: K) -> None:
        """Forget a key."""
        self._at.pop(key, None)

    @property
    def first(self) -> datetime | None:
        """The earliest time of all; None: there are no keys."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None
