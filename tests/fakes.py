"""What tests stand in for the world: a clock moved by hand, a store in memory, and sample rows."""

import asyncio
import heapq
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import anyio
import anyio.lowlevel
import sniffio

from sessiond.core.changes import Bind, Brought, Open, Renew
from sessiond.core.decide import Rules
from sessiond.core.errors import StoreError
from sessiond.core.events import Event, SessionOpened
from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.revocation import Revocation
from sessiond.core.rows import NameOwner, Put, Row, Write
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, ProcessKey, Session, SessionId, SessionState
from sessiond.core.verdict import Verdict
from sessiond.table import Loaded

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
RULES = Rules(
    unbound=timedelta(seconds=10), grace=timedelta(seconds=30), share=0.6, jitter=0.1
)  # the configuration's defaults


async def idle() -> None:
    """Return when every other task waits for something.

    What a thread does (aiosqlite) is not seen: wait for its event instead.
    """
    if sniffio.current_async_library() == "trio":
        await anyio.wait_all_tasks_blocked()
        return
    me = asyncio.current_task()  # anyio's own naps a tenth of a second between two looks
    await asyncio.sleep(0)
    while any(_is_running(task) for task in asyncio.all_tasks() if task is not me):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)


def _is_running(task: asyncio.Task[Any]) -> bool:
    waiter = task._fut_waiter  # type: ignore[attr-defined]  # as anyio itself looks at it
    return waiter is None or waiter.done()


class FakeClock:
    """Fulfils `sessiond.clock.Clock`; its time passes only in `advance`."""

    def __init__(self, start: datetime = START) -> None:
        self._wall = start
        self._elapsed = timedelta(hours=5)  # a machine is not booted by starting a program
        self._sleepers: list[tuple[timedelta, int, anyio.Event]] = []
        self._slept = 0  # breaks ties: who slept first wakes first

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._elapsed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        self._slept += 1
        sleeper = (self._elapsed + timedelta(seconds=seconds), self._slept, anyio.Event())
        heapq.heappush(self._sleepers, sleeper)
        try:
            await sleeper[2].wait()
        finally:
            if sleeper in self._sleepers:  # cancelled
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)

    @property
    def sleepers(self) -> int:
        """How many tasks sleep."""
        return len(self._sleepers)

    async def advance(self, by: timedelta | float) -> None:
        """Let time pass (a bare number is seconds), and what it wakes run until all wait again.

        Sleepers wake one at a time, in order, each at its own moment: one that sleeps anew for a
        moment within the span is woken again.
        """
        end = self._elapsed + (by if isinstance(by, timedelta) else timedelta(seconds=by))
        await idle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, event = heapq.heappop(self._sleepers)
            self._pass_until(at)
            event.set()
            await idle()
        self._pass_until(end)

    def step_wall(self, by: timedelta) -> None:
        """Set the wall clock forth or back, as an administrator or NTP does; nobody wakes."""
        self._wall += by

    def _pass_until(self, elapsed: timedelta) -> None:
        self._wall += elapsed - self._elapsed
        self._elapsed = elapsed


class MemoryStore:
    """Fulfils `sessiond.table.Store`, and can be made to fail or to wait."""

    def __init__(self) -> None:
        self.rows: dict[tuple[type[Row], object], Row] = {}
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
            if isinstance(write, Put):
                self.rows[_key(write.row)] = write.row
            else:
                self.rows.pop(_key(write.row), None)
        self.events += events
        self._sequence = max([self._sequence, *(event.sequence for event in events)])
        self.commits.append((list(writes), list(events)))

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        later = sorted(
            (event for event in self.events if event.sequence > sequence),
            key=lambda event: event.sequence,
        )
        return later[:limit]

    async def forget_events(self, *, before: datetime) -> None:
        if not self.forgets:
            raise StoreError("the disk is full")
        self.events = [event for event in self.events if event.at >= before]

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


def session_id(number: int) -> SessionId:
    return SessionId(UUID(int=number))


def grant_id(number: int) -> GrantId:
    return GrantId(UUID(int=1000 + number))


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
) -> Verdict:
    return Verdict(
        principal=who or principal(),
        lease=lease(begin, length),
        roles=roles,
        attributes=attributes or {},
        stated_iat=begin if states_iat else None,
    )


def brought(
    access: str = "access",
    refresh: str | None = None,
    *,
    says: Verdict | None = None,
    client: str = "qstudio",
    draw: float = 0.5,  # no jitter
    presented_at: datetime | None = None,  # else when its lease began
) -> Brought:
    says = says or verdict()
    return Brought(
        verdict=says,
        access=token_hash(access),
        refresh=None if refresh is None else token_hash(refresh),
        refresh_token=None if refresh is None else Secret(refresh),
        client=client,
        draw=draw,
        presented_at=presented_at or says.lease.issued_at,
    )


def login(
    number: int, tokens: Brought | None = None, *, handle: int | None = None, pid: int = 100
) -> Open:
    """Return an Open whose session, grant and (unless given) handle go by one number."""
    return Open(
        session=session_id(number),
        grant=grant_id(number),
        process=process_key(pid),
        about=process_about(pid),
        handle=number if handle is None else handle,
        address=0x7F000001,
        brought=tokens or brought(),
    )


def bind(number: int, *, handle: int | None = None, pid: int = 100) -> Bind:
    return Bind(
        process=process_key(pid),
        session=session_id(number),
        handle=number if handle is None else handle,
    )


def renewal(
    number: int, tokens: Brought, *, grant: int = 900, pid: int = 100, push: bool = False
) -> Renew:
    return Renew(
        process=process_key(pid),
        session=session_id(number),
        grant=grant_id(grant),
        brought=tokens,
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
    )
    return replace(plain, **members)


def grant(number: int = 1, **members: Any) -> Grant:
    """Return a grant without a refresh token, with the members given otherwise."""
    plain = Grant(
        id=grant_id(number),
        issuer="corp",
        subject="subject of alice",
        client="qstudio",
        lease=lease(),
    )
    return replace(plain, **members)


def opened_event(sequence: int = 0, at: datetime = START) -> SessionOpened:
    return SessionOpened(sequence=sequence, at=at, session=session_id(1), user="alice")
