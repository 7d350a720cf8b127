"""What tests stand in for the world: a clock moved by hand, a store in memory, and sample rows."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import anyio
from msgspec import structs

from sessiond.core.changes import Bind, Open, OpenTicket, OpenWeb, Renew
from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.decide import Rules
from sessiond.core.errors import StoreError
from sessiond.core.events import Event, SessionOpened
from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.revocation import Revocation
from sessiond.core.rows import Drop, NameOwner, Put, Row, SecretRow, Write
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, ProcessKey, Session, SessionId, SessionState
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import Epoch, StoredContext, StoredValue
from sessiond.core.ticket import SpentTicket, Ticket, TicketId, TicketKey
from sessiond.core.verdict import PresentedTokens, Verdict
from sessiond.core.web_login import UsedState, WebLogin
from sessiond.table import Loaded, TableSettings
from sessiond.testing.clock import START as START
from sessiond.testing.clock import FakeClock as FakeClock
from sessiond.testing.clock import idle as idle

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RULES = Rules(
    unbound=timedelta(seconds=10), grace=timedelta(seconds=30), share=0.6, jitter=0.1
)  # the configuration's defaults

T = TypeVar("T")


class Settings(Generic[T]):
    """What a service reads its settings from; a test puts others there, as a reload does."""

    def __init__(self, now: T) -> None:
        self.now = now

    def __call__(self) -> T:
        return self.now


def table_settings(rules: Rules = RULES, *, keep: timedelta = 7 * DAY) -> Settings[TableSettings]:
    return Settings(TableSettings(rules=rules, keep_events=keep))


class MemoryStore:
    """Fulfils `sessiond.table.Store`, and can be made to fail or to wait."""

    def __init__(self) -> None:
        self.rows: dict[tuple[type[Row], object], Row] = {}
        self.refresh_tokens: dict[GrantId, Secret] = {}
        self.secrets: dict[tuple[type[Row], object], Secret] = {}  # of other rows
        self.events: list[Event] = []
        self.commits: list[tuple[list[Write], list[Event]]] = []
        self.failing = 0  # so many of the next commits raise StoreError
        self.forgets = True  # forget_events works
        self.gate: anyio.Event | None = None  # a commit waits until it is set
        self.arrived = anyio.Event()  # a commit has begun
        self._sequence = 0

    async def load(self) -> Loaded:
        return Loaded(list(self.rows.values()), self._sequence)

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failing:
            self.failing -= 1
            raise StoreError("the disk is full")
        if any(event.sequence <= self._sequence for event in events):
            raise StoreError("a sequence number came twice")
        for write in writes:
            self._keep_secret(write)
            if isinstance(write, Put):
                self.rows[_key(write.row)] = write.row
            else:
                self.rows.pop(_key(write.row), None)
        self.events += events
        self._sequence = max([self._sequence, *(event.sequence for event in events)])
        self.commits.append((list(writes), list(events)))

    async def refresh_token(self, grant: GrantId) -> Secret | None:
        return self.refresh_tokens.get(grant)

    async def secret(self, row: SecretRow) -> Secret | None:
        if isinstance(row, Grant):
            return await self.refresh_token(row.id)
        return self.secrets.get(_key(row))

    def _keep_secret(self, write: Write) -> None:
        match write:
            case Put(Grant() as row, secret=token) if token is not None:
                self.refresh_tokens[row.id] = token
            case Drop(Grant() as row, give_back=False):
                self.refresh_tokens.pop(row.id, None)
            case Put(row, secret=secret) if secret is not None:
                self.secrets[_key(row)] = secret
            case Drop(TicketKey() | SourceGrant() | StoredValue() as row):
                self.secrets.pop(_key(row), None)
            case _:
                pass

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        later = sorted(
            (event for event in self.events if event.sequence > sequence),
            key=lambda event: event.sequence,
        )
        return later[:limit]

    async def forget_events(self, *, before: datetime, up_to: int) -> None:
        if not self.forgets:
            raise StoreError("the disk is full")
        self.events = [
            event for event in self.events if event.at >= before and event.sequence > up_to
        ]

    def hold(self) -> anyio.Event:
        """Make commits wait until the event is set; `arrived` tells when the next one began."""
        self.gate, self.arrived = anyio.Event(), anyio.Event()
        return self.gate


def _key(row: Row) -> tuple[type[Row], object]:
    match row:
        case Session() | Grant() | Revocation():
            return type(row), row.id
        case KnownToken():
            return type(row), row.hash
        case NameOwner():
            return type(row), row.name
        case WebLogin():
            return type(row), row.session
        case UsedState():
            return type(row), row.hash
        case Cursor():
            return type(row), row.subscriber
        case DeadLetter():
            return type(row), (row.subscriber, row.event.sequence)
        case SpentTicket() | TicketKey():
            return type(row), row.id
        case SourceGrant() | Epoch():
            return type(row), row.name
        case StoredContext():
            return type(row), row.context
        case StoredValue():
            return type(row), (row.context, row.name)


def session_id(number: int) -> SessionId:
    return SessionId(UUID(int=number))


def grant_id(number: int) -> GrantId:
    return GrantId(UUID(int=1000 + number))


def ticket_id(number: int) -> TicketId:
    return TicketId(UUID(int=2000 + number))


def token_hash(token: str) -> TokenHash:
    """Return a stand-in for a token's HMAC: readable, and another for each text."""
    return TokenHash(b"hash of " + token.encode())


def process_key(pid: int = 100) -> ProcessKey:
    return ProcessKey(uid=500, pid=pid, started=pid * 7)


def process_about(pid: int = 100) -> ProcessAbout:
    return ProcessAbout(name=f"rdb{pid}", type="rdb", host="tick.example.com", pid=pid)


def principal(name: str = "alice", subject: str = "", issuer: str = "corp") -> Principal:
    return Principal(issuer=issuer, subject=subject or f"subject of {name}", name=name)


def lease(begin: datetime = START, length: timedelta = HOUR) -> Lease:
    return Lease(issued_at=begin, expires_at=begin + length)


def verdict(
    who: Principal | None = None,
    *,
    begin: datetime = START,
    length: timedelta = HOUR,
    states_iat: bool = True,
    roles: tuple[str, ...] = ("reader",),
    attributes: dict[str, str] | None = None,
    auth_time: datetime | None = None,
    acr: tuple[str, ...] = (),
) -> Verdict:
    return Verdict(
        principal=who or principal(),
        lease=lease(begin, length),
        roles=roles,
        attributes=attributes or {},
        stated_iat=begin if states_iat else None,
        auth_time=auth_time,
        acr=acr,
    )


def presented(
    access: str = "access",
    refresh: str | None = None,
    *,
    says: Verdict | None = None,
    client: str = "qstudio",
    draw: float = 0.5,  # no jitter
    presented_at: datetime | None = None,  # else when its lease began
) -> PresentedTokens:
    says = says or verdict()
    return PresentedTokens(
        verdict=says,
        access=token_hash(access),
        refresh=None if refresh is None else token_hash(refresh),
        refresh_token=None if refresh is None else Secret(refresh),
        client=client,
        draw=draw,
        presented_at=presented_at or says.lease.issued_at,
    )


def login(
    number: int, tokens: PresentedTokens | None = None, *, handle: int | None = None, pid: int = 100
) -> Open:
    """Return an Open whose session, grant and (unless given) handle go by one number."""
    return Open(
        session=session_id(number),
        grant=grant_id(number),
        process=process_key(pid),
        about=process_about(pid),
        typed=(tokens or presented()).verdict.principal.name,
        handle=number if handle is None else handle,
        address=0x7F000001,
        presented=tokens or presented(),
    )


def bind(number: int, *, handle: int | None = None, pid: int = 100) -> Bind:
    return Bind(
        process=process_key(pid),
        session=session_id(number),
        handle=number if handle is None else handle,
        child=session_id(500_000 + number),
    )


def web_login(
    number: int,
    tokens: PresentedTokens | None = None,
    *,
    cookie: str | None = None,
    base: str = "",
    state: str | None = None,
    pid: int = 100,
) -> OpenWeb:
    """Return an OpenWeb whose session and grant go by one number."""
    return OpenWeb(
        session=session_id(number),
        grant=grant_id(number),
        process=process_key(pid),
        about=process_about(pid),
        address=0x7F000001,
        presented=tokens or presented(),
        cookie=None if cookie is None else token_hash(cookie),
        base=base,
        state=None if state is None else token_hash(state),
    )


def ticket(
    number: int,
    *,
    name: str = "alice",
    parent: int | None = 1,
    expires_at: datetime = START + timedelta(seconds=30),
) -> Ticket:
    return Ticket(
        id=ticket_id(number),
        name=name,
        parent=None if parent is None else session_id(parent),
        expires_at=expires_at,
    )


def ticket_login(
    number: int,
    spent: Ticket | None = None,
    *,
    tokens: PresentedTokens | None = None,
    handle: int | None = None,
    pid: int = 200,
) -> OpenTicket:
    """Return an OpenTicket whose session, grant, ticket and handle go by one number."""
    return OpenTicket(
        session=session_id(number),
        grant=grant_id(number),
        process=process_key(pid),
        about=process_about(pid),
        typed="alice",
        handle=number if handle is None else handle,
        address=0x7F000001,
        ticket=spent or ticket(number, parent=1 if tokens is None else None),
        presented=tokens,
    )


def renewal(
    number: int, tokens: PresentedTokens, *, grant: int = 900, pid: int = 100, push: bool = False
) -> Renew:
    return Renew(
        process=process_key(pid),
        session=session_id(number),
        grant=grant_id(grant),
        presented=tokens,
        push=push,
    )


def session(number: int = 1, **members: Any) -> Session:
    """Return an open session on handle `number`, with the members given otherwise."""
    plain = Session(
        id=session_id(number),
        process=process_key(),
        about=process_about(),
        principal=principal(),
        grant=grant_id(1),
        access=token_hash("access"),
        handle=number,
        address=0x7F000001,
        state=SessionState.OPEN,
        since=START,
        until=None,
        roles=("reader",),
        attributes={"desk": "rates"},
        typed="alice",
        assigned={"reader": ("claim roles: kdb.read",)},
        protected=(),
        told=("reader",),
    )
    return structs.replace(plain, **members)


def grant(number: int = 1, **members: Any) -> Grant:
    """Return a grant without a refresh token, with the members given otherwise."""
    plain = Grant(
        id=grant_id(number),
        issuer="corp",
        subject="subject of alice",
        client="qstudio",
        lease=lease(),
    )
    return structs.replace(plain, **members)


def refreshable(number: int = 1, text: str = "refresh", **members: Any) -> Put:
    """Return what puts a grant with a refresh token, with the members given otherwise."""
    return Put(grant(number, has_refresh_token=True, **members), Secret(text))


def opened_event(sequence: int = 0, at: datetime = START) -> SessionOpened:
    return SessionOpened(sequence=sequence, at=at, session=session_id(1), user="alice")
