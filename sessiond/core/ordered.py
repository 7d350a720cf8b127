"""Sessions in the order of their ids: a page costs what it shows, however many there are."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from uuid import UUID

from sessiond.core.principal import folded
from sessiond.core.session import ProcessAbout, Session, SessionId

SIZE = 512  # ids of one run; a run of twice as many is cut in two


class OrderedIds:
    """A sorted set, as runs of bounded length: adding moves the ids of one run only."""

    __slots__ = ("_lasts", "_runs")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        """Take ids as numbers, each once."""
        ordered = sorted(numbers)
        starts = range(0, len(ordered), SIZE)
        # Ids as numbers, which compare fast; no run is empty.
        self._runs = [ordered[start : start + SIZE] for start in starts]
        self._lasts = [run[-1] for run in self._runs]

    def __bool__(self) -> bool:
        return bool(self._runs)

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, key: SessionId) -> None:
        """Put an id in its place; one that is there stays there once."""
        number = key.int
        if not self._runs:
            self._runs.append([])
            self._lasts.append(number)
        at = min(bisect_left(self._lasts, number), len(self._runs) - 1)
        run = self._runs[at]
        place = bisect_left(run, number)
        if place < len(run) and run[place] == number:
            return
        run.insert(place, number)
        self._lasts[at] = run[-1]
        if len(run) >= 2 * SIZE:
            self._runs[at : at + 1] = [run[:SIZE], run[SIZE:]]
            self._lasts.insert(at, run[SIZE - 1])

    def discard(self, key: SessionId) -> None:
        """Take an id out, if it is there."""
        number = key.int
        at = bisect_left(self._lasts, number)
        if at == len(self._runs):
            return
        run = self._runs[at]
        place = bisect_left(run, number)
        if run[place] != number:
            return
        del run[place]
        if run:
            self._lasts[at] = run[-1]
        else:
            del self._runs[at], self._lasts[at]

    def after(self, key: SessionId | None) -> Iterator[SessionId]:
        """Yield the ids beyond one, in order; None: all. Good until the next change."""
        number = -1 if key is None else key.int
        at = bisect_right(self._lasts, number)
        for which in range(at, len(self._runs)):
            run = self._runs[which]
            begin = bisect_right(run, number) if which == at else 0
            for place in range(begin, len(run)):
                yield SessionId(UUID(int=run[place]))


class SessionLists:
    """The live sessions in the order of their ids: all, and by what operators ask for."""

    def __init__(self) -> None:
        self._lists: dict[tuple[str, str], OrderedIds] = {}

    def fill(self, sessions: Iterable[Session]) -> None:
        """Take all that there are at once, which costs less than one by one."""
        found: dict[tuple[str, str], list[int]] = {}
        for session in sessions:
            for each in _lists_of(session):
                found.setdefault(each, []).append(session.id.int)
        self._lists = {each: OrderedIds(numbers) for each, numbers in found.items()}

    def replace(self, old: Session | None, new: Session | None) -> None:
        """Note that one session has taken the place of another; None: there was, or is, none."""
        before = () if old is None else _lists_of(old)
        after = () if new is None else _lists_of(new)
        if before == after:
            return
        if old is not None:
            for each in before:
                ids = self._lists[each]
                ids.discard(old.id)
                if not ids:
                    del self._lists[each]
        if new is not None:
            for each in after:
                if each not in self._lists:
                    self._lists[each] = OrderedIds()
                self._lists[each].add(new.id)

    def of(self, *, user: str = "", process: str = "", issuer: str = "") -> OrderedIds:
        """Return the shortest list that holds all that is asked for. Empty text = any.

        Args:
            user: Folded.
            process: NAME or NAME:PID, as the process says them of itself.
            issuer: The configured name.
        """
        asked = (("user", user), ("process", process), ("issuer", issuer))
        lists = [self._lists.get(each, _NONE) for each in asked if each[1]]
        return min(lists, key=len) if lists else self._lists.get(ALL, _NONE)


ALL = ("", "")
_NONE = OrderedIds()


def is_called(about: ProcessAbout, process: str) -> bool:
    """Say whether a process calls itself so: NAME or NAME:PID."""
    return process in (about.name, f"{about.name}:{about.pid}")


def _lists_of(session: Session) -> tuple[tuple[str, str], ...]:
    about = session.about
    return (
        ALL,
        ("user", folded(session.principal.name)),
        ("process", about.name),
        ("process", f"{about.name}:{about.pid}"),
        ("issuer", session.principal.issuer),
    )
