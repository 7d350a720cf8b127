"""Things that wait for a turn, handed out round robin."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class RoundRobin(Generic[T]):
    """A turn for each owner, and within an owner's turns one for each of its parts.

    Whoever has a thousand things waiting takes one turn like everybody else. A thing that comes
    when nothing of its owner waits is at the end of this round.
    """

    def __init__(self) -> None:
        self._rings: OrderedDict[Hashable, OrderedDict[Hashable, deque[T]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, thing: T, *, owner: Hashable, part: Hashable = None) -> None:
        """Have a thing wait behind what its owner has for this part already."""
        self._rings.setdefault(owner, OrderedDict()).setdefault(part, deque()).append(thing)
        self._count += 1

    def take(self) -> T:
        """Return the next thing. There must be one."""
        owner, parts = self._rings.popitem(last=False)
        part, queue = parts.popitem(last=False)
        thing = queue.popleft()
        self._count -= 1
        if queue:
            parts[part] = queue  # to the end of the owner's round
        if parts:
            self._rings[owner] = parts  # to the end of the round
        return thing

    def remove(self, thing: T, *, owner: Hashable, part: Hashable = None) -> None:
        """Take a thing out that waits for nothing any more."""
        parts = self._rings[owner]
        parts[part].remove(thing)
        self._count -= 1
        if not parts[part]:
            del parts[part]
        if not parts:
            del self._rings[owner]
