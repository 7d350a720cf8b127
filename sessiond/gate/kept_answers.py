"""Answers to be used again, each until its own moment."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")


class _Kept(NamedTuple, Generic[A]):
    answer: A
    until: float  # monotonic


class KeptAnswers(Generic[K, A]):
    """Holds so many at most, the oldest dropped first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, _Kept[A]] = OrderedDict()

    def keep(self, key: K, answer: A, *, until: float) -> None:
        """Keep an answer until a moment of monotonic time."""
        self._kept[key] = _Kept(answer, until)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def find(self, key: K, *, monotonic: float) -> A | None:
        """Return what is kept and still good."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= monotonic:
            del self._kept[key]
            return None
        return kept.answer

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def drop(self, key: K) -> None:
        """Forget one, where it is kept."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
