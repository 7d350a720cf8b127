"""What one decision has come to so far: writes to make and events to tell."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec import Struct, structs

from sessiond.core.changes import Change
from sessiond.core.events import Event, SessionClosed, SessionEvent, SessionExpired, SessionRevoked
from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.principal import Principal, folded
from sessiond.core.reading import Reading
from sessiond.core.rows import Drop, NameOwner, Put, Row, RowsView, Write
from sessiond.core.rules import Rules
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey, Session, SessionId, SessionState

E = TypeVar("E", bound=SessionEvent)

REFUSED_KEPT = timedelta(days=90)  # as long as refresh tokens commonly live
MAX_FAMILY = 256  # sessions that end with one: what it or its tickets let in, and theirs


class Notice(Struct, frozen=True, gc=False):
    """An event, and the process that is pushed it where it concerns the process."""

    event: Event
    push_to: ProcessKey | None = None


class Draft(Reading):
    """Collects a decision. The rows themselves are only read."""

    def __init__(self, rows: RowsView, now: datetime, rules: Rules) -> None:
        super().__init__(rows, now, rules)
        self.writes: list[Write] = []
        self.notices: list[Notice] = []
        self._traces: dict[TokenHash, KnownToken] = {}  # as this decision has left them
        self._changed: dict[int, Session] = {}  # by their ids' numbers, in the same way
        self._ended = set[int]()  # numbers of ids: each ends once, also where it would in two ways
        self.rest: Change[Any] | None = None  # what is still to be decided of the same change
        self.passed = 0  # rows that were looked at in vain, of which there may be thousands

    @property
    def is_full(self) -> bool:
        """Whether this has come to so much that others should have their turn first."""
        return len(self.writes) + len(self.notices) + self.passed >= self.piece

    @property
    def ended(self) -> int:
        """How many sessions this decision ends."""
        return len(self._ended)

    def has_ended(self, session: SessionId) -> bool:
        """Say whether this decision ends a session."""
        return session.int in self._ended

    def live(self, session: SessionId) -> Session | None:
        found = self.current(session)
        return None if found is None or self.rows.is_revoked(found) else found

    def current(self, session: SessionId) -> Session | None:
        """Return a session as this decision has left it; None: it is over, or was never there."""
        if session.int in self._ended:
            return None
        return self._changed.get(session.int) or self.rows.sessions.get(session)

    def put(self, row: Row, *, secret: Secret | None = None) -> None:
        self.writes.append(Put(row, secret))
        if isinstance(row, Session):
            self._changed[row.id.int] = row
        elif isinstance(row, KnownToken):
            self._traces[row.hash] = row

    def put_owner(self, principal: Principal) -> None:
        """Note whose a name is now."""
        owner = NameOwner(
            name=folded(principal.name), issuer=principal.issuer, subject=principal.subject
        )
        if self.rows.owner_of(principal.name) != owner:
            self.put(owner)

    def drop(self, row: Row) -> None:
        self.writes.append(Drop(row))

    def tell(self, event: Event) -> None:
        """Tell the subscribers."""
        self.notices.append(Notice(event))

    def push(self, event: Event, to: ProcessKey) -> None:
        """Tell the subscribers and the process."""
        self.notices.append(Notice(event, to))

    def event(
        self,
        kind: type[E],
        session: Session,
        *,
        expires_at: datetime,
        reason: str = "",
        **of_its_kind: Any,
    ) -> E:
        """Return what happened to a session as an event, which may have more than all have."""
        return kind(
            at=self.now,
            session=session.id,
            user=session.principal.name,
            issuer=session.principal.issuer,
            process=session.about,
            handle=session.handle,
            roles=session.roles,
            expires_at=expires_at,
            reason=reason,
            parent=session.parent,
            **of_its_kind,
        )

    def close(self, session: Session, reason: str, *, push: bool = False) -> None:
        """End a session that its process has let go, or (`push`) seems to have.

        One never opened ends silently.
        """
        if not self._begin_end(session):
            return
        if session.state is not SessionState.UNBOUND:
            expires_at = self.expires_at(session)
            event = self.event(SessionClosed, session, expires_at=expires_at, reason=reason)
            self.push(event, session.process) if push else self.tell(event)
        self._end_children(session)

    def end(
        self,
        session: Session,
        kind: type[SessionRevoked | SessionExpired],
        reason: str,
        detail: str = "",
    ) -> None:
        """End a session that its process still holds: the process is told to close the handle."""
        if not self._begin_end(session):
            return
        said = {"detail": detail} if detail and kind is SessionRevoked else {}
        expires_at = self.expires_at(session)
        event = self.event(kind, session, expires_at=expires_at, reason=reason, **said)
        self.push(event, session.process)
        self._end_children(session)

    def end_unused(self, session: Session) -> None:
        """End a session over HTTP that was not used for too long, or has lasted long enough."""
        made_at = self.rows.web_logins[session.id].made_at
        is_long = made_at + self.rules.web.session <= self.now
        self.end(session, SessionExpired, "expired" if is_long else "idle")

    def _begin_end(self, session: Session) -> bool:
        """Drop a session and what stands beside it; False: this decision has ended it already."""
        if session.id.int in self._ended:
            return False
        self._ended.add(session.id.int)
        web_login = self.web_login_of(session)
        if web_login is not None:
            self.drop(web_login)  # before what it stands beside
        self.drop(session)
        return True

    def _end_children(self, session: Session) -> None:
        for child in self.rows.children_of(session.id):
            self.end(self.rows.sessions[child], SessionRevoked, "parent")

    def family_of(self, session: Session) -> int:
        """Return how many sessions end with the one that a session's tickets go back to."""
        first = session
        while first.parent is not None and first.parent in self.rows.sessions:
            first = self.rows.sessions[first.parent]
        return self.rows.count_ending_with([first.id]) - 1

    def take_back_on(
        self,
        grant: Grant,
        kind: type[SessionRevoked | SessionExpired],
        reason: str,
        detail: str = "",
    ) -> bool:
        """End sessions on a grant; return False when it is full and there are more of them."""
        for session in self.rows.sessions_of(grant.id):
            if self.is_full:
                return False
            if not self._ends_with_parent(session):
                self.end(session, kind, reason, detail)
        return True

    def _ends_with_parent(self, session: Session) -> bool:
        """Say whether a session's parent hangs on the same grant: then the order says nothing."""
        parent = None if session.parent is None else self.rows.sessions.get(session.parent)
        return parent is not None and parent.grant == session.grant

    def revoke_grant(self, grant: Grant) -> None:
        """Drop a grant whose sessions this decision ends; the issuer is to be told.

        The traces of its tokens, and of those that came with them, are kept: the revocation
        knows them by when they were seen first.
        """
        self.writes.append(Drop(grant, give_back=True))
        self._keep(self.rows.tokens_of(grant.id), is_refused=False)
        for token in self.rows.access_beside(grant.id):
            self.put(structs.replace(self._newest(token), keep_until=self.now + REFUSED_KEPT))

    def refuse_grant(self, grant: Grant, access: Iterable[KnownToken]) -> None:
        """Drop a grant that the issuer has ended: nobody comes in with its tokens again.

        Args:
            grant: One without sessions, or whose sessions this decision ends.
            access: The access tokens beside its own that are not to be taken again either.
        """
        self.drop(grant)
        self._keep(self.rows.tokens_of(grant.id), is_refused=True)
        self._keep(access, is_refused=True)

    def _keep(self, tokens: Iterable[KnownToken], *, is_refused: bool) -> None:
        for token in tokens:
            newest = self._newest(token)
            self.put(
                structs.replace(
                    newest,
                    grant=None,
                    keep_until=self.now + REFUSED_KEPT,
                    is_refused=newest.is_refused or is_refused,
                )
            )

    def _newest(self, token: KnownToken) -> KnownToken:
        return self._traces.get(token.hash, token)

    def forget_grant(self, grant: Grant, *, give_back: bool = False) -> None:
        """Drop a grant that nothing hangs on, with the traces that nobody needs any more.

        Args:
            grant: One without sessions, or whose sessions this decision ends.
            give_back: Have its refresh token revoked at the issuer too.
        """
        self.writes.append(Drop(grant, give_back=give_back))
        for token in map(self._newest, self.rows.tokens_of(grant.id)):
            if token.keep_until <= self.now:
                self.drop(token)
            else:
                self.put(structs.replace(token, grant=None))

    def forget_left(self) -> None:
        """Drop each grant that loses its last session, where nothing has proved its refresh token.

        Not one whose refresh token was sent: the answer will show what it is. The issuer is not
        told, since nobody knows whose refresh token it would end.
        """
        left = [
            grant_id
            for grant_id, number in self._sessions_gained().items()
            if number < 0 and len(self.rows.ids_of(grant_id)) + number == 0
        ]
        if not left:  # as after each login
            return
        newest = {
            each.row.id: each.row if isinstance(each, Put) else None
            for each in self.writes
            if isinstance(each.row, Grant)
        }
        for grant_id in left:
            grant = newest.get(grant_id, self.rows.grants.get(grant_id))
            if grant is not None and grant.is_unproved and grant.in_flight_since is None:
                self.forget_grant(grant)

    def _sessions_gained(self) -> Mapping[GrantId, int]:
        """Return how many more sessions each grant has after this decision."""
        hung: dict[SessionId, GrantId | None] = {}  # None: it has ended
        for write in self.writes:
            if isinstance(write.row, Session):
                hung[write.row.id] = write.row.grant if isinstance(write, Put) else None
        gained = defaultdict[GrantId, int](int)
        for session_id, grant_id in hung.items():
            before = self.rows.sessions.get(session_id)
            if before is not None:
                gained[before.grant] -= 1
            if grant_id is not None:
                gained[grant_id] += 1
        return gained
