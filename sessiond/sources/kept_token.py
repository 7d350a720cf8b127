"""A token in memory: for how long it is given, and when the next is fetched."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sessiond.core.claims import times_of
from sessiond.core.errors import TokenRejected, UnusableAnswer
from sessiond.core.password import stated_claims
from sessiond.core.secret import Secret
from sessiond.refresher.refresh_issuer import Tokens

LIFE = 300.0  # seconds, where neither the issuer nor the token says
LONGEST = 86_400.0  # seconds: whatever is stated, another is fetched within a day
AHEAD = 0.9  # of the time for which it is given: then the next is fetched, if anybody asks
KIND = "Bearer"  # the one token_type that is taken (RFC 6750)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptToken:
    """One access token, from when it was asked for until its end."""

    token: Secret
    asked_at: float  # monotonic: its life is counted from here, as the issuer cannot count later
    life: float  # seconds
    expires_at: datetime  # aware, UTC
    kind: str = KIND

    def given_for(self, min_validity: float) -> float:
        """Return the seconds for which it has as much left as whoever asks is to have at least.

        That is half its life where that is shorter: else a short-lived one was never given.
        """
        return self.life - min(min_validity, self.life / 2)


def kept(tokens: Tokens, *, asked_at: float, now: datetime, monotonic: float) -> KeptToken:
    """Return what an answer has brought.

    Args:
        tokens: The answer.
        asked_at: The moment of monotonic time at which it was asked for.
        now: The wall time of the answer.
        monotonic: The same in monotonic time.

    Raises:
        UnusableAnswer: The token is over already.
    """
    life = _life(tokens, now=now, took=monotonic - asked_at)
    left = life - (monotonic - asked_at)
    if left <= 0:
        raise UnusableAnswer(
            f"the token's life is {life:.0f} s, wanted one that is good still: see the issuer, and "
            "the clocks"
        )
    return KeptToken(
        token=Secret(tokens.access_token.reveal()),  # by itself: what it states is large
        asked_at=asked_at,
        life=life,
        expires_at=now + timedelta(seconds=left),
    )


def _life(tokens: Tokens, *, now: datetime, took: float) -> float:
    """Return the seconds from the question on, as the issuer says them, or else the token itself.

    What a JWT states of its end is not verified: who would mislead us by it has given it to us.
    """
    if tokens.expires_in is not None:
        return min(tokens.expires_in, LONGEST)
    try:
        ends_at = times_of(stated_claims(tokens.access_token) or {}).expires_at
    except TokenRejected:
        ends_at = None
    return LIFE if ends_at is None else min((ends_at - now).total_seconds() + took, LONGEST)
