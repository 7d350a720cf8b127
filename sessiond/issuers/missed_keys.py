"""Which tokens of unknown keys are worth another fetch of the key set, and when."""

from collections import OrderedDict

from sessiond.clock import Clock

AT_ONCE = 4  # fetches in a row for tokens whose keys are unknown, and
EVERY = 5.0  # seconds after each of which there may be one more
ANSWERED_FOR = 10.0  # seconds: a key that was looked for in vain is not looked for again
MAX_ANSWERED = 256  # headers, of at most 2 KiB, remembered at a time


class MissedKeys:
    """Bounds the fetches that strangers cause by naming keys which nobody has.

    Whichever token causes a fetch, it brings all keys that are new by then. So one who names new
    keys all the time can hide a real one for EVERY seconds at most, and cannot have the keys
    fetched more often than that.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at = 0.0  # monotonic: when AT_ONCE may be fetched again
        self._answered = OrderedDict[str, float]()  # headers, and until when that counts

    @property
    def pause(self) -> float:
        """Seconds until the next fetch may be made; 0: now."""
        return max(0.0, self._full_at - (AT_ONCE - 1) * EVERY - self._clock.monotonic())

    def spend(self) -> None:
        """Note that a fetch is made."""
        self._full_at = max(self._full_at, self._clock.monotonic()) + EVERY

    def note_answer(self, header: str) -> None:
        """Note that the keys were fetched for tokens of this header: what is missing, is not."""
        self._answered[header] = self._clock.monotonic() + ANSWERED_FOR
        self._answered.move_to_end(header)
        if len(self._answered) > MAX_ANSWERED:
            self._answered.popitem(last=False)

    def is_answered(self, header: str) -> bool:
        """Say whether the keys were fetched for this header a moment ago."""
        return self._answered.get(header, 0.0) > self._clock.monotonic()
