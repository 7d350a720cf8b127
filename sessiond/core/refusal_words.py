"""Why the table refuses verified tokens, in words: for the log and for `explain`."""

from sessiond.core.access import Denied
from sessiond.core.errors import Refusal

WORDS = {
    Refusal.EXPIRED: "the lease is over, wanted one that lasts: sign in again",
    Refusal.REVOKED: "revoked here, or the session has ended, wanted a token issued since: sign in "
    "again, or lift it (sessionctl revoke --forgive)",
    Refusal.USERMISMATCH: "the name or one of the tokens belongs to another subject here, wanted "
    "all of one user: sign in as that one, or free the name (docs/operations.md)",
    Refusal.INACTIVE: "the issuer has refused one of these tokens before, wanted new ones: sign in "
    "again",
    Refusal.WRONGTYPE: "an access token stands in the place of the refresh token, or that in its, "
    "wanted ACCESS;REFRESH: present them in this order",
    Refusal.THROTTLED: "the process has login.max_sessions sessions, or this is the access token's "
    "fifth unproved refresh token, wanted fewer: close some or raise that, else sign in again",
    Refusal.WRONGISSUER: "the issuer was taken out of the configuration meanwhile, wanted one that "
    "is there: sign in at another",
    Refusal.UNAVAILABLE: "the issuer's configuration changed meanwhile, wanted a verdict by the "
    "new one: try again",
    Refusal.WRONGAUDIENCE: "nothing proves that the token was issued to our client, wanted a "
    "refresh token beside it (prove_by_refresh): present ACCESS;REFRESH",
}


def denied(refusal: Refusal) -> Denied:
    """Return the refusal with its words, of whichever needs no more than what the rows say."""
    return Denied(reason=refusal, detail=WORDS[refusal])
