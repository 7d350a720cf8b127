"""What a ticket says: its claims (RFC 7519), no more and no fewer than these."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Struct

from sessiond.core.session import SessionId
from sessiond.core.ticket import TicketId

ALGORITHM = "EdDSA"  # RFC 8037: with a key of the curve Ed25519
TYPE = "sessiond-ticket+jwt"  # RFC 8725, 3.11: no other JWT has it, so none is taken for a ticket

_TEXTS = ("iss", "sub", "name", "aud", "jti")
_MOMENTS = ("iat", "exp")
_ALWAYS = frozenset({*_TEXTS, *_MOMENTS})
_WHOSE = ("sid", "verdict")  # one of them


class TicketClaims(Struct, frozen=True, kw_only=True):
    """A ticket's claims. It stands for a session, or for a token that was shown: never for both."""

    iss: str  # this daemon
    sub: str  # the user's, at his issuer
    name: str  # what the user is called, and types with the ticket
    aud: str  # as it was asked for: NAME or NAME@HOST
    jti: TicketId
    iat: int  # seconds, Unix
    exp: int
    sid: SessionId | None = None  # the parent
    verdict: str | None = None  # of the token that was shown, sealed

    @property
    def expires_at(self) -> datetime:
        """When it ends."""
        return datetime.fromtimestamp(self.exp, UTC)

    def members(self) -> dict[str, str | int]:
        """Return them as they are signed."""
        members: dict[str, str | int] = {
            "iss": self.iss,
            "sub": self.sub,
            "name": self.name,
            "aud": self.aud,
            "jti": str(self.jti),
            "iat": self.iat,
            "exp": self.exp,
        }
        if self.sid is not None:
            members["sid"] = str(self.sid)
        if self.verdict is not None:
            members["verdict"] = self.verdict
        return members


def claims_of(members: Mapping[str, object]) -> TicketClaims | None:
    """Return what a signed payload says; None: it is no ticket's."""
    whose = [name for name in _WHOSE if name in members]
    if len(whose) != 1 or members.keys() != _ALWAYS | {*whose}:
        return None
    if not all(isinstance(members[name], str) for name in (*_TEXTS, *whose)):
        return None
    if any(type(members[name]) is not int for name in _MOMENTS):
        return None
    given = dict(members)
    for name in ("jti", "sid"):
        if name in given:
            given[name] = _uuid(str(given[name]))
            if given[name] is None:
                return None
    return TicketClaims(**given)  # type: ignore[arg-type]  # each was looked at


def _uuid(text: str) -> UUID | None:
    """Return the id that is written so and not otherwise."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
