"""Who has a session: by the name that each is told under, the newest session first of all."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sessiond.core.ordered import Ordered
from sessiond.core.rows import Put, Write
from sessiond.core.session import Session

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ID_BITS = 128


class Present:
    """The live sessions, as far as they are on disk: what was found at first, and each batch since.

    It is made only while somebody follows, so that a login is found by its typed name without an
    index that all others would pay for.
    """

    def __init__(self, found: Sequence[Session], told_as: Callable[[Session], str]) -> None:
        """Begin with nobody; `fill` takes in those that were found, some at a time.

        Args:
            found: The sessions of now. What is written from now on is to be given to `take`.
            told_as: The name of each, always the same one.
        """
        self._found = found
        self._told_as = told_as
        self._at = 0  # how many of those found are taken in
        self._written = set[int]()  # what was written before all were: it is newer
        self._sessions: dict[int, Session] = {}  # by their ids' numbers
        self._places: dict[str, int | Ordered[int]] = {}  # most names have one session

    @property
    def is_whole(self) -> bool:
        """Whether all that were found are taken in."""
        return self._at >= len(self._found)

    @property
    def names(self) -> Collection[str]:
        """The names of all that are taken in: a view, good until the next change."""
        return self._places.keys()

    def fill(self, count: int) -> None:
        """Take in so many more of those found."""
        for session in self._found[self._at : self._at + count]:
            if session.id.int not in self._written:
                self._put(session)
        self._at += count
        if self.is_whole:
            self._found, self._at = (), 0
            self._written.clear()

    def take(self, writes: Iterable[Write]) -> tuple[list[str], list[str]]:
        """Take in what was written; return the names that it concerns, each once.

        First those under which somebody is there or there otherwise, such as by a login, then those
        under which somebody has only left.
        """
        put: dict[str, None] = {}
        left: dict[str, None] = {}
        for write in writes:
            row = write.row
            if not isinstance(row, Session):
                continue
            if not self.is_whole:
                self._written.add(row.id.int)
            old = self._sessions.get(row.id.int)
            if isinstance(write, Put) and old is not None and _is_alike(old, row):
                self._sessions[row.id.int] = row
                continue
            if old is not None:
                self._drop(old)
                left[self._told_as(old)] = None
            if isinstance(write, Put):
                self._put(row)
                put[self._told_as(row)] = None
        return list(put), [name for name in left if name not in put]

    def newest(self, name: str) -> Session | None:
        """Return the newest session under a name: by when it began, then by its id."""
        place = self._places.get(name)
        if place is None:
            return None
        last = place.last if isinstance(place, Ordered) else place
        return self._sessions[last & ((1 << _ID_BITS) - 1)]

    def _put(self, session: Session) -> None:
        self._sessions[session.id.int] = session
        name, place = self._told_as(session), _place_of(session)
        found = self._places.setdefault(name, place)
        if isinstance(found, Ordered):
            found.add(place)
        elif found != place:
            self._places[name] = Ordered((found, place))

    def _drop(self, session: Session) -> None:
        del self._sessions[session.id.int]
        name, place = self._told_as(session), _place_of(session)
        found = self._places[name]
        if isinstance(found, Ordered):
            found.discard(place)
        if found == place or not found:
            del self._places[name]


def _is_alike(old: Session, new: Session) -> bool:
    """Say whether nothing has changed that anybody is told: many of a process may wait for it."""
    before = (old.since, old.typed, old.principal, old.assigned, old.attributes)
    return before == (new.since, new.typed, new.principal, new.assigned, new.attributes)


def _place_of(session: Session) -> int:
    """Return a number in whose order sessions are by age."""
    age = (session.since - _EPOCH) // _MICROSECOND
    return (age << _ID_BITS) | session.id.int
