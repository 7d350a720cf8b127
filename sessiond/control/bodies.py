"""The JSON that the control socket takes and gives. `/openapi.json` is made from these."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from sessiond.control.access_steps import AccessSteps, ClaimUsed
from sessiond.control.ticket_status import TicketsStatus
from sessiond.core.access import Because
from sessiond.core.cursor import DeadLetter
from sessiond.core.listing import Listed
from sessiond.core.password import MAX_PASSWORD_SIZE
from sessiond.core.principal import MAX_NAME_SIZE
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.session import ProcessAbout, SessionState
from sessiond.extensions.subscribers.state import Condition, SubscriberState
from sessiond.tickets.reading import TicketCheck

MAX_LIMIT = 1000  # of what is listed, on a page
MAX_SEQUENCE = 2**63 - 1  # SQLite's greatest
TARGETS = ("session", "user", "process", "issuer", "all")  # a revocation names exactly one

Text = Annotated[str, Meta(max_length=1024)]
FullText = Annotated[str, Meta(min_length=1, max_length=1024)]
UserName = Annotated[str, Meta(pattern=rf"^[\x20-\x7e]{{1,{MAX_NAME_SIZE}}}\Z")]  # is_name
Reason = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,500}\Z",
        description="1 to 500 characters on one line, for those who read the log",
    ),
]
OptionalReason = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f-\x9f]{0,500}\Z",
        description="up to 500 characters on one line, for those who read the events",
    ),
]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Sequence = Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]


class Session(Struct, frozen=True, kw_only=True):
    """A live session."""

    session: UUID
    user: str
    subject: str
    issuer: str
    process: ProcessAbout
    handle: int  # 0: not known, or a session over HTTP, which has none
    roles: tuple[str, ...]
    attributes: dict[str, str]
    state: SessionState
    parent: UUID | None  # the session that let it in, by a websocket or a ticket: they end together
    hops: int  # tickets between its user's sign-in and it; 0: none brought it
    auth_time: (
        datetime | None
    )  # when the user signed in, as the newest token says; null: it does not
    acr: tuple[str, ...]  # and how, in the same way
    opened_at: datetime | None  # null: not opened yet
    expires_at: datetime
    refresh_at: datetime | None  # null: there is nothing to refresh it with

    @classmethod
    def of(cls, listed: Listed) -> "Session":
        held = listed.session
        return cls(
            session=held.id,
            user=held.principal.name,
            subject=held.principal.subject,
            issuer=held.principal.issuer,
            process=held.about,
            handle=held.handle,
            roles=held.roles,
            attributes=dict(held.attributes),
            state=held.state,
            parent=held.parent,
            hops=held.hops,
            auth_time=held.auth_time,
            acr=held.acr,
            opened_at=None if held.state is SessionState.UNBOUND else held.since,
            expires_at=listed.expires_at,
            refresh_at=listed.refresh_at,
        )


class OneSession(Session, frozen=True, kw_only=True):
    """A live session, and why it has its roles."""

    because: Because  # by the rules of now; `roles` are those before the ceiling, `cut` it took

    @classmethod
    def with_reasons(cls, listed: Listed, because: Because) -> "OneSession":
        """Return it, and why."""
        shown = Session.of(listed)
        return cls(
            **{name: getattr(shown, name) for name in shown.__struct_fields__}, because=because
        )


class SessionsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions; empty = any. `process`: NAME or NAME:PID; `after`: the last page's `next`."""

    user: Text = ""
    process: Text = ""
    issuer: Text = ""
    limit: Limit = 100
    after: UUID | None = None


class Sessions(Struct, frozen=True, kw_only=True):
    """A page of sessions, in the order of their ids. `next` is null on the last one."""

    sessions: list[Session]
    next: UUID | None


class ReasonQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for those who read the events; empty = nothing is said."""

    reason: OptionalReason = ""


class RevocationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to take back: exactly one of the five, and why."""

    reason: Reason
    session: UUID | UnsetType = UNSET
    user: UserName | UnsetType = UNSET
    process: FullText | UnsetType = UNSET
    issuer: FullText | UnsetType = UNSET
    all: Literal[True] | UnsetType = UNSET


class Revoked(Struct, frozen=True, kw_only=True):
    """How many sessions ended, and the id of what lasts: by user, issuer and all."""

    revoked: int
    id: UUID | None


class LastingRevocation(Struct, frozen=True, kw_only=True):
    """Tokens issued at or before `at` are refused until it is forgiven."""

    id: UUID
    scope: Scope
    value: str  # the user in lower case, or the issuer; empty for all
    at: datetime
    reason: str

    @classmethod
    def of(cls, row: Revocation) -> "LastingRevocation":
        return cls(id=row.id, scope=row.scope, value=row.value, at=row.at, reason=row.reason)


class Revocations(Struct, frozen=True, kw_only=True):
    """The revocations in force, oldest first."""

    revocations: list[LastingRevocation]


class EventsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events after which; 0 = from the oldest kept; absent = from now."""

    after: Sequence | UnsetType = UNSET


class NoQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For what takes no query."""


class ExplainProcess(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A process, as it names itself in `hello`."""

    name: FullText
    type: Text = ""


class ExplainRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A login as a user would try it."""

    user: Annotated[str, Meta(max_length=4096)]
    password: Annotated[str, Meta(max_length=2 * MAX_PASSWORD_SIZE)]
    process: ExplainProcess | None = None  # where; null: under no ceiling

    def __repr__(self) -> str:
        return "ExplainRequest(***)"


TokenCheck = Literal["token", "name", "route", "verification", "match", "admission", "proof"]
CheckName = Literal[TokenCheck, TicketCheck]  # a ticket's end with `admission`


class Check(Struct, frozen=True, kw_only=True):
    """One check of a login. After the first failed one the others are skipped."""

    check: CheckName
    outcome: Literal["passed", "failed", "skipped"]
    reason: str = ""  # what q would hear
    detail: str = ""


class Explanation(Struct, frozen=True, kw_only=True):
    """What a login would come to. The members after `checks` are those of a verified token."""

    accepted: bool
    reason: str  # what q would hear; empty when accepted
    checks: list[Check]
    process: ExplainProcess | None = None  # as asked; null: no ceiling was applied
    claims: list[ClaimUsed] = []
    access: AccessSteps | None = None
    user: str = ""
    subject: str = ""
    issuer: str = ""
    roles: tuple[str, ...] = ()
    attributes: dict[str, str] = {}
    expires_at: datetime | None = None


class IssuerStatus(Struct, frozen=True, kw_only=True):
    """An issuer as every call to it has shown it: fetches, logins, refreshes and trial calls."""

    name: str
    healthy: bool  # false: it does not answer, has not been reached yet, or refuses our client
    trouble: str  # why it is not healthy, or its keys are not fetched; empty = nothing
    last_success_at: datetime | None  # null: it has not answered yet
    last_error: (
        str  # what was made of the last bad answer, or of none; empty = none since the start
    )
    last_error_at: datetime | None


class RoleSourceStatus(Struct, frozen=True, kw_only=True):
    """A role source as its answers about one issuer's users have shown it."""

    name: str
    plugin: str  # empty: none, it is Microsoft Graph
    issuer: str
    healthy: bool  # false: logins that need its roles are answered `unavailable` at once
    last_success_at: datetime | None
    last_error: str  # empty = none since the start
    last_error_at: datetime | None
    stood_in: int  # known answers, while it was away, since the start
    last_stood_in_at: datetime | None


class SubscriberStatus(Struct, frozen=True, kw_only=True):
    """A subscriber and its process as they stand."""

    name: str
    plugin: str
    state: Condition  # waiting: for its next attempt, after a failure
    pid: int | None  # null: it has no process just now
    place: int  # the number of the last event that is done with
    lag: int  # events after its place
    set_aside: int  # events that it refused too often
    restarts: int  # of its process, since the daemon's start
    last_error: str  # one line; empty = none since the daemon's start
    last_error_at: datetime | None
    last_received_at: datetime | None

    @classmethod
    def of(cls, state: SubscriberState) -> "SubscriberStatus":
        return cls(**asdict(state))


class SetAsideEvent(Struct, frozen=True, kw_only=True):
    """An event that a subscriber refused too often."""

    sequence: int
    kind: str
    at: datetime  # when it was set aside
    attempts: int
    error: str  # the last attempt's

    @classmethod
    def of(cls, row: DeadLetter) -> "SetAsideEvent":
        event = row.event
        return cls(
            sequence=event.sequence,
            kind=event.kind,
            at=row.at,
            attempts=row.attempts,
            error=row.error,
        )


class Subscriber(Struct, frozen=True, kw_only=True):
    """A subscriber, and what was set aside for it, oldest first."""

    status: SubscriberStatus
    set_aside: list[SetAsideEvent]


class FormerSubscriber(Struct, frozen=True, kw_only=True):
    """One that is not configured any more: it would go on from its place if it were again."""

    name: str
    place: int  # the number of the last event that was done with
    kept_at: datetime  # when it was
    set_aside: int  # events that it refused too often


class Subscribers(Struct, frozen=True, kw_only=True):
    """The subscribers, in the configuration's order, and those of whom only the place is left."""

    subscribers: list[Subscriber]
    former: list[FormerSubscriber]


class SetAsideCount(Struct, frozen=True, kw_only=True):
    """How many set-aside events are being sent once more, or were given up."""

    events: int


class StoreStatus(Struct, frozen=True, kw_only=True):
    """The database."""

    path: str
    bytes: int  # with its write-ahead log


class StoresStatus(Struct, frozen=True, kw_only=True):
    """The token stores."""

    contexts: int
    locks: int  # that somebody holds
    waiting: int  # requests for one


class Queues(Struct, frozen=True, kw_only=True):
    """What waits inside of the daemon."""

    table: int  # changes
    logins: int  # for their turn at an issuer


class ConfigurationStatus(Struct, frozen=True, kw_only=True):
    """Which configuration is applied, and what became of the newest file (SIGHUP)."""

    loaded_at: datetime | None  # when the one that is applied was; null: not ready yet
    generation: int  # 1 at the start, one more for each that was applied
    last_error: str  # why the newest file changed nothing, a line for each problem; empty = it did
    last_error_at: datetime | None
    needs_restart: tuple[str, ...]  # changed keys that count from the next start on


class SourceSummary(Struct, frozen=True, kw_only=True):
    """Whether a data source has its tokens."""

    name: str
    healthy: bool  # the last call for one brought it, or there was none yet
    last_error: str


class Status(Struct, frozen=True, kw_only=True):
    """The daemon as it stands."""

    version: str
    instance: UUID  # new at each start
    ready_at: datetime | None  # null: not ready yet
    uptime: float  # seconds since it was ready
    configuration: ConfigurationStatus
    issuers: list[IssuerStatus]
    role_sources: list[RoleSourceStatus]
    queues: Queues
    connections: int  # q processes
    refused_connections: int  # of q's socket, since the start
    hooks: dict[str, int]  # q processes by the version of their hook; "": it does not say
    sessions: dict[SessionState, int]
    grants: int
    revocations: int  # in force
    subscribers: list[SubscriberStatus]
    sources: list[SourceSummary]
    tickets: TicketsStatus | None  # null: they are off
    store: StoreStatus
    stores: StoresStatus | None  # null: there are none
    last_sequence: int  # of the events
    next_refresh_at: datetime | None


class Health(Struct, frozen=True, kw_only=True):
    """The table answers."""

    status: Literal["ok"] = "ok"
