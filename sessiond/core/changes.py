"""What callers ask the table to change, each with the type of its answer."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sessiond.core.access import Denied
from sessiond.core.change import Change as Change
from sessiond.core.events import Event, Operator
from sessiond.core.grant import Grant, GrantId, TokenHash
from sessiond.core.keeping import BeginSourceRefresh as BeginSourceRefresh
from sessiond.core.keeping import DropDeadLetter as DropDeadLetter
from sessiond.core.keeping import DropSourceGrant as DropSourceGrant
from sessiond.core.keeping import DropTicketKey as DropTicketKey
from sessiond.core.keeping import ForgetSubscriber as ForgetSubscriber
from sessiond.core.keeping import KeepCursor as KeepCursor
from sessiond.core.keeping import KeepDeadLetters as KeepDeadLetters
from sessiond.core.keeping import KeepSourceGrant as KeepSourceGrant
from sessiond.core.keeping import KeepTicketKey as KeepTicketKey
from sessiond.core.keeping import NextEpoch as NextEpoch
from sessiond.core.keeping import RefuseSource as RefuseSource
from sessiond.core.keeping import RotateSource as RotateSource
from sessiond.core.keeping import WriteValue as WriteValue
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, ProcessAbout, ProcessKey, SessionId
from sessiond.core.ticket import Ticket, TicketId
from sessiond.core.verdict import PresentedTokens, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Change[ActiveSession | Denied]):
    """Let a verified login in. The caller picks both ids, so that it can withdraw the session."""

    session: SessionId
    grant: GrantId  # used when the tokens belong to no grant yet
    process: ProcessKey
    about: ProcessAbout
    typed: str  # the name, as the user typed it
    handle: int
    address: int
    presented: PresentedTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTicket(Change[ActiveSession | Denied]):
    """Let the bearer of a ticket in, once. Without `presented` its parent's session says who."""

    session: SessionId
    grant: GrantId  # used when what was presented belongs to no grant yet
    process: ProcessKey
    about: ProcessAbout
    typed: str  # the name, as the user typed it
    handle: int
    address: int
    ticket: Ticket
    presented: PresentedTokens | None  # of an exchanged one: it has no parent


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepGrant(Change[Grant | Denied]):
    """Keep verified tokens before a session hangs on them: they are still to be proved."""

    grant: GrantId  # used when the tokens belong to no grant yet
    about: ProcessAbout  # where they were presented
    presented: PresentedTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(Change[None]):
    """Undo an Open, OpenWeb or OpenTicket whose answer came too late to be given.

    A ticket stays spent.
    """

    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind(Change[SessionId | None]):
    """The login was opened on this handle; answered with the session that is on it.

    That is a new one where the login is one over HTTP. None: it no longer stands, close the handle.
    """

    process: ProcessKey
    session: SessionId
    handle: int
    child: SessionId  # the id of the new one, if there is to be one


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWeb(Change[ActiveSession | Denied]):
    """Let a verified login in that came over HTTP. The same access token is one session.

    A browser that signed in is known by its cookie from then on. One sign-in makes one session.
    """

    session: SessionId
    grant: GrantId  # used when the tokens belong to no grant yet
    process: ProcessKey
    about: ProcessAbout
    address: int
    presented: PresentedTokens
    cookie: TokenHash | None  # None: a bearer's, which brings its access token each time
    base: str  # the origin that the cookie is for; empty without one
    state: TokenHash | None  # of the sign-in


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchWeb(Change[bool]):
    """A session over HTTP was used. False: it is over."""

    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut(Change[bool]):
    """The user signs out of a session over HTTP. False: it is over already."""

    process: ProcessKey
    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew(Change[ActiveSession | Denied]):
    """The user brought fresh tokens for a live session."""

    process: ProcessKey
    session: SessionId
    grant: GrantId
    presented: PresentedTokens
    push: bool  # tell the process too: it did not wait for the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(Change[None]):
    """The user left the handle; where the session is named, that one ends and no other."""

    process: ProcessKey
    handle: int
    session: SessionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLost(Change[None]):
    """The process is gone: its sessions wait for it to come back, where it can."""

    process: ProcessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMet(Change[None]):
    """The process has said hello: its sessions wait for it to say which it has.

    Those over HTTP wait for nothing more.
    """

    process: ProcessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile(Change[list[int]]):
    """The process is back with what it believes; answered with the handles to close."""

    process: ProcessKey
    about: ProcessAbout
    held: tuple[tuple[int, SessionId], ...]
    unsaid: tuple[SessionId, ...] | None = None  # its other sessions, once they were looked up
    doomed: tuple[int, ...] = ()  # so far


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginRefresh(Change[Grant | None]):
    """Record that the issuer is about to be asked. None: there is nothing to do any more."""

    grant: GrantId
    at_once: bool = False  # also when it is not due: unless the refresh token is proved by now
    is_wanted: bool = False  # also when it is not due: for an access token that is needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate(Change[bool]):
    """The issuer answered: keep its new refresh token before anybody uses the access token.

    False: the grant was dropped meanwhile, and the new tokens are to be revoked.
    """

    grant: GrantId
    refresh: TokenHash | None
    refresh_token: Secret | None  # None: the old one stays good


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh(Change[bool]):
    """The new access token was verified.

    False: it was not to be used (another principal's), or the configuration that it was verified
    by has changed: then nothing is, until it is verified anew.
    """

    grant: GrantId
    verdict: Verdict
    draw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSessions(Change[bool]):
    """Go on telling a grant's sessions what the issuer now says of it."""

    grant: GrantId
    verdict: Verdict
    is_told: bool  # also those for which nothing has changed but the lease
    refresh_at: datetime | None  # the grant's, once all are told: a crash before begins anew
    left: tuple[SessionId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Change[bool]):
    """The issuer has ended the grant: end its sessions, and who came with its access tokens."""

    grant: GrantId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forsake(Change[None]):
    """Nobody waits for the proof of an adopted grant any more, and the issuer was not asked."""

    grant: GrantId


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRefreshing(Change[None]):
    """The grant's refresh token does not open any more: nothing refreshes it."""

    grant: GrantId


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRefreshToken(Change[None]):
    """A dropped grant's refresh token was given back, or will not be: keep it no longer."""

    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Disown(Change[None]):
    """These grants' issuer is not configured any more: end their sessions, as `wrongissuer`.

    Should the issuer come back, tokens that it issued are as good as before.
    """

    grants: tuple[GrantId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck(Change[bool]):
    """The issuer was asked again for a token that cannot be refreshed, and still accepts it.

    False: it accepts it for another principal, so the sessions were ended; or the configuration
    that it was verified by has changed, which changes nothing.
    """

    grant: GrantId
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassessed:
    """What a look at all sessions has come to."""

    changed: int  # sessions that have other roles now
    ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassess(Change[Reassessed]):
    """Judge every session by the rules as they are now: at a start, and after a reload."""

    sessions: tuple[SessionId, ...] | None = None  # all, once they were looked up
    number: int = 0  # of those, how many were looked at
    changed: int = 0  # so far
    ended: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a lasting revocation has come to."""

    id: UUID  # its own: the one it got first, where the same was revoked before
    sessions: int  # that it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke(Change[Taken]):
    """Take back by user, issuer or all, lastingly. The same again moves its time and reason."""

    id: UUID  # used when the same is not revoked yet
    scope: Scope
    value: str
    reason: str
    by: Operator | None = None  # None, here and below: nobody's order, and no event tells of it


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCovered(Change[Taken]):
    """Go on ending what a revocation covers; its row is there already."""

    revocation: Revocation
    subjects: tuple[tuple[str, str], ...] = ()  # by user: issuer and subject of who has the name
    ended: int = 0  # sessions so far


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftRevocation(Change[bool]):
    """Lift a lasting revocation. False: there is none of this id."""

    id: UUID
    by: Operator | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseName(Change[bool]):
    """Let a user name belong to somebody else. False: it belonged to nobody."""

    name: str
    by: Operator | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSessions(Change[int]):
    """Take back what is live of one session or one process, and nothing more."""

    session: SessionId | None = None
    process: ProcessKey | None = None
    by: Operator | None = None
    reason: str = ""
    ended: int = 0  # so far


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOrphans(Change[None]):
    """End sessions that were to end with a parent that is gone."""

    sessions: tuple[SessionId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire(Change[None]):
    """End what is over: leases, unopened and unused logins, lost processes, traces."""

    sessions: tuple[SessionId, ...] = ()
    grants: tuple[GrantId, ...] = ()
    tokens: tuple[TokenHash, ...] = ()
    states: tuple[TokenHash, ...] = ()  # of sign-ins
    tickets: tuple[TicketId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvents(Change[None]):
    """Write events that tell of no change: refused logins."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReload(Change[None]):
    """Tell that another configuration counts."""

    generation: int
    by: Operator | None  # None: a signal asked for it
    reason: str = ""
    ended: int = 0  # sessions, because their issuer is gone or has changed
