"""Sums refused logins, so that nobody fills the disk, or memory, by being refused."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sessiond.core.changes import RecordEvents
from sessiond.core.errors import Refusal
from sessiond.core.events import LoginRefused
from sessiond.core.session import ProcessAbout

MAX_NAMES = 50  # different ones of one process in a minute; the surplus is summed without the name
MAX_PROCESSES = 200  # different ones in a minute; the surplus is summed without name and process
MAX_WAITING = 1000  # sums that wait to be told; what is new is then summed by issuer and reason
BURST = 300  # events that may be told at once
RATE = 5.0  # and a second, on average: a gigabyte in a week at most
MINUTE = 60.0  # seconds


class Refused(NamedTuple):
    """What like refusals have in common."""

    user: str  # as typed; empty: many
    issuer: str
    process: ProcessAbout | None
    reason: Refusal


class Refusals:
    """Refused logins that are not told yet. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._counts = Counter[Refused]()
        self._names: dict[ProcessAbout | None, set[str]] = {}  # of this minute
        self._minute = float("-inf")  # when it began
        self._budget = float(BURST)  # events that may be told now
        self._filled_at: float | None = None

    def __bool__(self) -> bool:
        return bool(self._counts)

    def note(self, refused: Refused, *, at: float, count: int = 1) -> None:
        """Count a refusal, with others like it."""
        key = self._key(refused, at)
        if key not in self._counts and len(self._counts) >= MAX_WAITING:
            key = Refused("", key.issuer, None, key.reason)
        self._counts[key] += count

    def take(self, at: float) -> Mapping[Refused, int]:
        """Return what may be told now, the longest waiting first."""
        if self._filled_at is not None:
            self._budget = min(BURST, self._budget + RATE * (at - self._filled_at))
        self._filled_at = at
        taken = {key: self._counts[key] for key in list(self._counts)[: int(self._budget)]}
        self._budget -= len(taken)
        for key in taken:
            del self._counts[key]
        return taken

    def take_all(self) -> Mapping[Refused, int]:
        """Return everything: there will be no other time."""
        taken, self._counts = self._counts, Counter()
        return taken

    def put_back(self, taken: Mapping[Refused, int]) -> None:
        """Count again what could not be told."""
        newer, self._counts = self._counts, Counter(taken)
        self._budget += len(taken)
        for key, count in newer.items():
            if key not in self._counts and len(self._counts) >= MAX_WAITING:
                key = Refused("", key.issuer, None, key.reason)
            self._counts[key] += count

    def _key(self, refused: Refused, at: float) -> Refused:
        if at - self._minute >= MINUTE:
            self._minute = at
            self._names.clear()
        if refused.process not in self._names and len(self._names) >= MAX_PROCESSES:
            return refused._replace(user="", process=None)
        names = self._names.setdefault(refused.process, set())
        if refused.user not in names and len(names) >= MAX_NAMES:
            return refused._replace(user="")
        names.add(refused.user)
        return refused


def told(refused: Mapping[Refused, int], now: datetime) -> RecordEvents:
    """Return the change that writes them as events."""
    return RecordEvents(
        events=tuple(
            LoginRefused(
                at=now,
                user=key.user,
                issuer=key.issuer,
                process=key.process,
                reason=key.reason,
                count=count,
            )
            for key, count in refused.items()
        )
    )
