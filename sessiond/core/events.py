"""What has happened: a closed union, each with the kind that subscribers know it by."""

from datetime import datetime
from uuid import UUID

import msgspec

from sessiond.core.session import ProcessAbout


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """The members that every event has."""

    sequence: int = 0  # increasing, never reused; given when it is committed
    at: datetime  # aware, UTC
    session: UUID | None = None
    user: str = ""
    issuer: str = ""
    process: ProcessAbout | None = None
    handle: int = 0

    @property
    def kind(self) -> str:
        """The name subscribers know it by, such as `session.opened`."""
        return str(self.__struct_config__.tag)


class _SessionEvent(_Event, frozen=True, kw_only=True):
    """What a session was when it happened."""

    roles: tuple[str, ...] = ()
    expires_at: datetime | None = None
    reason: str = ""


class SessionOpened(_SessionEvent, frozen=True, tag="session.opened"):
    """The process has told the handle of an accepted login."""


class SessionRefreshed(_SessionEvent, frozen=True, tag="session.refreshed"):
    """sessiond got the next access token: the session lasts until `expires_at`."""


class SessionRenewed(_SessionEvent, frozen=True, tag="session.renewed"):
    """The user brought a fresh token: the session lasts until `expires_at`."""


class SessionRolesChanged(_SessionEvent, frozen=True, tag="session.roles"):
    """A newer token gives other roles."""


class SessionRevoked(_SessionEvent, frozen=True, tag="session.revoked"):
    """Taken back early, by the issuer or an operator, for `reason`."""


class SessionExpired(_SessionEvent, frozen=True, tag="session.expired"):
    """Its access token ran out."""


class SessionClosed(_SessionEvent, frozen=True, tag="session.closed"):
    """The user left, or the process did; `reason` is disconnect, replaced or lost."""


class LoginRefused(_Event, frozen=True, kw_only=True, tag="login.refused"):
    """`count` like logins were refused since the last such event."""

    reason: str
    count: int


class Gap(_Event, frozen=True, kw_only=True, tag="gap"):
    """Events after `after` and before `before` are no longer kept: this subscriber missed them."""

    after: int
    before: int


SessionEvent = (
    SessionOpened
    | SessionRefreshed
    | SessionRenewed
    | SessionRolesChanged
    | SessionRevoked
    | SessionExpired
    | SessionClosed
)
Event = SessionEvent | LoginRefused | Gap

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def to_json(event: Event) -> bytes:
    """Return the event as the JSON object that the outbox and the event stream hold."""
    return _encoder.encode(event)


def from_json(text: bytes) -> Event:
    """Return the event that `to_json` wrote."""
    event: Event = _decoder.decode(text)
    return event
