"""What rows there are, how they are read in memory, and the writes that change them."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import UUID

from msgspec import Struct

from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.index import Index, Schedule
from sessiond.core.ordered import Ordered, SessionLists
from sessiond.core.principal import Principal, folded
from sessiond.core.revocation import Revocation, Scope, covering
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey, Session, SessionId, SessionState
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import Epoch, StoredContext, StoredValue
from sessiond.core.ticket import SpentTicket, TicketId, TicketKey
from sessiond.core.web_login import UsedState, WebLogin

Subject = tuple[str, str]  # issuer and subject

LONG_AGO = datetime.min.replace(tzinfo=UTC)

_NO_VALUES: Mapping[str, StoredValue] = MappingProxyType({})


class NameOwner(Struct, frozen=True, gc=False):
    """Whom a user name last belonged to. A name is never handed on silently."""

    name: str  # folded
    issuer: str
    subject: str


Row = (
    Session
    | Grant
    | KnownToken
    | NameOwner
    | WebLogin
    | UsedState
    | Revocation
    | Cursor
    | DeadLetter
    | SpentTicket
    | TicketKey
    | SourceGrant
    | StoredContext
    | StoredValue
    | Epoch
)

# Beside each of these a secret may be kept, which no row has.
SecretRow = Grant | TicketKey | SourceGrant | StoredValue


@dataclass(frozen=True, slots=True)
class Put:
    """Insert the row, or replace the one with its key; with a `SecretRow` a secret may come."""

    row: Row
    secret: Secret | None = field(default=None, compare=False)  # None: as it is


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete the row."""

    row: Row
    give_back: bool = False  # a grant: its refresh token is to be revoked at the issuer too


Write = Put | Drop


class RowsView:
    """The rows to be read: every row by its key, and the indexes that deciding and listing need.

    What a login, a refresh, a tick or an answer needs is looked up, never searched for.
    """

    def __init__(self) -> None:
        self._sessions: dict[SessionId, Session] = {}
        self._grants: dict[GrantId, Grant] = {}
        self._tokens: dict[TokenHash, KnownToken] = {}
        self._names: dict[str, NameOwner] = {}
        self._ordered_names = Ordered[str]()
        self._web_logins: dict[SessionId, WebLogin] = {}
        self._used_states: dict[TokenHash, UsedState] = {}
        self._spent_tickets: dict[TicketId, SpentTicket] = {}
        self._ticket_keys: dict[str, TicketKey] = {}
        self._source_grants: dict[str, SourceGrant] = {}
        self._contexts: dict[str, StoredContext] = {}
        self._values: dict[str, dict[str, StoredValue]] = {}  # by context, then by name
        self._epochs: dict[str, Epoch] = {}
        self._revocations: dict[UUID, Revocation] = {}
        self._cursors: dict[str, Cursor] = {}
        self._dead_letters: dict[tuple[str, int], DeadLetter] = {}
        self._lists = SessionLists()
        self._states = Counter[SessionState]()
        self._to_refresh = Schedule[GrantId]()
        self._ending = Counter[int]()
        self._newest = LONG_AGO
        self._on_handle: dict[tuple[ProcessKey, int], SessionId] = {}
        self._of_process = Index[ProcessKey, SessionId]()
        self._of_grant = Index[GrantId, SessionId]()
        self._unopened = Index[tuple[ProcessKey, int, TokenHash], SessionId]()
        self._children = Index[SessionId, SessionId]()  # by their parents
        self._by_cookie: dict[TokenHash, SessionId] = {}
        self._web_of = Index[tuple[ProcessKey, Subject], SessionId]()
        self._grants_of_subject = Index[Subject, GrantId]()
        self._grants_of_issuer = Index[str, GrantId]()
        self._tokens_of_grant = Index[GrantId, TokenHash]()
        self._access_beside = Index[TokenHash, TokenHash]()  # by the refresh token they came with
        self._names_of_subject = Index[Subject, str]()
        self._revoked: dict[tuple[Scope, str], UUID] = {}
        self._set_aside_for = Index[str, int]()

    @property
    def sessions(self) -> Mapping[SessionId, Session]:
        return self._sessions

    @property
    def grants(self) -> Mapping[GrantId, Grant]:
        return self._grants

    @property
    def tokens(self) -> Mapping[TokenHash, KnownToken]:
        return self._tokens

    @property
    def names(self) -> Mapping[str, NameOwner]:
        return self._names

    @property
    def web_logins(self) -> Mapping[SessionId, WebLogin]:
        """What stands beside sessions without a handle, by their ids."""
        return self._web_logins

    @property
    def used_states(self) -> Mapping[TokenHash, UsedState]:
        return self._used_states

    @property
    def spent_tickets(self) -> Mapping[TicketId, SpentTicket]:
        return self._spent_tickets

    @property
    def ticket_keys(self) -> Mapping[str, TicketKey]:
        return self._ticket_keys

    @property
    def source_grants(self) -> Mapping[str, SourceGrant]:
        """What is kept for data sources, by their names."""
        return self._source_grants

    @property
    def contexts(self) -> Mapping[str, StoredContext]:
        """Whose the contexts of stored values are."""
        return self._contexts

    def values_of(self, context: str) -> Mapping[str, StoredValue]:
        """Return a context's values by their names."""
        return self._values.get(context, _NO_VALUES)

    @property
    def epochs(self) -> Mapping[str, Epoch]:
        return self._epochs

    @property
    def revocations(self) -> Mapping[UUID, Revocation]:
        return self._revocations

    @property
    def cursors(self) -> Mapping[str, Cursor]:
        return self._cursors

    @property
    def dead_letters(self) -> Mapping[tuple[str, int], DeadLetter]:
        return self._dead_letters

    @property
    def newest(self) -> datetime:
        """No session was opened, and no token seen, after this."""
        return self._newest

    @property
    def next_refresh_at(self) -> datetime | None:
        """When the first of all grants is to be refreshed; None: there is none to be."""
        return self._to_refresh.first

    def count_in(self, state: SessionState) -> int:
        """Return how many live sessions are in a state."""
        return self._states[state]

    def ending_in(self, second: int) -> int:
        """Return how many live sessions have a lease that ends in this second since 1970."""
        return self._ending[second]

    def listed(
        self,
        *,
        user: str = "",
        process: str = "",
        issuer: str = "",
        after: SessionId | None = None,
    ) -> Iterator[Session]:
        """Yield the live sessions of the shortest list that has all of those asked for, by id.

        Args:
            user: Folded; empty text = any, here and below.
            process: NAME or NAME:PID, as the process says them of itself.
            issuer: The configured name.
            after: Only those whose ids are beyond this one.
        """
        found = self._lists.of(user=user, process=process, issuer=issuer)
        return (self._sessions[key] for key in found.after(after))

    def count_listed(self, *, user: str = "", issuer: str = "") -> int:
        """Return how many live sessions a user (folded) or an issuer has; empty text = any."""
        return len(self._lists.of(user=user, issuer=issuer))

    @property
    def ordered_names(self) -> Ordered[str]:
        return self._ordered_names

    @property
    def processes(self) -> Collection[ProcessKey]:
        """The processes that have live sessions."""
        return self._of_process.keys()

    def session_on(self, process: ProcessKey, handle: int) -> Session | None:
        """Return the live session on a process's handle. Handle 0 is not known: None."""
        found = self._on_handle.get((process, handle))
        return None if found is None else self._sessions[found]

    def sessions_of(self, of: ProcessKey | GrantId) -> Iterator[Session]:
        """Yield the live sessions of a process or on a grant, the longest unchanged first."""
        found = self.ids_of(of)
        return (self._sessions[key] for key in found)

    def count_of(self, of: ProcessKey | GrantId) -> int:
        """Return how many live sessions a process or a grant has."""
        return len(self.ids_of(of))

    def has_sessions(self, grant: GrantId) -> bool:
        """Say whether any session hangs on the grant."""
        return bool(self._of_grant.of(grant))

    def unopened(self, process: ProcessKey, handle: int, access: TokenHash) -> Iterator[Session]:
        """Yield a process's sessions that came so with an access token and were not opened yet."""
        return (self._sessions[key] for key in self._unopened.of((process, handle, access)))

    def children_of(self, session: SessionId) -> Collection[SessionId]:
        """Return the ids of the sessions that end with this one."""
        return self._children.of(session)

    def count_ending_with(self, sessions: Iterable[SessionId]) -> int:
        """Return how many sessions these are with those that end with them, each counted once."""
        found = {each.int: each for each in sessions}
        left = list(found.values()) if self._children.keys() else []
        while left:
            for child in self._children.of(left.pop()):
                if child.int not in found:
                    found[child.int] = child
                    left.append(child)
        return len(found)

    @property
    def parents(self) -> Collection[SessionId]:
        """The ids of sessions with which others end: a view, good until the next change."""
        return self._children.keys()

    def by_cookie(self, cookie: TokenHash) -> WebLogin | None:
        """Return the login that a browser's cookie is of."""
        found = self._by_cookie.get(cookie)
        return None if found is None else self._web_logins[found]

    def web_of(self, process: ProcessKey, principal: Principal) -> Iterator[Session]:
        """Yield a principal's sessions over HTTP at a process."""
        found = self._web_of.of((process, (principal.issuer, principal.subject)))
        return (self._sessions[key] for key in found)

    def grants_of(self, issuer: str, subject: str) -> Iterator[Grant]:
        """Yield a principal's grants."""
        return (self._grants[key] for key in self._grants_of_subject.of((issuer, subject)))

    def grants_from(self, issuer: str) -> Iterator[Grant]:
        """Yield the grants of an issuer."""
        return (self._grants[key] for key in self._grants_of_issuer.of(issuer))

    def tokens_of(self, grant: GrantId) -> Iterator[KnownToken]:
        """Yield the traces of every token that is the grant's own."""
        return (self._tokens[key] for key in self._tokens_of_grant.of(grant))

    def access_beside(self, grant: GrantId) -> list[KnownToken]:
        """Return the access tokens that came with a refresh token of the grant, each once."""
        refresh = self._tokens_of_grant.of(grant)
        found = dict.fromkeys(key for each in refresh for key in self._access_beside.of(each))
        return [self._tokens[key] for key in found]

    def grant_of(self, token: TokenHash | None) -> Grant | None:
        """Return the grant that a token belongs to, if it is known."""
        known = None if token is None else self._tokens.get(token)
        return None if known is None or known.grant is None else self._grants.get(known.grant)

    def owner_of(self, name: str) -> NameOwner | None:
        """Return whom a name last belonged to."""
        return self._names.get(folded(name))

    def revocation(self, scope: Scope, value: str) -> Revocation | None:
        """Return the revocation in force of just this."""
        found = self._revoked.get((scope, value))
        return None if found is None else self._revocations[found]

    def revocations_of(self, principal: Principal) -> Iterator[Revocation]:
        """Yield the revocations in force that cover a principal: three at most."""
        if not self._revoked:
            return iter(())
        asked = covering(principal.issuer, principal.name)
        return (found for each in asked if (found := self.revocation(*each)) is not None)

    def is_revoked(self, session: Session) -> bool:
        """Say whether a session was taken back, and only its end is not written yet."""
        return any(session.since <= each.at for each in self.revocations_of(session.principal))

    def revocations_of_grant(self, grant: Grant) -> Iterator[Revocation]:
        """Yield the revocations that a grant was there before: it is only not dropped yet."""
        if not self._revoked:
            return
        names = self._names_of_subject.of((grant.issuer, grant.subject))
        asked = dict.fromkeys(
            each for name in (*names, "") for each in covering(grant.issuer, name)
        )
        for each in asked:
            found = self.revocation(*each)
            if found is not None and self.was_there(grant, found.at):
                yield found

    def was_there(self, grant: Grant, at: datetime) -> bool:
        """Say whether a grant was there at a time: any of its tokens had been seen by then.

        One whose refresh token was an access token after all has none left: its sessions tell.
        """
        if self._tokens_of_grant.of(grant.id):
            return any(token.seen_at <= at for token in self.tokens_of(grant.id))
        return any(session.since <= at for session in self.sessions_of(grant.id))

    def set_aside_of(self, subscriber: str) -> Iterator[DeadLetter]:
        """Yield the events that were set aside for a subscriber."""
        sequences = self._set_aside_for.of(subscriber)
        return (self._dead_letters[subscriber, sequence] for sequence in sequences)

    def ids_of(self, of: ProcessKey | GrantId) -> Collection[SessionId]:
        """Return the ids of the live sessions of a process or on a grant; see `sessions_of`."""
        return self._of_process.of(of) if isinstance(of, ProcessKey) else self._of_grant.of(of)
