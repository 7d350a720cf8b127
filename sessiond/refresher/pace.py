"""How often one issuer is sent refresh tokens, and when it wants none."""

from collections import OrderedDict
from datetime import datetime, timedelta

from sessiond.core.backoff import pause_after
from sessiond.core.grant import Grant

FIRST_RETRY = 2.0  # seconds; doubled for each failure up to
LONGEST_RETRY = 60.0
FREE = 4  # refusals of one subject's unproved refresh tokens in a row that slow nothing down
FIRST_PAUSE = 10.0  # seconds after them; doubled for each further one up to
LONGEST_PAUSE = 600.0
FORGOTTEN_AFTER = timedelta(minutes=30)  # without a further one
MAX_SUBJECTS = 10_000  # of whom is known that they were refused


def retry_in(failures: int, draw: float) -> float:
    """Return the seconds until the next try after so many failures before this one.

    Args:
        failures: From 0.
        draw: Uniform in [0, 1): moves it by a quarter either way.
    """
    pause = pause_after(failures + 1, first=FIRST_RETRY, longest=LONGEST_RETRY)
    return pause * (0.75 + draw / 2)


class Pace:
    """Obeys what an issuer asks for, and slows down whose refresh tokens it refuses.

    An issuer counts bad refresh tokens, and soon answers nobody. So whoever brings them is slowed
    down before it does, and what it says of unproved ones holds up nothing that is proved.
    """

    def __init__(self) -> None:
        self._closed_until: datetime | None = None
        self._unproved_until: datetime | None = None  # closed to unproved ones alone
        self._refused: OrderedDict[str, tuple[int, datetime]] = OrderedDict()  # by subject

    def close(self, grant: Grant, until: datetime) -> None:
        """Send nothing like the grant's refresh token until then: so the issuer has said."""
        if grant.is_unproved:
            self._unproved_until = until
        else:
            self._closed_until = until

    def not_before(self, grant: Grant, now: datetime) -> datetime | None:
        """Return when the grant's refresh token may be sent; None: now."""
        moments = [self._closed_until]
        if grant.is_unproved:
            moments += [self._unproved_until, self._slowed_until(grant.subject)]
        later = [each for each in moments if each is not None and each > now]
        return max(later, default=None)

    def note_refusal(self, grant: Grant, now: datetime) -> None:
        """Count it against the subject, unless it was proved; in half an hour it is forgotten."""
        if not grant.is_unproved:
            return
        count, last = self._refused.pop(grant.subject, (0, now))
        self._refused[grant.subject] = (1 if now - last > FORGOTTEN_AFTER else count + 1, now)
        if len(self._refused) > MAX_SUBJECTS:
            self._refused.popitem(last=False)

    def note_proof(self, grant: Grant) -> None:
        """Forget the subject's refusals: what it brings is good."""
        self._refused.pop(grant.subject, None)

    def _slowed_until(self, subject: str) -> datetime | None:
        if subject not in self._refused:
            return None
        count, last = self._refused[subject]
        if count < FREE:
            return None
        pause = pause_after(count - FREE + 1, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        return last + timedelta(seconds=pause)
