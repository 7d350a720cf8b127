"""What is listed in order: a page costs what it shows, however many there are."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Generic, TypeVar
from uuid import UUID

from sessiond.core.principal import folded
from sessiond.core.session import ProcessAbout, Session, SessionId

K = TypeVar("K", int, str)

_Key = str | tuple[str, str]  # a user's folded name; of anything else, what it is and its name
SIZE = 512  # keys of one run; a run of twice as many is cut in two


class Ordered(Generic[K]):
    """A sorted set, as runs of bounded length: adding moves the keys of one run only."""

    __slots__ = ("_lasts", "_runs")

    def __init__(self, keys: Iterable[K] = ()) -> None:
        """Take keys, each once."""
        ordered = sorted(keys)
        starts = range(0, len(ordered), SIZE)
        # No run is empty.
        self._runs: list[list[K]] = [ordered[start : start + SIZE] for start in starts]
        self._lasts: list[K] = [run[-1] for run in self._runs]

    def __bool__(self) -> bool:
        return bool(self._runs)

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    @property
    def last(self) -> K:
        """The greatest key. There must be one."""
        return self._lasts[-1]

    def add(self, key: K) -> None:
        """Put a key in its place; one that is there stays there once."""
        if not self._runs:
            self._runs.append([])
            self._lasts.append(key)
        at = min(bisect_left(self._lasts, key), len(self._runs) - 1)
        run = self._runs[at]
        place = bisect_left(run, key)
        if place < len(run) and run[place] == key:
            return
        run.insert(place, key)
        self._lasts[at] = run[-1]
        if len(run) >= 2 * SIZE:
            self._runs[at : at + 1] = [run[:SIZE], run[SIZE:]]
            self._lasts.insert(at, run[SIZE - 1])

    def discard(self, key: K) -> None:
        """Take a key out, if it is there."""
        at = bisect_left(self._lasts, key)
        if at == len(self._runs):
            return
        run = self._runs[at]
        place = bisect_left(run, key)
        if run[place] != key:
            return
        del run[place]
        if run:
            self._lasts[at] = run[-1]
        else:
            del self._runs[at], self._lasts[at]

    def beyond(self, key: K) -> Iterator[K]:
        """Yield the keys after one, in order. Good until the next change."""
        return self._from(bisect_right(self._lasts, key), key, bisect_right)

    def since(self, key: K) -> Iterator[K]:
        """Yield a key, if it is there, and those after it. Good until the next change."""
        return self._from(bisect_left(self._lasts, key), key, bisect_left)

    def _from(self, at: int, key: K, find: Callable[[list[K], K], int]) -> Iterator[K]:
        for which in range(at, len(self._runs)):
            run = self._runs[which]
            begin = find(run, key) if which == at else 0
            for place in range(begin, len(run)):
                yield run[place]


class OrderedIds:
    """Ids in their order, kept as numbers, which compare fast. Good until the next change."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: Ordered[int] | tuple[int, ...] = ()) -> None:
        """Take what is ordered already."""
        self._numbers = numbers

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def after(self, key: SessionId | None) -> Iterator[SessionId]:
        """Yield the ids beyond one, in order; None: all."""
        beyond = -1 if key is None else key.int
        numbers = self._numbers
        found = numbers.beyond(beyond) if isinstance(numbers, Ordered) else numbers
        return (SessionId(UUID(int=number)) for number in found if number > beyond)


class SessionLists:
    """The live sessions in the order of their ids: all, and by what operators ask for.

    Most users have one session, whose number is then the list.
    """

    def __init__(self) -> None:
        self._lists: dict[_Key, int | Ordered[int]] = {}

    def fill(self, sessions: Collection[Session]) -> None:
        """Take all that there are at once, which costs less than one by one."""
        numbers = [each.id.int for each in sessions]
        found: dict[_Key, list[int]] = {}
        users = [folded(each.principal.name) for each in sessions]
        self._lists = dict(zip(users, numbers, strict=True))
        if len(self._lists) < len(users):
            for user, number in zip(users, numbers, strict=True):
                found.setdefault(user, []).append(number)
        alike: dict[tuple[int, str], list[Session]] = {}
        for session in sessions:
            alike.setdefault((id(session.about), session.principal.issuer), []).append(session)
        for some in alike.values():
            for each in _shared_lists_of(some[0]):
                found.setdefault(each, []).extend([session.id.int for session in some])
        self._lists.update({each: _list(of_it) for each, of_it in found.items()})

    def replace(self, old: Session | None, new: Session | None) -> None:
        """Note that one session has taken the place of another; None: there was, or is, none."""
        before = () if old is None else _lists_of(old)
        after = () if new is None else _lists_of(new)
        if before == after:
            return
        if old is not None:
            for each in before:
                self._discard(each, old.id.int)
        if new is not None:
            for each in after:
                self._add(each, new.id.int)

    def _add(self, key: _Key, number: int) -> None:
        found = self._lists.setdefault(key, number)
        if isinstance(found, Ordered):
            found.add(number)
        elif found != number:
            self._lists[key] = Ordered((found, number))

    def _discard(self, key: _Key, number: int) -> None:
        found = self._lists[key]
        if isinstance(found, Ordered):
            found.discard(number)
        if found == number or not found:
            del self._lists[key]

    def of(self, *, user: str = "", process: str = "", issuer: str = "") -> OrderedIds:
        """Return the shortest list that holds all that is asked for. Empty text = any.

        Args:
            user: Folded.
            process: NAME or NAME:PID, as the process says them of itself.
            issuer: The configured name.
        """
        lists = [self._of(user)] if user else []
        asked = (("process", process), ("issuer", issuer))
        lists += [self._of(each) for each in asked if each[1]]
        return min(lists, key=len) if lists else self._of(ALL)

    def _of(self, key: _Key) -> OrderedIds:
        found = self._lists.get(key, ())
        return OrderedIds((found,) if isinstance(found, int) else found)


ALL = ("", "")


def is_called(about: ProcessAbout, process: str) -> bool:
    """Say whether a process calls itself so: NAME or NAME:PID."""
    return process in (about.name, f"{about.name}:{about.pid}")


def _lists_of(session: Session) -> tuple[_Key, ...]:
    return (folded(session.principal.name), *_shared_lists_of(session))


def _shared_lists_of(session: Session) -> tuple[tuple[str, str], ...]:
    about = session.about
    return (
        ALL,
        ("process", about.name),
        ("process", f"{about.name}:{about.pid}"),
        ("issuer", session.principal.issuer),
    )


def _list(numbers: list[int]) -> int | Ordered[int]:
    return numbers[0] if len(numbers) == 1 else Ordered(numbers)
