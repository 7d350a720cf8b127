"""What is held of one token: in memory, or why it is not. Moments are of monotonic time."""

import math
from dataclasses import dataclass, replace

from sessiond.core.backoff import pause_after
from sessiond.sources.answer import Answer, NotGiven, Reason
from sessiond.sources.kept_token import AHEAD, KeptToken

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds after an answer of no use
SHORTEST_AHEAD = 1.0  # seconds between two tries ahead of time


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an issuer that has refused is left alone, in seconds: doubled each time."""

    first: float = 10.0
    longest: float = 600.0


@dataclass(slots=True, eq=False)
class Holding:
    """The state of one token. It decides, and asks nobody."""

    min_validity: float  # seconds
    patience: Patience
    token: KeptToken | None = None
    is_waited_for: bool = False  # the next, by somebody
    was_asked: bool = False  # for this token, since it is here
    ahead_at: float = math.inf  # when to fetch the next, if this one was asked for
    _failed: NotGiven | None = None
    _failures: int = 0  # in a row
    _not_before: float = -math.inf

    def answer(self, now: float) -> Answer | None:
        """Return what is known without asking anybody; None: the issuer is to be asked."""
        if self.token is not None and self.is_given(now):
            self.was_asked = True
            return self.token
        if self._failed is not None and now < self._not_before:
            return replace(self._failed, retry_after=self._not_before - now)
        return None

    def is_given(self, now: float) -> bool:
        """Say whether there is a token that is good for long enough."""
        return now < self._given_until()

    def take(self, token: KeptToken) -> None:
        """Hold what was fetched."""
        self.token, self._failed, self._failures = token, None, 0
        self.was_asked, self.is_waited_for = self.is_waited_for, False
        self.ahead_at = token.asked_at + AHEAD * token.given_for(self.min_validity)

    def fail(self, why: NotGiven, now: float, *, is_of_no_use: bool) -> None:
        """Note why nothing was, and for how long nobody is to be asked again.

        What is held is given on; ahead of time the next is tried once more halfway to its end.

        Args:
            why: What is told meanwhile; obeyed where it says for how long.
            now: The moment.
            is_of_no_use: It answered, with nothing. One that did not answer at all is the
                breaker's to leave alone.
        """
        self._failures += 1
        self.is_waited_for = False
        pause = why.retry_after
        if why.reason is Reason.REFUSED:
            first, longest = self.patience.first, self.patience.longest
            pause = max(pause, pause_after(self._failures, first=first, longest=longest))
        elif is_of_no_use:
            least = pause_after(self._failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
            pause = max(pause, least)
        self._failed, self._not_before = why, now + pause
        self.ahead_at = max(now + SHORTEST_AHEAD, self._not_before, (now + self._given_until()) / 2)

    def forget(self) -> None:
        """Begin anew: asking brings another by now."""
        self.token, self._failed, self._failures = None, None, 0
        self.ahead_at = math.inf

    def is_due_ahead(self, now: float) -> bool:
        """Say whether to fetch the next although this one is still given."""
        return self.was_asked and self.ahead_at <= now < self._given_until()

    def _given_until(self) -> float:
        """Return the moment from which what is held is given no more."""
        token = self.token
        return -math.inf if token is None else token.asked_at + token.given_for(self.min_validity)
