"""Who may hear of everybody by `.u.sub`, and which names of processes they are given."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sessiond.system.peer import AllowList, Peer

NAMES: Final = 1000  # of one user's processes; a large installation has some hundreds on a host
ANOTHER_EVERY: Final = 360.0  # seconds: beyond that ten new ones an hour


class SubscriberAccess:
    """Who may subscribe, as configured by now."""

    def __init__(self, allowed: Callable[[], AllowList | None]) -> None:
        """Let those of now in, or (None) every process that may connect."""
        self._allowed = allowed

    def admits(self, peer: Peer) -> bool:
        allowed = self._allowed()
        return allowed is None or allowed.admits(peer)


@dataclass(slots=True)
class _Names:
    """What processes of one user have called themselves, the latest last."""

    left: float  # new ones that may still be given out
    as_of: float  # monotonic moment
    given: OrderedDict[str, None] = field(default_factory=OrderedDict)


class ProcessNames:
    """Names that may become symbols of those who subscribe.

    A process says its name itself, and q never frees a symbol. So a user's processes have a number
    of names, and a few new ones an hour; what goes beyond is nobody's name there.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._of_user: dict[int, _Names] = {}

    def note(self, uid: int, name: str) -> None:
        """Take note that a process of this user's calls itself so."""
        now = self._monotonic()
        names = self._of_user.setdefault(uid, _Names(left=NAMES, as_of=now))
        names.left = min(NAMES, names.left + (now - names.as_of) / ANOTHER_EVERY)
        names.as_of = now
        if name not in names.given:
            if names.left < 1:
                return
            names.left -= 1
        names.given[name] = None
        names.given.move_to_end(name)
        if len(names.given) > NAMES:
            names.given.popitem(last=False)

    def may_give(self, name: str) -> bool:
        """Say whether those who subscribe may be given a process's name."""
        return any(name in names.given for names in self._of_user.values())
