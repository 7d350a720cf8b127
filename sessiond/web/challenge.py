"""What a bearer is told who is not let in (RFC 6750, 3; RFC 9470, 3). Nothing he sent is in it."""

import re
from dataclasses import dataclass

from sessiond.core.access import Ceiling
from sessiond.core.errors import Refusal
from sessiond.web.answer import Answer, retry_after, sent

_QUOTED = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")  # RFC 9110, 5.6.4, without escapes
_ACR = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # one of several, set apart by spaces


@dataclass(frozen=True, slots=True)
class _Kind:
    status: int
    error: str  # of RFC 6750 or RFC 9470; empty: the token is not to blame
    words: str


_INVALID, _SCOPE = "invalid_token", "insufficient_scope"
_KINDS = {
    Refusal.NOTTOKEN: _Kind(401, _INVALID, "this is no access token"),
    Refusal.MALFORMED: _Kind(401, _INVALID, "the access token is not in order"),
    Refusal.BADSIGNATURE: _Kind(401, _INVALID, "the signature does not fit"),
    Refusal.WRONGTYPE: _Kind(401, _INVALID, "this is not the access token of a person"),
    Refusal.EXPIRED: _Kind(401, _INVALID, "the access token is over"),
    Refusal.NOTYET: _Kind(401, _INVALID, "the access token is not good yet"),
    Refusal.INACTIVE: _Kind(401, _INVALID, "the issuer does not vouch for the access token"),
    Refusal.WRONGISSUER: _Kind(401, _INVALID, "no such issuer is known here for this user"),
    Refusal.WRONGAUDIENCE: _Kind(401, _INVALID, "the access token is for somebody else"),
    Refusal.WRONGSCOPE: _Kind(403, _SCOPE, "the access token lacks the scope for a login"),
    Refusal.USERMISMATCH: _Kind(401, _INVALID, "the name belongs to another user here"),
    Refusal.NOROLES: _Kind(403, _SCOPE, "the user has no role here"),
    Refusal.NOTALLOWED: _Kind(403, _SCOPE, "the user may not log in here"),
    Refusal.STEPUP: _Kind(
        401, "insufficient_user_authentication", "sign in again, or in a stronger way"
    ),
    Refusal.REVOKED: _Kind(401, _INVALID, "the access token was revoked"),
    Refusal.UNAVAILABLE: _Kind(503, "", "no verdict now, try again"),
    Refusal.THROTTLED: _Kind(429, "", "too many at once, try again"),
    Refusal.TOOLARGE: _Kind(401, _INVALID, "the access token is too large"),
    Refusal.DEADLINE: _Kind(503, "", "no verdict in time, try again"),
}


def bearer_denied(reason: Refusal, ceiling: Ceiling | None = None) -> Answer:
    """Return the refusal of a bearer.

    Args:
        reason: Why.
        ceiling: What is asked of people at that process; told to whom it turns away.
    """
    kind = _KINDS[reason]
    if not kind.error:
        header = retry_after()
    else:
        parts = {"error": kind.error, "error_description": kind.words}
        if reason is Refusal.STEPUP and ceiling is not None:
            parts |= _stepped_up(ceiling)
        inner = ", ".join(f'{name}="{text}"' for name, text in parts.items())
        header = ("WWW-Authenticate", f"Bearer {inner}")
    return sent("deny", kind.status, header, body=f"{kind.words}\n", reason=reason.value)


def _stepped_up(ceiling: Ceiling) -> dict[str, str]:
    """Return what a client is to ask the issuer for; what no header can carry is left out."""
    wanted = {}
    acr = " ".join(filter(_ACR.fullmatch, ceiling.acr))
    if _QUOTED.fullmatch(acr):
        wanted["acr_values"] = acr
    if ceiling.max_age:
        wanted["max_age"] = str(int(ceiling.max_age.total_seconds()))
    return wanted
