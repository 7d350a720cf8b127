"""Why the table refuses verified tokens, in words: for the log and for `explain`."""

from sessiond.core.errors import Refusal

_WHY = {
    Refusal.EXPIRED: "the lease is over",
    Refusal.REVOKED: "revoked here; a token issued later is let in, or forgive the revocation",
    Refusal.USERMISMATCH: "the name or one of the tokens belongs to another subject here",
    Refusal.INACTIVE: "the issuer has refused one of these tokens before",
    Refusal.WRONGTYPE: "an access token stands in the place of the refresh token, or that in its",
    Refusal.THROTTLED: "the process has login.max_sessions sessions already,"
    " or this is the access token's fifth unproved refresh token",
}


def why(refusal: Refusal) -> str:
    """Return the words; what has none of its own is refused all the same."""
    return _WHY.get(refusal, "the table refuses it")
