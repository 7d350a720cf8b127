"""Logins over HTTP: what a browser or a bearer is known by from one request to the next."""

from datetime import datetime, timedelta

from msgspec import Struct

from sessiond.core.grant import TokenHash
from sessiond.core.rules import WebRules
from sessiond.core.session import SessionId

SIGN_IN_LASTS = timedelta(minutes=10)  # from a browser's being sent to its issuer


class WebLogin(Struct, frozen=True, gc=False):
    """What stands beside a session that has no handle."""

    session: SessionId
    cookie: TokenHash | None  # HMAC of the browser's cookie; None: it is known by its access token
    base: str  # the origin that the cookie was made for; empty without one
    made_at: datetime
    used_at: datetime  # or a little later: not every use is written

    def until(self, rules: WebRules) -> datetime:
        """Return when it ends, unless it is used before, or its lease ends."""
        return min(self.used_at + rules.idle, self.made_at + rules.session)


class UsedState(Struct, frozen=True, gc=False):
    """The trace of a sign-in that has made its session: no other comes of it."""

    hash: TokenHash  # of the OAuth `state` (RFC 6749, 4.1.1)
    keep_until: datetime  # after this no sign-in could be completed with it
