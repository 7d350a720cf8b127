"""What callers ask the table without changing anything, each with the type of its answer."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from sessiond.core.access import Denied
from sessiond.core.changes import Change
from sessiond.core.cursor import Cursors
from sessiond.core.grant import Grant, GrantId, TokenHash
from sessiond.core.session import ActiveSession, ProcessAbout, ProcessKey, SessionId
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import ContextValues, NotOwner, StoredValue
from sessiond.core.ticket import TicketKey
from sessiond.core.verdict import PresentedTokens

A = TypeVar("A", covariant=True)


class Query(Generic[A]):
    """A question about the rows in their turn; `A` is what it is answered with.

    The answer reflects all that was asked of the table before.
    """

    __slots__ = ()


Request = Change[A] | Query[A]  # what the table takes, in one order


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Query[None]):
    """Nothing: the answer shows that the table has come to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOwnSessions(Query[list[ActiveSession]]):
    """The live sessions of one process."""

    process: ProcessKey
    unseen: tuple[SessionId, ...] | None = None  # those not looked at, once they were looked up
    seen: tuple[ActiveSession, ...] = ()  # so far


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSession(Query[ActiveSession | None]):
    """One session of one process."""

    process: ProcessKey
    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class FindWeb(Query[ActiveSession | None]):
    """The session of a browser's cookie, at the origin and the process that it was made for."""

    process: ProcessKey
    cookie: TokenHash
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindGrant(Query[Grant | None]):
    """One grant."""

    grant: GrantId


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRecheckable(Query[Grant | None]):
    """A grant of an access token that came alone, with sessions."""

    grant: GrantId


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNames(Query[frozenset[str]]):
    """Which of some names belong to somebody."""

    names: frozenset[str]  # folded


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAdmission(Query[Denied | None]):
    """Whether verified tokens would be let in, without letting anybody in."""

    presented: PresentedTokens
    about: ProcessAbout | None = None  # where; None: by what is known of the tokens alone
    is_proof_due: bool  # also refuse what only a refresh would prove


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTicketKeys(Query[list[TicketKey]]):
    """The keys that tickets are signed with, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSourceGrant(Query[SourceGrant | None]):
    """What is kept for a source."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindValue(Query[StoredValue | NotOwner | None]):
    """One stored value, for whom it is."""

    context: str
    name: str
    uid: int
    is_shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListValues(Query[list[ContextValues]]):
    """Contexts with their values, by name: at most `limit` of them (None: all)."""

    after: str = ""  # those beyond this one
    limit: int | None = None
    unseen: tuple[str, ...] | None = None  # contexts not looked at, once they were looked up
    seen: tuple[ContextValues, ...] = ()  # so far


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCursors(Query[Cursors]):
    """The places and the set-aside events."""
