"""What a token says of itself, where its issuer is asked whether it is good.

The issuer vouches for the token as it stands, so its own `exp` and `iat` count; and what would
make it wrong by its own word makes it wrong, though nothing it says makes it right.
"""

import secrets

from sessiond.core.claim_values import Claims
from sessiond.core.claims import Times, times_of
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import is_sendable, stated_claims
from sessiond.core.secret import Secret

_TOO_LARGE = frozenset({413, 414, 431})  # RFC 9110, 15.5.14 and 15.5.15; RFC 6585, 5


def sendable(token: Secret) -> str:
    """Return the text to send to the issuer.

    Raises:
        TokenRejected: MALFORMED: no header or form field can carry it.
    """
    text = token.reveal()
    if not is_sendable(text):
        raise TokenRejected(
            Refusal.MALFORMED,
            "it has characters that no token has, wanted printable ASCII without blanks, at most "
            "32768: present the access token as the issuer gave it",
        )
    return text


def made_up_token() -> Secret:
    """Return a token that no issuer has issued, to ask whether the issuer answers."""
    return Secret(secrets.token_urlsafe(32))


def own_claims(token: Secret) -> Claims:
    """Return what a JWT-shaped token states, unverified; nothing for an opaque one."""
    return stated_claims(token) or {}


def own_times(claims: Claims) -> Times:
    """Return the dates the token states, but for `nbf`, which the issuer has judged."""
    times = times_of(claims)
    return Times(expires_at=times.expires_at, issued_at=times.issued_at)


def refuse_too_large(status: int) -> None:
    """Refuse a token for the size of which the issuer does not read the request.

    Raises:
        TokenRejected: TOOLARGE.
    """
    if status in _TOO_LARGE:
        raise TokenRejected(
            Refusal.TOOLARGE,
            f"the issuer answered {status}, wanted a token of a size that it takes: have fewer "
            "claims put into it",
        )
