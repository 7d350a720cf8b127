"""Verdicts to be used again, for as long as they certainly stand."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sessiond.core.errors import TokenRejected
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Key:
    """What a verdict is about. The token itself is not kept."""

    token: bytes  # SHA-256
    user: str  # folded
    issuer: str
    generation: int  # of the issuer's configuration

    @classmethod
    def of(cls, token: Secret, *, user: str, issuer: str, generation: int = 0) -> "Key":
        return cls(hashlib.sha256(token.reveal().encode()).digest(), user, issuer, generation)


@dataclass(frozen=True, slots=True)
class _Kept:
    outcome: Verdict | TokenRejected
    until: float  # monotonic


class VerdictCache:
    """Holds so many at most, the oldest dropped first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def keep(self, key: Key, outcome: Verdict | TokenRejected, *, until: float) -> None:
        """Keep an outcome until a moment of monotonic time."""
        self._kept[key] = _Kept(outcome, until)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def find(self, key: Key, *, monotonic: float, now: datetime) -> Verdict | TokenRejected | None:
        """Return what is kept and still good: nothing outlives its token."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        over = isinstance(kept.outcome, Verdict) and kept.outcome.lease.expires_at <= now
        if over or kept.until <= monotonic:
            del self._kept[key]
            return None
        return kept.outcome

    def drop(self, key: Key) -> None:
        """Forget one verdict: the key that signed its token was withdrawn."""
        self._kept.pop(key, None)

    def keep_only(self, generations: Mapping[str, int]) -> None:
        """Forget what was verified by issuers, or ways to ask them, that are gone."""
        for key in [each for each in self._kept if generations.get(each.issuer) != each.generation]:
            del self._kept[key]

    def clear(self) -> None:
        """Forget all: something was revoked."""
        self._kept.clear()
