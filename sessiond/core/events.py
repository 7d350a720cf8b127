"""What has happened: a closed union, each with the kind that subscribers know it by."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from sessiond.core.access import Because
from sessiond.core.session import ProcessAbout


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who asked on the control socket, as the kernel and the host's user list say."""

    uid: int
    name: str  # empty: the host knows none for this number


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
    parent: UUID | None = None  # the session that let it in, and that it ends with


class _RolesEvent(_SessionEvent, frozen=True, kw_only=True):
    """What says why a session has its roles."""

    because: Because = Because()  # empty in events of versions that did not say it
    configuration: str = ""  # SHA-256 of the configuration file that it was judged by, hexadecimal


class SessionOpened(_RolesEvent, frozen=True, tag="session.opened"):
    """The process has told the handle of an accepted login, or there is none: it is over HTTP."""


class SessionRefreshed(_SessionEvent, frozen=True, tag="session.refreshed"):
    """sessiond got the next access token: the session lasts until `expires_at`."""


class SessionRenewed(_SessionEvent, frozen=True, tag="session.renewed"):
    """The user brought a fresh token: the session lasts until `expires_at`."""


class SessionRolesChanged(_RolesEvent, frozen=True, tag="session.roles"):
    """A newer token, a role source or another configuration gives other roles."""


class SessionRevoked(_SessionEvent, frozen=True, kw_only=True, tag="session.revoked"):
    """Taken back early, by the issuer or an operator, for `reason`; or with its `parent`."""

    detail: str = ""  # the operator's words, where the reason is `operator`


class SessionExpired(_SessionEvent, frozen=True, tag="session.expired"):
    """Its access token ran out; or it was over HTTP and lasted long enough, or was `idle`."""


class SessionClosed(_SessionEvent, frozen=True, tag="session.closed"):
    """The user left, or the process did; `reason` is disconnect, signout, replaced or lost."""


class LoginRefused(_Event, frozen=True, kw_only=True, tag="login.refused"):
    """`count` like logins were refused since the last such event."""

    reason: str
    count: int


class SourceIssued(_Event, frozen=True, kw_only=True, tag="source.issued"):
    """`count` tokens for a data source were given to `process`, or on the control socket to `by`.

    `session`, `user` and `issuer` are on whose behalf, where it was on somebody's.
    """

    source: str
    by: Operator | None = None  # null: a process asked
    count: int = 1


class _OperatorEvent(_Event, frozen=True, kw_only=True):
    """What somebody had done. It comes before the ends of sessions that it leads to.

    `user`, `issuer`, `session` and `process` are what it covers, where it covers one of that kind.
    """

    by: Operator | None  # null: whoever may send the daemon a signal
    reason: str = ""  # the operator's words; empty where none were asked for
    scope: str  # what it covers: session, process, user, issuer, all, configuration, source
    value: str = ""  # which one; empty for all
    count: int = 0  # live sessions that it ends


class OperatorRevoked(_OperatorEvent, frozen=True, tag="operator.revoked"):
    """Access was taken back: by user, issuer and all lastingly, else what was live."""


class OperatorForgave(_OperatorEvent, frozen=True, tag="operator.forgave"):
    """A lasting revocation was lifted."""


class OperatorForgot(_OperatorEvent, frozen=True, tag="operator.forgot"):
    """A user name belongs to nobody now."""


class OperatorReloaded(_OperatorEvent, frozen=True, kw_only=True, tag="operator.reloaded"):
    """Another configuration counts; `value` is its generation's number."""

    configuration: str = ""  # SHA-256 of its file, hexadecimal; empty: not known


class OperatorAuthorized(_OperatorEvent, frozen=True, tag="operator.authorized"):
    """A data source got a refresh token; `value` is its name."""


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
OperatorEvent = (
    OperatorRevoked | OperatorForgave | OperatorForgot | OperatorReloaded | OperatorAuthorized
)
Event = SessionEvent | LoginRefused | SourceIssued | OperatorEvent | Gap

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def to_json(event: Event) -> bytes:
    """Return the event as the JSON object that the outbox and the event stream hold."""
    return _encoder.encode(event)


def from_json(text: bytes) -> Event:
    """Return the event that `to_json` wrote."""
    event: Event = _decoder.decode(text)
    return event
