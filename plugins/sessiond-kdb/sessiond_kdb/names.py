"""Which names of processes may become symbols at the tickerplant."""

from datetime import datetime, timedelta
from typing import Final

from sessiond.api import Event

NAMES: Final = 1000  # a large installation has some hundreds of processes
ANOTHER_EVERY: Final = timedelta(minutes=6)  # beyond that ten new ones an hour


class ProcessNames:
    """The names that were given, and how many more may be.

    A process says its name itself, and q never frees a symbol: so one user's processes with ever
    new names would fill the tickerplant, and each of its subscribers. What goes beyond the bound is
    nobody's name there.
    """

    def __init__(self) -> None:
        self._given = {""}
        self._left = float(NAMES)  # new ones that may still be given
        self._as_of: datetime | None = None

    def given(self, event: Event) -> str:
        """Return the name of an event's process, if it may become a symbol, else the empty one."""
        name = event.process.name if event.process else ""
        if name in self._given:
            return name
        since, self._as_of = self._as_of or event.at, event.at
        self._left = min(NAMES, self._left + max(0.0, (event.at - since) / ANOTHER_EVERY))
        if self._left < 1:
            return ""
        self._left -= 1
        self._given.add(name)
        return name
