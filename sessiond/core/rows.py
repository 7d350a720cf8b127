"""The rows as they stand in memory, and the writes that change them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import TypeVar

from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.place import Place, SetAside
from sessiond.core.principal import Principal, folded
from sessiond.core.revocation import Revocation
from sessiond.core.session import ProcessKey, Session, SessionId

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class NameOwner:
    """Whom a user name last belonged to. A name is never handed on silently."""

    name: str  # folded
    issuer: str
    subject: str


Row = Session | Grant | KnownToken | NameOwner | Revocation | Place | SetAside


@dataclass(frozen=True, slots=True)
class Put:
    """Insert the row, or replace the one with its key."""

    row: Row


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete the row."""

    row: Row
    give_back: bool = False  # a grant: its refresh token is to be revoked at the issuer too


Write = Put | Drop


class Rows:
    """Every row by its key, and the indexes that deciding needs."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.sessions: dict[SessionId, Session] = {}
        self.grants: dict[GrantId, Grant] = {}
        self.tokens: dict[TokenHash, KnownToken] = {}
        self.names: dict[str, NameOwner] = {}
        self.revocations: dict[object, Revocation] = {}
        self.places: dict[str, Place] = {}
        self.set_aside: dict[tuple[str, int], SetAside] = {}
        self._on_handle: dict[tuple[ProcessKey, int], SessionId] = {}
        self._of_process: defaultdict[ProcessKey, set[SessionId]] = defaultdict(set)
        self._of_grant: defaultdict[GrantId, set[SessionId]] = defaultdict(set)
        self._tokens_of_grant: defaultdict[GrantId, set[TokenHash]] = defaultdict(set)
        self._access_beside: defaultdict[TokenHash, set[TokenHash]] = defaultdict(set)
        for row in rows:
            self._put(row)

    def session_on(self, process: ProcessKey, handle: int) -> Session | None:
        """Return the live session on a process's handle. Handle 0 is not known: None."""
        found = self._on_handle.get((process, handle))
        return None if found is None else self.sessions[found]

    def sessions_of(self, of: ProcessKey | GrantId) -> Iterator[Session]:
        """Yield the live sessions of a process or on a grant, oldest first."""
        if isinstance(of, ProcessKey):
            found = self._of_process.get(of, set())
        else:
            found = self._of_grant.get(of, set())
        return iter(sorted((self.sessions[key] for key in found), key=lambda each: each.since))

    def has_sessions(self, grant: GrantId) -> bool:
        """Say whether any session hangs on the grant."""
        return bool(self._of_grant.get(grant))

    def ids_of(self, grant: GrantId) -> Set[SessionId]:
        """Return the ids of the live sessions on a grant."""
        return self._of_grant.get(grant, frozenset())

    def tokens_of(self, grant: GrantId) -> Iterator[KnownToken]:
        """Yield the traces of every token that is the grant's own."""
        return (self.tokens[key] for key in self._tokens_of_grant.get(grant, ()))

    def access_beside(self, grant: GrantId) -> list[KnownToken]:
        """Return the access tokens that came with a refresh token of the grant, each once."""
        refresh = self._tokens_of_grant.get(grant, ())
        found = dict.fromkeys(key for each in refresh for key in self._access_beside.get(each, ()))
        return [self.tokens[key] for key in found]

    def grant_of(self, token: TokenHash | None) -> Grant | None:
        """Return the grant that a token belongs to, if it is known."""
        known = None if token is None else self.tokens.get(token)
        return None if known is None or known.grant is None else self.grants.get(known.grant)

    def owner_of(self, name: str) -> NameOwner | None:
        """Return whom a name last belonged to."""
        return self.names.get(folded(name))

    def revocations_of(self, principal: Principal) -> Iterator[Revocation]:
        """Yield the revocations in force that cover a principal."""
        return (each for each in self.revocations.values() if each.covers(principal))

    def set_aside_of(self, subscriber: str) -> Iterator[SetAside]:
        """Yield the events that were set aside for a subscriber."""
        return (each for each in self.set_aside.values() if each.subscriber == subscriber)

    def apply(self, write: Write) -> Write | None:
        """Make the write; return the one that takes it back (None: it changed nothing)."""
        old = self._take(write.row)
        match write:
            case Put(row):
                self._put(row)
                return Drop(row) if old is None else Put(old)
            case Drop():
                return None if old is None else Put(old)

    def _put(self, row: Row) -> None:
        match row:
            case Session():
                self.sessions[row.id] = row
                self._of_process[row.process].add(row.id)
                self._of_grant[row.grant].add(row.id)
                if row.handle:
                    self._on_handle[row.process, row.handle] = row.id
            case Grant():
                self.grants[row.id] = row
            case KnownToken():
                self.tokens[row.hash] = row
                if row.grant is not None:
                    self._tokens_of_grant[row.grant].add(row.hash)
                for refresh in row.came_with:
                    self._access_beside[refresh].add(row.hash)
            case NameOwner():
                self.names[row.name] = row
            case Revocation():
                self.revocations[row.id] = row
            case Place():
                self.places[row.subscriber] = row
            case SetAside():
                self.set_aside[row.subscriber, row.event.sequence] = row

    def _take(self, row: Row) -> Row | None:
        """Remove and return the row that has this row's key."""
        match row:
            case Session():
                session = self.sessions.pop(row.id, None)
                if session is not None:
                    _discard(self._of_process, session.process, session.id)
                    _discard(self._of_grant, session.grant, session.id)
                    if self._on_handle.get((session.process, session.handle)) == session.id:
                        del self._on_handle[session.process, session.handle]
                return session
            case Grant():
                return self.grants.pop(row.id, None)
            case KnownToken():
                return self._take_token(row)
            case NameOwner():
                return self.names.pop(row.name, None)
            case Revocation():
                return self.revocations.pop(row.id, None)
            case Place():
                return self.places.pop(row.subscriber, None)
            case SetAside():
                return self.set_aside.pop((row.subscriber, row.event.sequence), None)

    def _take_token(self, row: KnownToken) -> KnownToken | None:
        token = self.tokens.pop(row.hash, None)
        if token is None:
            return None
        if token.grant is not None:
            _discard(self._tokens_of_grant, token.grant, token.hash)
        for refresh in token.came_with:
            _discard(self._access_beside, refresh, token.hash)
        return token


def _discard(index: defaultdict[K, set[V]], key: K, value: V) -> None:
    """Take a value out of an index, and the key with its last value."""
    index[key].discard(value)
    if not index[key]:
        del index[key]
