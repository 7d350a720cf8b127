"""The rows as they stand, and who writes them."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, cast

from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.grant import Grant, KnownToken
from sessiond.core.ordered import Ordered
from sessiond.core.revocation import Revocation
from sessiond.core.rows import Drop, NameOwner, Put, Row, RowsView, Subject, Write
from sessiond.core.session import ProcessKey, Session, SessionState
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import Epoch, StoredContext, StoredValue
from sessiond.core.ticket import SpentTicket, TicketKey
from sessiond.core.web_login import UsedState, WebLogin


class Rows(RowsView):
    """The rows as they stand. The table alone writes them."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """Take rows that were kept: each key is there once.

        All at once, which with very many of them takes a fraction of inserting one by one.
        """
        super().__init__()
        for kind, some in groupby(rows, key=type):
            if kind is Session:
                self._fill_sessions(cast("list[Session]", list(some)))
            elif kind is Grant:
                self._fill_grants(cast("list[Grant]", list(some)))
            elif kind is KnownToken:
                self._fill_tokens(cast("list[KnownToken]", list(some)))
            elif kind is NameOwner:
                self._fill_names(cast("list[NameOwner]", list(some)))
            else:
                for row in some:
                    self._insert(row)
        self._lists.fill(self._sessions.values())
        self._ordered_names = Ordered(self._names)
        self._count_all_endings()

    def _fill_sessions(self, sessions: list[Session]) -> None:
        ids = list(map(attrgetter("id"), sessions))
        self._sessions.update(zip(ids, sessions, strict=True))
        self._of_process.fill(list(map(attrgetter("process"), sessions)), ids)
        self._of_grant.fill(list(map(attrgetter("grant"), sessions)), ids)
        handles = map(attrgetter("process", "handle"), sessions)
        self._on_handle.update((on, key) for on, key in zip(handles, ids, strict=True) if on[1])
        states = list(map(attrgetter("state"), sessions))
        for state in SessionState:
            self._states[state] += states.count(state)
        for each in sessions:
            if each.state is SessionState.UNBOUND:
                self._unopened.add((each.process, each.handle, each.access), each.id)
            if each.parent is not None:
                self._children.add(each.parent, each.id)
        self._newest = max(self._newest, max(map(attrgetter("since"), sessions)))

    def _fill_grants(self, grants: list[Grant]) -> None:
        ids = list(map(attrgetter("id"), grants))
        self._grants.update(zip(ids, grants, strict=True))
        self._grants_of_subject.fill(list(map(attrgetter("issuer", "subject"), grants)), ids)
        self._grants_of_issuer.fill(list(map(attrgetter("issuer"), grants)), ids)
        due = [(each.id, each.refresh_at) for each in grants if each.refresh_at is not None]
        self._to_refresh.fill(due)

    def _fill_tokens(self, tokens: list[KnownToken]) -> None:
        self._tokens.update(zip(map(attrgetter("hash"), tokens), tokens, strict=True))
        owned = [(each.grant, each.hash) for each in tokens if each.grant is not None]
        self._tokens_of_grant.fill([grant for grant, _ in owned], [key for _, key in owned])
        beside = [(refresh, each.hash) for each in tokens for refresh in each.came_with]
        self._access_beside.fill([refresh for refresh, _ in beside], [key for _, key in beside])
        self._newest = max(self._newest, max(map(attrgetter("seen_at"), tokens)))

    def _fill_names(self, owners: list[NameOwner]) -> None:
        names = list(map(attrgetter("name"), owners))
        self._names.update(zip(names, owners, strict=True))
        self._names_of_subject.fill(list(map(attrgetter("issuer", "subject"), owners)), names)

    def apply(self, write: Write) -> Write | None:
        """Make the write; return the one that takes it back (None: it changed nothing)."""
        match write:
            case Put(row):
                old = self._put(row)
                return Drop(row) if old is None else Put(old)
            case Drop(row):
                old = self._take(row)
                return None if old is None else Put(old)

    def put_states(self, sessions: Iterable[Session]) -> None:
        """Put sessions of which nothing that they are found by has changed, only their state.

        They keep their places among those of their processes and of their grants.
        """
        self._sessions.update((each.id, each) for each in sessions)
        states = list(map(attrgetter("state"), self._sessions.values()))
        self._states = Counter({state: states.count(state) for state in SessionState})

    def _put(self, row: Row) -> Row | None:
        """Insert a row; return the one whose place it took."""
        old = self._take(row, successor=row)
        self._insert(row)
        return old

    def _insert(self, row: Row) -> None:
        match row:
            case Session():
                self._put_session(row)
            case Grant():
                self._grants[row.id] = row
                self._grants_of_subject.add((row.issuer, row.subject), row.id)
                self._grants_of_issuer.add(row.issuer, row.id)
                self._count_ending(row, self.count_of(row.id))
                if row.refresh_at is not None:
                    self._to_refresh.put(row.id, row.refresh_at)
            case KnownToken():
                self._tokens[row.hash] = row
                self._newest = max(self._newest, row.seen_at)
                if row.grant is not None:
                    self._tokens_of_grant.add(row.grant, row.hash)
                for refresh in row.came_with:
                    self._access_beside.add(refresh, row.hash)
            case NameOwner():
                self._names[row.name] = row
                self._ordered_names.add(row.name)
                self._names_of_subject.add((row.issuer, row.subject), row.name)
            case WebLogin():
                self._put_web_login(row)
            case UsedState():
                self._used_states[row.hash] = row
            case Revocation():
                self._revocations[row.id] = row
                self._revoked[row.scope, row.value] = row.id
            case Cursor():
                self._cursors[row.subscriber] = row
            case DeadLetter():
                self._dead_letters[row.subscriber, row.event.sequence] = row
                self._set_aside_for.add(row.subscriber, row.event.sequence)
            case StoredValue():
                self._values.setdefault(row.context, {})[row.name] = row
            case SpentTicket() | TicketKey() | SourceGrant() | StoredContext() | Epoch():
                place, key = self._place_of(row)
                place[key] = row

    def _place_of(
        self, row: SpentTicket | TicketKey | SourceGrant | StoredContext | Epoch
    ) -> tuple[dict[Any, Any], object]:
        """Return where a row stands that nothing but its key finds, and that key."""
        match row:
            case SpentTicket():
                return self._spent_tickets, row.id
            case TicketKey():
                return self._ticket_keys, row.id
            case SourceGrant():
                return self._source_grants, row.name
            case StoredContext():
                return self._contexts, row.context
            case Epoch():
                return self._epochs, row.name

    def _put_session(self, row: Session) -> None:
        self._sessions[row.id] = row
        self._of_process.add(row.process, row.id)
        self._of_grant.add(row.grant, row.id)
        self._states[row.state] += 1
        self._newest = max(self._newest, row.since)
        if row.state is SessionState.UNBOUND:
            self._unopened.add((row.process, row.handle, row.access), row.id)
        if row.handle:
            self._on_handle[row.process, row.handle] = row.id
        if row.parent is not None:
            self._children.add(row.parent, row.id)
        if row.grant in self._grants:
            self._count_ending(self._grants[row.grant], 1)

    def _put_web_login(self, row: WebLogin) -> None:
        """Insert what stands beside a session, which is there before it and after it."""
        self._web_logins[row.session] = row
        if row.cookie is not None:
            self._by_cookie[row.cookie] = row.session
        self._web_of.add(_whose(self._sessions[row.session]), row.session)

    def _take(self, row: Row, successor: Row | None = None) -> Row | None:
        """Remove and return the row that has this row's key."""
        match row:
            case Session():
                session = self._sessions.pop(row.id, None)
                self._lists.replace(session, successor if isinstance(successor, Session) else None)
                if session is not None:
                    self._forget_session(session)
                return session
            case Grant():
                grant = self._grants.pop(row.id, None)
                if grant is not None:
                    self._grants_of_subject.discard((grant.issuer, grant.subject), grant.id)
                    self._grants_of_issuer.discard(grant.issuer, grant.id)
                    self._count_ending(grant, -self.count_of(grant.id))
                    self._to_refresh.drop(grant.id)
                return grant
            case KnownToken():
                return self._take_token(row)
            case NameOwner():
                owner = self._names.pop(row.name, None)
                if owner is not None:
                    self._ordered_names.discard(owner.name)
                    self._names_of_subject.discard((owner.issuer, owner.subject), owner.name)
                return owner
            case WebLogin():
                return self._take_web_login(row)
            case UsedState():
                return self._used_states.pop(row.hash, None)
            case Revocation():
                revocation = self._revocations.pop(row.id, None)
                if revocation is not None:
                    self._revoked.pop((revocation.scope, revocation.value), None)
                return revocation
            case Cursor():
                return self._cursors.pop(row.subscriber, None)
            case DeadLetter():
                self._set_aside_for.discard(row.subscriber, row.event.sequence)
                return self._dead_letters.pop((row.subscriber, row.event.sequence), None)
            case StoredValue():
                return self._take_value(row)
            case SpentTicket() | TicketKey() | SourceGrant() | StoredContext() | Epoch():
                place, key = self._place_of(row)
                found: Row | None = place.pop(key, None)
                return found

    def _take_value(self, row: StoredValue) -> StoredValue | None:
        of_context = self._values.get(row.context, {})
        value = of_context.pop(row.name, None)
        if not of_context:
            self._values.pop(row.context, None)
        return value

    def _take_token(self, row: KnownToken) -> KnownToken | None:
        token = self._tokens.pop(row.hash, None)
        if token is None:
            return None
        if token.grant is not None:
            self._tokens_of_grant.discard(token.grant, token.hash)
        for refresh in token.came_with:
            self._access_beside.discard(refresh, token.hash)
        return token

    def _take_web_login(self, row: WebLogin) -> WebLogin | None:
        web_login = self._web_logins.pop(row.session, None)
        if web_login is None:
            return None
        if web_login.cookie is not None:
            self._by_cookie.pop(web_login.cookie, None)
        self._web_of.discard(_whose(self._sessions[row.session]), row.session)
        return web_login

    def _forget_session(self, session: Session) -> None:
        self._of_process.discard(session.process, session.id)
        self._of_grant.discard(session.grant, session.id)
        self._unopened.discard((session.process, session.handle, session.access), session.id)
        self._states[session.state] -= 1
        if self._on_handle.get((session.process, session.handle)) == session.id:
            del self._on_handle[session.process, session.handle]
        if session.parent is not None:
            self._children.discard(session.parent, session.id)
        if session.grant in self._grants:
            self._count_ending(self._grants[session.grant], -1)

    def _count_all_endings(self) -> None:
        of = filter(None, map(self._grants.get, map(attrgetter("grant"), self._sessions.values())))
        for expires_at, sessions in Counter(map(attrgetter("lease.expires_at"), of)).items():
            self._ending[_second_of(expires_at)] += sessions

    def _count_ending(self, grant: Grant, sessions: int) -> None:
        second = _second_of(grant.lease.expires_at)
        self._ending[second] += sessions
        if not self._ending[second]:
            del self._ending[second]


def _whose(session: Session) -> tuple[ProcessKey, Subject]:
    return session.process, (session.principal.issuer, session.principal.subject)


def _second_of(at: datetime) -> int:
    return int(at.timestamp())
