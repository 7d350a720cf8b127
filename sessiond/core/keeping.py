"""Changes of what is kept beside sessions: subscribers' places, keys, sources' grants, values."""

from dataclasses import dataclass

from sessiond.core.change import Change
from sessiond.core.events import Event
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import WriteAnswer
from sessiond.core.ticket import TicketKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepCursor(Change[None]):
    """A subscriber is done with every event up to this one. A place never moves back."""

    subscriber: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepDeadLetters(Change[bool]):
    """A subscriber refused these too often: keep them for later, and move its place past them.

    False: too many are set aside for it already. Nothing changed, so it waits at its place.
    """

    subscriber: str
    events: tuple[Event, ...]
    attempts: int
    error: str  # the last attempt's


@dataclass(frozen=True, slots=True, kw_only=True)
class DropDeadLetter(Change[bool]):
    """A set-aside event was received at last, or is not wanted any more. False: there is none."""

    subscriber: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetSubscriber(Change[bool]):
    """Drop a subscriber's place and what was set aside for it. False: nothing was kept."""

    subscriber: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepTicketKey(Change[None]):
    """Keep a key that tickets are signed with."""

    key: TicketKey
    secret: Secret  # the private half


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTicketKey(Change[None]):
    """No ticket is left that was signed with this key."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSourceGrant(Change[None]):
    """A source has a refresh token, by its configuration or an operator: use it from now on."""

    name: str
    client: str
    seed: TokenHash | None  # of the file's text that was seen last, and counts no more
    refresh_token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSourceRefresh(Change[SourceGrant | None]):
    """Record that the issuer is about to be asked. None: there is nothing to ask with."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSource(Change[bool]):
    """The issuer answered: keep its new refresh token before anybody uses the access token.

    False: another was kept since it was asked, or it is dropped.
    """

    name: str
    refresh_token: Secret | None  # None: the old one stays good


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseSource(Change[None]):
    """The issuer refused the refresh token that was sent: it never is again."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DropSourceGrant(Change[None]):
    """Keep nothing for a source any more."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteValue(Change[WriteAnswer]):
    """Keep a value in the place of the one before."""

    context: str
    name: str
    uid: int  # whose the context is, if this is its first value
    is_shared: bool  # also where it is another's
    value: Secret | None  # its bytes as Latin-1; None or empty: remove it
    max_contexts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NextEpoch(Change[int]):
    """Count one more, on disk; from 1."""

    name: str
