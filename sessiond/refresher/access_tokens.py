"""Access tokens in memory, for those who hand them on to their issuer: never on disk."""

from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple

from sessiond.core.grant import GrantId
from sessiond.core.secret import Secret

LOOKS = 2  # of the oldest, each time that one is kept: so what nobody drops goes all the same


class _Kept(NamedTuple):
    access: Secret
    until: datetime


class AccessTokens:
    """The newest access token of each grant, until it ends or the grant is dropped."""

    def __init__(self) -> None:
        self._kept = OrderedDict[GrantId, _Kept]()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, grant: GrantId, access: Secret, *, until: datetime, now: datetime) -> None:
        """Keep one, unless there is one that lasts longer."""
        before = self._kept.get(grant)
        if before is None or before.until <= until:
            # A copy by itself: what a token that was verified states is large.
            self._kept[grant] = _Kept(Secret(access.reveal()), until)
        for _ in range(min(LOOKS, len(self._kept))):
            oldest, kept = next(iter(self._kept.items()))
            if kept.until > now:
                self._kept.move_to_end(oldest)
            else:
                del self._kept[oldest]

    def find(self, grant: GrantId, *, now: datetime) -> Secret | None:
        """Return a grant's, if it is good still."""
        kept = self._kept.get(grant)
        return None if kept is None or kept.until <= now else kept.access

    def drop(self, grant: GrantId) -> None:
        """Let go of a grant's."""
        self._kept.pop(grant, None)

    def clear(self) -> None:
        """Let go of all."""
        self._kept.clear()
