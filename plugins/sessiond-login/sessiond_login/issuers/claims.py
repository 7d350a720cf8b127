"""Who an ID token, or an access token, says that the person is."""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping

import msgspec

from sessiond_login.errors import ProfileRefused
from sessiond_login.issuers.words import printable
from sessiond_login.secret import Secret

MOST_NAMES = 30  # of claims that a message lists
Claims = Mapping[str, object]

_NAME = re.compile(r"[\x20-\x7e]{1,256}")  # all that sessiond takes for a name


def claim_at(claims: Claims, name: str) -> object:
    """Return the claim of that name; None where there is none.

    A name that begins with a slash is a JSON Pointer (RFC 6901) to a member inside of objects, as
    sessiond reads it.
    """
    if not name.startswith("/"):
        return claims.get(name)
    value: object = claims
    for part in name[1:].split("/"):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part.replace("~1", "/").replace("~0", "~"))
    return value


def unverified_claims(token: Secret) -> Claims:
    """Return what a token says of itself, none where it is no JWT. Good for showing a name only."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = msgspec.json.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def name_in(claims: Claims, user_claim: str) -> str:
    """Return the name that a claim has; empty where it has none that can be typed."""
    value = claim_at(claims, user_claim)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # as Azure AD B2C has `emails`
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""


def user_of(user_claim: str, *, id_claims: Claims, access: Secret) -> str:
    """Return the name to type at q: of the ID token, else of the access token.

    Raises:
        ProfileRefused: Neither has one that can be typed; the message has names of claims, no
            values.
    """
    access_claims = unverified_claims(access)
    user = name_in(id_claims, user_claim) or name_in(access_claims, user_claim)
    if user:
        return user
    if claim_at(id_claims, user_claim) or claim_at(access_claims, user_claim):
        raise ProfileRefused(
            f"what the claim {printable(user_claim)} has cannot be typed as a name: sessiond and q "
            "take 1 to 256 printable ASCII characters. Have user_claim name another claim, as your "
            "administrator has it for sessiond"
        )
    names = sorted(printable(name)[:40] for name in {*id_claims, *access_claims})
    raise ProfileRefused(
        f"no name in the claim {printable(user_claim)} of the ID token or the access token, whose "
        f"claims are {', '.join(names[:MOST_NAMES]) or 'none'}: see the profile's user_claim and "
        "scopes"
    )
