"""Connections at work on everything behind them; what is not the daemon is steered by the test."""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import anyio
from anyio.abc import TaskGroup

from sessiond.core.access import AccessRules
from sessiond.core.changes import Revoke
from sessiond.core.revocation import Scope
from sessiond.core.secret import Secret
from sessiond.core.session import Session
from sessiond.core.verdict import Verdict
from sessiond.eventlog import EventLog
from sessiond.gate import FairLimiter, Gate
from sessiond.kdb.connected import ConnectedProcesses
from sessiond.kdb.connection import Connection
from sessiond.kdb.conversation import ConnectionContext
from sessiond.kdb.estate import Estate
from sessiond.kdb.login_services import LoginServices
from sessiond.kdb.subscriber_access import ProcessNames, SubscriberAccess
from sessiond.kdb.tasks import Work
from sessiond.kdb.turns import Turns
from sessiond.kdb.welcome import ConnectionSettings, Welcome
from sessiond.qipc import (
    Accepted,
    Value,
    Vector,
    mapping,
)
from sessiond.qipc import Table as QTable
from sessiond.qipc.values import QType
from sessiond.refresher import Refresher, RefreshIssuer, RefreshSettings
from sessiond.system.peer import AllowList, Peer
from sessiond.table import Table, TableSettings
from sessiond.testing.calls import (
    PING,
    SESSIONS,
    connect_call,
    hello_call,
    opened_call,
    reconcile_call,
    renew_call,
)
from sessiond.testing.plain import plain, plain_dict
from sessiond.testing.wire import ProcessWire
from sessiond.tickets.settings import TicketSettings
from sessiond.tickets.tickets import Tickets
from tests.fakes import RULES, FakeClock, MemoryStore, Settings, idle, table_settings
from tests.unit.gate.fakes import ScriptedVerifier, gate_issuer, gate_settings, opaque
from tests.unit.kdb.fakes import FakeSources, FakeWeb
from tests.unit.kdb.pipe import PipeEnd, pipe
from tests.unit.refresher.refreshing import ScriptedTokens, hashed
from tests.unit.tickets.making import tickets_on

INSTANCE = UUID(int=42)
R = TypeVar("R")


@dataclass
class TokenVerifier(ScriptedVerifier):
    """Lets the test hold the verdict on one token while others pass."""

    holding: dict[str, anyio.Event] = field(default_factory=dict)
    landed: list[str] = field(default_factory=list)  # tokens, in the order of the verdicts

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        if token.reveal() in self.holding:
            await self.holding[token.reveal()].wait()
        self.landed.append(token.reveal())
        return await super().verify(token, now=now, expires_in=expires_in)

    def hold_token(self, token: str) -> anyio.Event:
        self.holding[token] = anyio.Event()
        return self.holding[token]


class Process:
    """q's end of a connection in memory, in the test's own task: a FakeProcess that awaits."""

    def __init__(self, end: PipeEnd, over: anyio.Event, connection: Connection) -> None:
        self.end = end
        self.connection = connection
        self.over = over  # the daemon is done with this connection
        self.wire = ProcessWire()

    @property
    def pushes(self) -> list[dict[str, Any]]:
        """Those that came meanwhile."""
        self.wire.keep_all()
        return self.wire.pushes

    async def greet(self, user: str = "gw1", capability: int = 3) -> Accepted:
        await self.end.send(self.wire.greeting(user, "ignored", capability))
        return await self._wait_for(self.wire.accepted)

    async def hello(self, name: str = "gw1") -> dict[str, Value]:
        return mapping(await self.sync(hello_call(name)))

    async def connect(
        self, user: str = "alice", brings: str = "access", handle: int = 5
    ) -> dict[str, Any]:
        """Log a user in; return the answer in Python's terms."""
        return plain_dict(await self.sync(connect(user, brings, handle)))

    async def log_in(self, brings: str = "access", handle: int = 5) -> UUID:
        """Connect and open; return the session."""
        answer = await self.connect("alice", brings, handle)
        assert answer["ok"], answer["reason"]
        session: UUID = answer["session"]
        await self.tell(opened_call(session, handle))
        await self.ping()
        return session

    async def sessions(self) -> list[int]:
        """Return the handles of this process's live sessions."""
        return columns(await self.sync(SESSIONS))["handle"]

    async def reconcile(self, held: dict[int, UUID]) -> list[int]:
        """Say what is held; return the handles to close."""
        doomed = await self.sync(reconcile_call(held))
        assert isinstance(doomed, Vector)
        assert doomed.type is QType.INT
        return plain(doomed)  # type: ignore[no-any-return]

    async def ping(self) -> None:
        """Return when everything sent before has had its turn."""
        await self.sync(PING)

    async def sync(self, value: Value) -> Value:
        await self.ask(value)
        return await self.answer()

    async def ask(self, *values: Value) -> None:
        """Send sync calls together, and do not wait."""
        await self.end.send(b"".join(map(self.wire.sync, values)))

    async def tell(self, value: Value) -> None:
        """Send async."""
        await self.end.send(self.wire.async_(value))

    async def answer(self) -> Value:
        """Wait for the answer to the oldest call that has none."""
        answer: Value = await self._wait_for(self.wire.next_answer)
        return answer

    async def next_push(self) -> dict[str, Any]:
        return await self._wait_for(self.wire.next_push)

    async def end_of_stream(self) -> None:
        """Wait for the daemon to end the connection, and keep the pushes before that."""
        with suppress(anyio.EndOfStream):
            while True:
                self.wire.receive_data(await self.end.receive())

    async def is_cut(self) -> bool:
        """Wait for the daemon to end the connection and to be done with it."""
        await self.end_of_stream()
        await self.over.wait()
        return True

    async def leave(self) -> None:
        """Close, and wait until the daemon is done with it."""
        await self.end.aclose()
        await self.over.wait()

    async def _wait_for(self, asked: Callable[[], R | None]) -> R:
        while (found := asked()) is None:
            self.wire.receive_data(await self.end.receive())
        return found


def refused(reason: str) -> dict[str, Any]:
    """Return the whole answer of a refused login, in Python's terms."""
    return {
        "ok": False,
        "session": UUID(int=0),
        "user": "",
        "roles": [],
        "attributes": {},
        "expires": -(2**63),
        "reason": reason,
    }


def columns(table: Value) -> dict[str, list[Any]]:
    """Return a table in Python's terms."""
    assert isinstance(table, QTable)
    return dict(zip(table.columns, map(plain, table.values), strict=True))


def password_of(tokens: str) -> str:
    """Return a pair as it is, and a token alone with its mark."""
    return tokens if ";" in tokens else opaque(tokens)


def connect(user: str = "alice", brings: str = "access", handle: int = 5) -> Value:
    """Return a connect that brings an access token, or a pair."""
    return connect_call(user, password_of(brings), handle)


def renew(session: UUID, brings: str) -> Value:
    return renew_call(session, password_of(brings))


def peer(pid: int = 100) -> Peer:
    """Return the peer that `tests.fakes.process_key` is the key of."""
    return Peer(uid=500, groups=frozenset({500}), pid=pid, started=pid * 7)


@dataclass
class FakePlace:
    """Fulfils `Place`."""

    tasks: TaskGroup
    gone: anyio.Event = field(default_factory=anyio.Event)
    is_known: bool = False

    def known(self) -> None:
        self.is_known = True

    def over(self) -> None:
        self.gone.set()

    def start_soon(self, work: Work, /) -> None:
        self.tasks.start_soon(work)


@dataclass
class Serving:
    """The daemon without its sockets."""

    clock: FakeClock
    store: MemoryStore
    table: Table
    refresher: Refresher
    verifier: TokenVerifier
    source: ScriptedTokens
    connected: ConnectedProcesses
    context: ConnectionContext
    settings: ConnectionSettings
    subscriber_access: Settings[AllowList | None]
    tasks: TaskGroup
    estate: Estate
    table_settings: Settings[TableSettings]
    web: FakeWeb
    sources: FakeSources
    tickets: Tickets
    ticket_settings: Settings[TicketSettings | None]
    connections: list[Connection] = field(default_factory=list)

    def arrive(self, who: Peer | None = None, *, room: float = math.inf) -> Process:
        """Have a peer connect; it has said nothing yet."""
        place = FakePlace(self.tasks)
        connection = Connection(who or peer(), self.context, self.settings, place)
        theirs = pipe(connection, room=room)
        self.connections.append(connection)
        return Process(theirs, place.gone, connection)

    async def process(
        self, pid: int = 100, *, name: str = "gw1", room: float = math.inf
    ) -> Process:
        """Return a process that has said hello."""
        process = self.arrive(peer(pid), room=room)
        await process.greet()
        await process.hello(name)
        return process

    def reload(self, access: AccessRules) -> None:
        """Have other rules count, as the daemon does."""
        now = self.table_settings.now
        self.table_settings.now = replace(now, rules=replace(now.rules, access=access))
        self.estate.reload()

    async def late(self, q: Process, value: Value) -> dict[str, Any]:
        """Return the answer of a connect or renew that takes longer than its deadline."""
        await q.ask(value)
        await self.clock.advance(self.settings.deadline)
        return plain_dict(await q.answer())

    async def live(self, q: Process) -> int:
        """Return how many sessions there are, in the table and on disk."""
        await idle()
        handles = await q.sessions()
        assert len(handles) == len(self.kept)
        return len(handles)

    async def revoke_all(self) -> int:
        revoke = Revoke(id=UUID(int=5), scope=Scope.ALL, value="", reason="now")
        return (await self.table.ask(revoke)).sessions

    @property
    def kept(self) -> list[Session]:
        """The sessions on disk."""
        return [row for row in self.store.rows.values() if isinstance(row, Session)]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Kind and reason of every event."""
        return [(event.kind, getattr(event, "reason", "")) for event in self.store.events]


@asynccontextmanager
async def serving(
    clock: FakeClock,
    *,
    deadline: float = 30.0,
    waiting: int = 4,
    recheck: float = 0.0,
    proved: Sequence[str] = (),
    max_message: int = 1 << 20,
    access: AccessRules | None = None,
) -> AsyncIterator[Serving]:
    store, connected, numbers, web = MemoryStore(), ConnectedProcesses(), count(1), FakeWeb()
    sources = FakeSources()
    events = EventLog(store, clock)
    rules = replace(RULES, proved=frozenset(proved), access=access or RULES.access)
    settled = table_settings(rules)
    table = Table(store, clock, settled)
    estate = Estate(table, lambda: settled.now.rules.access, clock)
    verifier, source = TokenVerifier(), ScriptedTokens(clock, [])
    gate = Gate(
        gate_settings(gate_issuer(verifier, clock), waiting=waiting),
        clock=clock,
    )
    refresh_issuer = RefreshIssuer(
        iss="corp",
        admits=lambda _: True,
        sources={"qstudio": source},
        verifier=verifier,
        limiter=anyio.CapacityLimiter(4),
        unproved=FairLimiter(4),
    )
    refreshed = RefreshSettings(issuers={"corp": refresh_issuer}, recheck=recheck)
    refresher = Refresher(
        lambda: refreshed,
        table,
        clock=clock,
        hashed=hashed,
        draw=lambda: 0.5,
    )
    table.attend(*(events.take, gate.take, refresher.take, connected.take), heralds=(estate.take,))
    login_services = LoginServices(
        table=table,
        gate=gate,
        refresher=refresher,
        clock=clock,
        hashed=hashed,
        draw=lambda: 0.5,
        new_id=lambda: UUID(int=next(numbers)),
        proved=lambda: rules.proved,
    )
    settings = ConnectionSettings(deadline=deadline, max_message=max_message, proof_key=None)
    ticket_settings: Settings[TicketSettings | None] = Settings(None)
    tickets = tickets_on(table, gate, clock, ticket_settings)
    subscriber_access = Settings[AllowList | None](None)
    context = ConnectionContext(
        login_services=login_services,
        connected=connected,
        events=events,
        clock=clock,
        welcome=Welcome(instance=INSTANCE, address="/tmp/kx.5099"),
        subscriber_access=SubscriberAccess(subscriber_access),
        names=ProcessNames(clock.monotonic),
        turns=Turns(table),
        estate=estate,
        web=web,
        sources=sources,
        tickets=tickets,
    )
    async with anyio.create_task_group() as tasks:
        for run in (gate.run, refresher.run, table.run, estate.run):
            tasks.start_soon(run)
        at_work = Serving(
            clock,
            store,
            table,
            refresher,
            verifier,
            source,
            connected,
            context,
            settings,
            subscriber_access,
            tasks,
            estate,
            settled,
            web,
            sources,
            tickets,
            ticket_settings,
        )
        try:
            yield at_work
        finally:
            for each in at_work.connections:
                each.cut()
            tasks.cancel_scope.cancel()
            table.close()
    await idle()  # after the group: in it this would be cancelled, and a failure with it
