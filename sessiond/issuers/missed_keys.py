"""Which tokens of unknown keys are worth another fetch of the key set, and when."""

from collections import OrderedDict

from sessiond.clock import Clock

AT_ONCE = 4  # fetches in a row for tokens whose keys are unknown, and
EVERY = 5.0  # seconds after each of which there may be one more
ANSWERED_FOR = 10.0  # seconds: a key that was looked for in vain is not looked for again
MAX_ANSWERED = 256  # remembered at a time


class MissedKeys:
    """Bounds the fetches that strangers cause by tokens of keys which nobody has.

    What was missed goes by a digest: of the header that names it, or of a token that names none.

    Whichever token causes a fetch, it brings all keys that are new by then. So one who names new
    keys all the time can hide a real one for EVERY seconds at most, and cannot have the keys
    fetched more often than that.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at = 0.0  # monotonic: when AT_ONCE may be fetched again
        self._answered = OrderedDict[bytes, float]()  # what was missed, and until when that counts

    @property
    def pause(self) -> float:
        """Seconds until the next fetch may be made; 0: now."""
        return max(0.0, self._full_at - (AT_ONCE - 1) * EVERY - self._clock.monotonic())

    def spend(self) -> None:
        """Note that a fetch is made."""
        self._full_at = max(self._full_at, self._clock.monotonic()) + EVERY

    def note_answer(self, missed: bytes) -> None:
        """Note that the keys were fetched for this: if it is still missing, there is no such."""
        self._answered[missed] = self._clock.monotonic() + ANSWERED_FOR
        self._answered.move_to_end(missed)
        if len(self._answered) > MAX_ANSWERED:
            self._answered.popitem(last=False)

    def is_answered(self, missed: bytes) -> bool:
        """Say whether the keys were fetched for this a moment ago."""
        return self._answered.get(missed, 0.0) > self._clock.monotonic()
