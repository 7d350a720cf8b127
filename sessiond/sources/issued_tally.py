"""Who was given which token: told when it is new, summed when it is the same again.

The first of a minute is on disk before it is answered. Whoever asks on is counted, and told once
the minute is over: so a process that asks each second costs one commit a minute, and is all there.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sessiond.core.events import Operator, SourceIssued
from sessiond.core.session import ProcessAbout

MINUTE = 60.0  # seconds
MAX_KEPT = 10_000  # of the last minute; beyond that the oldest is told before its minute is over


class Asker(NamedTuple):
    """What like askings have in common."""

    who: Hashable  # a process, or a peer of the control socket
    source: str
    user: tuple[str, str]  # issuer and subject; empty: on nobody's behalf


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What is told of a token that was given; nothing of the token."""

    source: str
    process: ProcessAbout | None = None
    by: Operator | None = None  # a peer of the control socket; None: the process
    session: UUID | None = None
    user: str = ""
    issuer: str = ""

    def event(self, count: int, at: datetime) -> SourceIssued:
        """Return the event that tells of so many."""
        return SourceIssued(
            at=at,
            source=self.source,
            process=self.process,
            by=self.by,
            session=self.session,
            user=self.user,
            issuer=self.issuer,
            count=count,
        )


@dataclass(slots=True)
class _Repeats:
    issue: Issue  # the newest
    began_at: float
    count: int = 0


Taken = list[tuple[Issue, int]]  # and how many more there were


class IssuedTally:
    """Counts repeats. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._kept: dict[Asker, _Repeats] = {}  # in the order of their beginnings
        self._ready: Taken = []

    def open(self, asker: Asker, issue: Issue, at: float) -> None:
        """Begin an asker's minute: its first is told."""
        self._close(asker)
        self._kept[asker] = _Repeats(issue, at)
        if len(self._kept) > MAX_KEPT:
            self._close(next(iter(self._kept)))

    def repeat(self, asker: Asker, issue: Issue, at: float) -> bool:
        """Count one more; False: the asker has no minute that is not over, and is to be told."""
        repeats = self._kept.get(asker)
        if repeats is None or at - repeats.began_at >= MINUTE:
            return False
        repeats.count += 1
        repeats.issue = issue
        return True

    def take(self, at: float) -> Taken:
        """Return what is to be told of minutes that are over, once."""
        over = [asker for asker, each in self._over(at)]
        for asker in over:
            self._close(asker)
        taken, self._ready = self._ready, []
        return taken

    def take_all(self) -> Taken:
        """Return everything: there will be no other time."""
        return self.take(float("inf"))

    def put_back(self, taken: Taken) -> None:
        """Have told later what could not be told."""
        self._ready = [*taken, *self._ready][:MAX_KEPT]

    def _over(self, at: float) -> Iterator[tuple[Asker, _Repeats]]:
        for asker, each in self._kept.items():
            if at - each.began_at < MINUTE:
                return
            yield asker, each

    def _close(self, asker: Asker) -> None:
        repeats = self._kept.pop(asker, None)
        if repeats is not None and repeats.count:
            self._ready.append((repeats.issue, repeats.count))
