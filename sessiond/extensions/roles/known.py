"""What a role source has said of each user, for while it is away."""

from dataclasses import dataclass
from datetime import datetime

from sessiond.clock import Clock
from sessiond.core.granted import Granted
from sessiond.core.principal import Principal
from sessiond.gate import KeptAnswers

MOST = 20_000  # users; of more, those asked about longest ago are forgotten


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source has said of one user, and until when that is news enough."""

    granted: Granted
    until: float  # monotonic


class KnownAnswers:
    """The source's last word on each user, unless that was a refusal or none at all."""

    def __init__(self, stale: float, clock: Clock) -> None:
        """Know nobody yet.

        Args:
            stale: Seconds that an answer may stand in after it was news enough; 0 = never.
            clock: For the ages of answers.
        """
        self._stale = stale
        self._clock = clock
        self._known = KeptAnswers[Principal, Answer](MOST)
        self.stood_in = 0
        self.last_stood_in_at: datetime | None = None

    def keep(self, principal: Principal, answer: Answer) -> None:
        """Know the source's newest word."""
        if self._stale:
            self._known.keep(principal, answer, until=answer.until + self._stale)

    def drop(self, principal: Principal) -> None:
        """Forget the user: what was said of him is not the last word any more."""
        self._known.drop(principal)

    def stand_in(self, principal: Principal) -> Answer | None:
        """Return what stands in while the source is away, and count it; None: nothing does."""
        found = self._known.find(principal, monotonic=self._clock.monotonic())
        if found is not None:
            self.stood_in += 1
            self.last_stood_in_at = self._clock.now()
        return found
