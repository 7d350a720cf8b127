"""Holds back lines that repeat, and says at the end of the interval how many there were."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

EVERY = 10  # seconds of an interval
ALLOWED = 20  # like lines in one interval; the surplus is summed
MOST = 1000  # different ones; the surplus is told apart by event and level alone
OF_ONE_EVENT = 200  # lines of one event and level, after which they are told apart by that alone

# Whether two lines are alike is decided on these facts, and so not on who the user is.
ALIKE_BY = (
    *("outcome", "reason", "issuer", "process", "uid"),
    *("subscriber", "plugin", "role_source", "key"),
)
# Each of these is worth a line however many there are: somebody lost access or took it away, an
# operator did something, or a plugin says what nobody else can say for it.
ALWAYS_TOLD = frozenset(
    {
        "configuration applied",
        "configuration refused",
        "event set aside",
        "explained",
        "forgiven",
        "forgotten",
        "not revoked",
        "recheck refused",
        "refresh refused",
        "refreshed token rejected",
        "repeated",
        "revoked",
        "set-aside events given up",
        "set-aside events tried again",
        "subscriber forgotten",
        "subscriber says",
    }
)

_Key = tuple[str, str, tuple[tuple[str, str], ...]]  # level, event, facts

log = structlog.get_logger()


class Repeats:
    """Counts like lines. Until `begin` nothing is held back."""

    def __init__(self) -> None:
        self._is_on = False
        self._seen: Counter[_Key] = Counter()
        self._told: Counter[tuple[str, str]] = Counter()  # lines, by level and event
        self.held_back = 0  # lines since the start

    def begin(self) -> None:
        """Hold back from now on; `tell` must be called at the end of each interval."""
        self._is_on = True

    def end(self) -> None:
        """Tell what was held back, and hold back no more."""
        self._is_on = False
        self.tell()

    def tell(self) -> None:
        """Log what was held back in the interval that is over."""
        seen, self._seen = self._seen, Counter()
        self._told.clear()
        for (level, event, facts), count in seen.items():
            if count > ALLOWED:
                log.log(
                    _NUMBERS[level],
                    "repeated",
                    of=event,
                    count=count - ALLOWED,
                    seconds=EVERY,
                    **dict(facts),
                )

    def __call__(self, _: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
        """Pass a line on; structlog's processor.

        Raises:
            DropEvent: It is held back.
        """
        if not self._is_on or is_always_told(event_dict):
            return event_dict
        key = self._key(event_dict)
        self._seen[key] += 1
        if self._seen[key] > ALLOWED:
            self.held_back += 1
            raise structlog.DropEvent
        self._told[key[:2]] += 1
        return event_dict

    def _key(self, line: EventDict) -> _Key:
        level, event = line["level"], str(line["event"])
        if self._told[level, event] >= OF_ONE_EVENT:  # a process says its name itself
            return level, event, ()
        facts = tuple((name, str(line[name])) for name in ALIKE_BY if name in line)
        if (level, event, facts) in self._seen or len(self._seen) < MOST:
            return level, event, facts
        return level, event, ()


def is_always_told(line: Mapping[str, Any]) -> bool:
    """Whether a line is never held back: a success of a user's, or an end that matters."""
    return line.get("outcome") == "accepted" or line.get("event") in ALWAYS_TOLD


_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

repeats = Repeats()
