"""Events as sessiond tells them, for tests of what receives them."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any, Protocol, TypedDict, TypeVar, Unpack
from uuid import UUID

from sessiond.api import (
    Because,
    Event,
    Gap,
    LoginRefused,
    Operator,
    OperatorAuthorized,
    OperatorEvent,
    OperatorForgave,
    OperatorForgot,
    OperatorReloaded,
    OperatorRevoked,
    ProcessAbout,
    SessionClosed,
    SessionEvent,
    SessionExpired,
    SessionOpened,
    SessionRefreshed,
    SessionRenewed,
    SessionRevoked,
    SessionRolesChanged,
    SourceIssued,
)
from sessiond.testing.clock import START

LEASE = timedelta(hours=1)
STEP = timedelta(seconds=1)
CONFIGURATION = "5f" * 32  # the SHA-256 of some configuration file, hexadecimal
OPERATOR = Operator(uid=1001, name="olga")
PROCESS = ProcessAbout(name="rdb1", type="rdb", host="tick.example.com", pid=4711)

E = TypeVar("E", bound=SessionEvent)
W = TypeVar("W", bound=OperatorEvent)


class Telling(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Return the wall time, aware UTC."""
        ...


class Members(TypedDict, total=False):
    """What may be said otherwise of any event."""

    at: datetime
    session: UUID | None
    issuer: str
    process: ProcessAbout | None
    handle: int


class SessionMembers(Members, total=False):
    """What may be said otherwise of a session's event."""

    roles: tuple[str, ...]
    expires_at: datetime | None
    reason: str
    parent: UUID | None


class RolesMembers(SessionMembers, total=False):
    """What may be said otherwise of an event that says why a session has its roles."""

    because: Because
    configuration: str


class SourceMembers(Members, total=False):
    """What may be said otherwise of tokens for a data source."""

    user: str
    by: Operator | None
    count: int


class OperatorMembers(Members, total=False):
    """What may be said otherwise of what an operator has done."""

    by: Operator | None
    reason: str
    scope: str
    value: str
    count: int


class ReloadMembers(OperatorMembers, total=False):
    """The same of a reload."""

    configuration: str


class EventFactory:
    """Makes events with consecutive numbers, each user's about his one session.

    So `opened("alice")` and then `revoked("alice")` name the same session, handle and roles, until
    `opened("alice")` begins another.
    """

    def __init__(self, clock: Telling | None = None, *, first: int = 1) -> None:
        """Begin a story.

        Args:
            clock: For the times of events; without one, each is a second after the one before.
            first: The first event's number.
        """
        self._clock = clock
        self._at = START
        self._sequence = first - 1
        self._numbers = count(1)  # of sessions
        self._last: dict[str, SessionEvent] = {}  # of each user

    @property
    def sequence(self) -> int:
        """The number of the last event that was made."""
        return self._sequence

    def opened(self, user: str = "alice", **members: Unpack[RolesMembers]) -> SessionOpened:
        """Return the beginning of a session: with the role `reader`, for an hour."""
        self._last.pop(user, None)
        return self._of_session(SessionOpened, user, _explained({"roles": ("reader",), **members}))

    def refreshed(self, user: str = "alice", **members: Unpack[SessionMembers]) -> SessionRefreshed:
        """Return that sessiond got the next token: for an hour from now."""
        return self._of_session(SessionRefreshed, user, members, is_longer=True)

    def renewed(self, user: str = "alice", **members: Unpack[SessionMembers]) -> SessionRenewed:
        """Return that the user brought the next token: for an hour from now."""
        return self._of_session(SessionRenewed, user, members, is_longer=True)

    def roles_changed(
        self, user: str = "alice", **members: Unpack[RolesMembers]
    ) -> SessionRolesChanged:
        """Return that the user has other roles: `writer` too, unless they are given."""
        roles = {"roles": ("reader", "writer"), **members}
        return self._of_session(SessionRolesChanged, user, _explained(roles))

    def revoked(
        self, user: str = "alice", *, detail: str = "", **members: Unpack[SessionMembers]
    ) -> SessionRevoked:
        """Return that the session was taken back, for the reason `operator`."""
        plain = {"reason": "operator", "detail": detail}
        return self._of_session(SessionRevoked, user, {**plain, **members})

    def expired(self, user: str = "alice", **members: Unpack[SessionMembers]) -> SessionExpired:
        """Return that the token ran out."""
        return self._of_session(SessionExpired, user, members)

    def closed(self, user: str = "alice", **members: Unpack[SessionMembers]) -> SessionClosed:
        """Return that the user has left, for the reason `disconnect`."""
        return self._of_session(SessionClosed, user, {"reason": "disconnect", **members})

    def refused(
        self,
        user: str = "mallory",
        *,
        reason: str = "badsignature",
        count: int = 1,
        **members: Unpack[Members],
    ) -> LoginRefused:
        """Return that logins were refused, which have no session."""
        plain: dict[str, Any] = {"at": self._next_at(), "issuer": "corp", "process": PROCESS}
        return LoginRefused(
            **{**plain, **members},
            sequence=self._next_sequence(),
            user=user,
            reason=reason,
            count=count,
        )

    def operator_revoked(
        self, user: str = "alice", **members: Unpack[OperatorMembers]
    ) -> OperatorRevoked:
        """Return that an operator took a user's access back, which ends one session."""
        return self._of_operator(OperatorRevoked, {"user": user, "count": 1, **members})

    def operator_forgave(
        self, user: str = "alice", **members: Unpack[OperatorMembers]
    ) -> OperatorForgave:
        """Return that an operator lifted the revocation of a user."""
        return self._of_operator(OperatorForgave, {"user": user, **members})

    def operator_forgot(
        self, user: str = "alice", **members: Unpack[OperatorMembers]
    ) -> OperatorForgot:
        """Return that an operator let a user name go."""
        return self._of_operator(OperatorForgot, {"user": user, **members})

    def operator_reloaded(
        self, generation: int = 2, **members: Unpack[ReloadMembers]
    ) -> OperatorReloaded:
        """Return that an operator had another configuration applied."""
        of = {
            "scope": "configuration",
            "value": str(generation),
            "configuration": CONFIGURATION,
        }
        return self._of_operator(OperatorReloaded, {**of, **members})

    def operator_authorized(
        self, source: str = "market-data", **members: Unpack[OperatorMembers]
    ) -> OperatorAuthorized:
        """Return that an operator brought a data source its refresh token."""
        of = {"scope": "source", "value": source, "reason": ""}
        return self._of_operator(OperatorAuthorized, {**of, **members})

    def issued(self, source: str = "market-data", **members: Unpack[SourceMembers]) -> SourceIssued:
        """Return that a process got a token for a data source, on nobody's behalf."""
        plain: dict[str, Any] = {"at": self._next_at(), "process": PROCESS}
        return SourceIssued(**{**plain, **members}, sequence=self._next_sequence(), source=source)

    def gap(self, missed: int = 3, *, at: datetime | None = None) -> Gap:
        """Return that so many events are no longer kept; the next event comes after them."""
        after = self._sequence
        self._sequence += missed
        return Gap(
            sequence=self._sequence,
            at=at or self._next_at(),
            after=after,
            before=self._sequence + 1,
        )

    def each_kind(self) -> list[Event]:
        """Return one event of each kind there is, a gap last."""
        return [
            self.opened(),
            self.refreshed(),
            self.renewed(),
            self.roles_changed(),
            self.revoked(),
            self.opened(),
            self.expired(),
            self.opened(),
            self.closed(),
            self.refused(),
            self.operator_revoked(),
            self.operator_forgave(),
            self.operator_forgot(),
            self.operator_reloaded(),
            self.operator_authorized(),
            self.issued(),
            self.gap(),
        ]

    def _of_session(self, kind: type[E], user: str, members: Any, *, is_longer: bool = False) -> E:
        at = members.get("at") or self._next_at()
        plain: dict[str, Any] = self._known(user) or self._new()
        if is_longer or "expires_at" not in plain:
            plain["expires_at"] = at + LEASE
        made = kind(**{**plain, **members, "at": at}, user=user, sequence=self._next_sequence())
        self._last[user] = made
        return made

    def _of_operator(self, kind: type[W], members: Any) -> W:
        user = members.get("user", "")
        plain = {"by": OPERATOR, "reason": "left the firm", "scope": "user", "value": user}
        plain["at"] = self._next_at()
        return kind(**{**plain, **members}, sequence=self._next_sequence())

    def _known(self, user: str) -> dict[str, Any]:
        last = self._last.get(user)
        if last is None:
            return {}
        kept = ("session", "issuer", "process", "handle", "roles", "expires_at", "parent")
        return {member: getattr(last, member) for member in kept}

    def _new(self) -> dict[str, Any]:
        number = next(self._numbers)
        return {
            "session": UUID(int=number),
            "issuer": "corp",
            "process": PROCESS,
            "handle": number,
            "roles": ("reader",),
            "parent": None,
        }

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def _next_at(self) -> datetime:
        if self._clock is not None:
            return self._clock.now()
        at, self._at = self._at, self._at + STEP
        return at


def _explained(members: Any) -> Any:
    """Return the members with why the roles are there: by the token, each under its own name."""
    whys: dict[str, tuple[str, ...]] = {
        role: (f"claim roles: {role}",) for role in members["roles"]
    }
    return {"because": Because(roles=whys), "configuration": CONFIGURATION, **members}
