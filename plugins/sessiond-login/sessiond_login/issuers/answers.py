"""What a token endpoint answers (RFC 6749, 5), and what an issuer's refusals mean to us."""

from collections.abc import Mapping
from dataclasses import dataclass

from sessiond_login.errors import IssuerUnavailable, LoginError, NotSignedIn, ProfileRefused
from sessiond_login.issuers.http import Reply
from sessiond_login.issuers.words import said
from sessiond_login.secret import Secret

MAX_TOKEN_SIZE = 131_072  # characters
MAX_LASTS = 366 * 86400.0  # seconds; longer is no longer than this
_TOKENS = ("access_token", "refresh_token", "id_token")

# The grant has ended, and whoever goes on signs in again: RFC 6749, 5.2; RFC 6750, 3.1 (UAA);
# OpenID Connect Core, 3.1.2.6; Auth0's mfa_required; Okta's access_denied.
ENDED = frozenset(
    {
        "invalid_grant", "invalid_token", "interaction_required", "login_required",
        "account_selection_required", "consent_required", "mfa_required", "access_denied",
    }
)  # fmt: skip
# What a gateway before the issuer says with 403, having seen no token (RFC 6750, 3.1).
_GUARDS = ("access_denied", "invalid_token")

# What the issuer does by an error, and what to do then (RFC 6749, 4.1.2.1 and 5.2; RFC 8628, 3.5;
# RFC 8707, 2).
_REGISTER = ("does not know the redirect URI", "register http://localhost, with any port")
_FLOW = ("does not offer this flow", "see the profile's flow")
_OF_THE_PROFILE = {
    "invalid_client": (
        "does not take this client",
        "see the profile's client_id, and that it is a public client",
    ),
    "unauthorized_client": (
        "does not let this client sign people in so",
        "see the client's registration, and the profile's flow",
    ),
    "invalid_scope": ("does not give this client a scope", "see the profile's scopes"),
    "redirect_uri_mismatch": _REGISTER,
    "invalid_redirect_uri": _REGISTER,
    "invalid_target": (
        "does not know the resource",
        "see the profile's resource, audience and scopes",
    ),
    "unsupported_grant_type": _FLOW,
    "unsupported_response_type": _FLOW,
    "invalid_request": (
        "does not take the request",
        "see the profile against the client's registration",
    ),
}
_OF_THE_ISSUER = {
    "server_error": ("is in trouble", "try again later"),
    "temporarily_unavailable": ("is too busy", "try again later"),
}
_OF_THE_PERSON = {
    "access_denied": ("did not let you in, or you said no", "sign in again, or ask who runs it"),
    "expired_token": ("had the code for too long", "sign in again"),
    "invalid_grant": ("did not take the sign-in", "sign in again"),
}


class Refused(Exception):  # noqa: N818 -- named by what happened
    """The issuer said no, by an error of OAuth's; what that means depends on what was asked."""

    def __init__(self, error: object, description: object = "") -> None:
        """Keep what may be read by people: the issuer's text may hold anything."""
        self.error = said(error)
        self.description = said(description)
        super().__init__(self.error)

    def reaction(self) -> LoginError:
        """Return what the person is to be told."""
        words = f"{self.error}: {self.description}" if self.description else self.error
        for kind, meanings in (
            (ProfileRefused, _OF_THE_PROFILE),
            (IssuerUnavailable, _OF_THE_ISSUER),
            (NotSignedIn, _OF_THE_PERSON),
        ):
            if self.error in meanings:
                does, then = meanings[self.error]
                return kind(f"the issuer {does} ({words}): {then}")
        return NotSignedIn(f"the issuer did not agree ({words}): sign in again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The tokens of one answer. Nothing of what they say has been checked."""

    access: Secret
    refresh: Secret | None
    id_token: Secret | None
    lasts: float | None  # seconds


def judged(reply: Reply) -> dict[str, str | float]:
    """Return what may be read of a token endpoint's answer, for a library that reads it next.

    Raises:
        Refused: The issuer said no.
        IssuerUnavailable: It said nothing of use.
    """
    members = reply.members()
    if members is None or reply.status == 429 or reply.status >= 500:
        raise reply.unusable("tokens")
    if "error" in members and not (reply.is_success and "access_token" in members):
        if reply.status == 403 and members["error"] in _GUARDS:
            raise reply.unusable("tokens")
        raise Refused(members["error"], members.get("error_description"))
    if not reply.is_success:
        raise reply.unusable("tokens")
    if not _is_token(members.get("access_token")) or not _is_bearer(members.get("token_type")):
        raise IssuerUnavailable(
            f"{reply.host} answered without a bearer token (token_type "
            f"{said(members.get('token_type')) or 'none'}), wanted one: see the profile's "
            "issuer"
        )
    read: dict[str, str | float] = {"token_type": "Bearer"}
    read |= {name: str(members[name]) for name in _TOKENS if _is_token(members.get(name))}
    lasts = _seconds(members.get("expires_in"))
    if lasts is not None:
        read["expires_in"] = lasts
    return read


def answer_of(members: Mapping[str, object]) -> Answer:
    """Return the tokens among members that have been `judged`, as a library hands them on."""
    found = {name: Secret(str(members[name])) for name in _TOKENS if members.get(name)}
    return Answer(
        access=found["access_token"],
        refresh=found.get("refresh_token"),
        id_token=found.get("id_token"),
        lasts=_seconds(members.get("expires_in")),
    )


def _is_token(value: object) -> bool:
    """Say whether it is a text that can be a token: printable ASCII (RFC 6749, A.12 and A.17)."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_TOKEN_SIZE
        and value.isascii()
        and value.isprintable()
    )


def _is_bearer(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.lower() == "bearer")


def _seconds(value: object) -> float | None:
    """Return a lifetime; None where none is told. Some issuers write it as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = float(value[:9])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(value, MAX_LASTS)) if value > 0 else None  # JSON has no NaN, and any integer
