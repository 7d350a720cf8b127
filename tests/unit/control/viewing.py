"""The control API on a table in memory and a scripted issuer, asked without a socket."""

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from sessiond.config import SubscriberConfig
from sessiond.containment import Containment
from sessiond.control.access import Access
from sessiond.control.app import control_app
from sessiond.control.instrumented import InstrumentedStore, InstrumentedVerifier
from sessiond.control.operation import Operation
from sessiond.control.operations import OPERATIONS
from sessiond.control.view import IssuerView, View, ViewSettings
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession
from sessiond.eventlog import EventLog
from sessiond.extensions.subscribers import (
    DeliveryRules,
    Subscribers,
    SubscriberSettings,
    starter,
)
from sessiond.gate import Gate
from sessiond.issuers.health import IssuerHealth
from sessiond.kdb.connected import ConnectedProcesses
from sessiond.sources.settings import SourceSettings
from sessiond.sources.sources import Sources
from sessiond.system.peer import Peer
from sessiond.table import Table
from sessiond.tickets.settings import TicketSettings
from sessiond.tokenstores.stores import TokenStores
from tests.fakes import (
    RULES,
    FakeClock,
    MemoryStore,
    Settings,
    bind,
    idle,
    login,
    presented,
    process_about,
    process_key,
    table_settings,
    token_hash,
    verdict,
)
from tests.unit.gate.fakes import ScriptedVerifier, gate_issuer, gate_settings
from tests.unit.kdb.fakes import FakeLine
from tests.unit.tickets.making import tickets_on

ADMIN = Peer(uid=os.geteuid(), groups=frozenset(), pid=1, started=1)
STRANGER = Peer(uid=64999, groups=frozenset({64999}), pid=2, started=2)
INSTANCE = UUID(int=7)
TOKEN = "eyJhbGciOiJFUzI1NiJ9.c2VjcmV0LXBheWxvYWQ.c2lnbmF0dXJlLXRvby1sb25n"


def hashed(token: Secret) -> TokenHash:
    return token_hash(token.reveal())


@dataclass
class Viewing:
    """A view at work, the peer that asks it, and what stands in for the world."""

    view: View
    app: ASGIApp
    store: MemoryStore
    clock: FakeClock
    verifier: ScriptedVerifier
    health: IssuerHealth
    closing: anyio.Event
    line: FakeLine  # of the process that logs in
    settings: Settings[ViewSettings]
    subscribed: Settings[SubscriberSettings]
    ticketed: Settings[TicketSettings | None]
    peer: Peer = ADMIN
    answers: list[httpx.Response] = field(default_factory=list)

    async def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Return the answer that the peer gets."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self._as_peer), base_url="http://sessiond"
        ) as client:
            return await client.request(method, path, **content)

    async def want(self, *subscribers: SubscriberConfig) -> None:
        """Have these subscribers and no others configured, and return when that is so."""
        self.subscribed.now = replace(self.subscribed.now, wanted=subscribers)
        await self.view.subscribers.apply()

    async def get(self, path: str, **query: Any) -> Any:
        response = await self.ask("GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    async def log_in(self, number: int, *, pid: int = 100, access: str = "") -> ActiveSession:
        tokens = presented(access or f"access {number}", says=verdict(begin=self.clock.now()))
        standing = await self.view.table.ask(login(number, tokens, pid=pid))
        assert isinstance(standing, ActiveSession)
        assert await self.view.table.ask(bind(number, pid=pid))
        return standing

    async def alive(self) -> set[int]:
        found = await self.get("/v1/sessions")
        return {UUID(each["session"]).int for each in found["sessions"]}

    async def _as_peer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "state": {"peer": self.peer}}, receive, send)


@asynccontextmanager
async def viewing(
    *,
    store: MemoryStore | None = None,
    access: Access | None = None,
    proved: frozenset[str] = frozenset(),
    introspects_as: str = "",
    operations: Iterable[Operation] = OPERATIONS,
) -> AsyncIterator[Viewing]:
    store, clock = store or MemoryStore(), FakeClock()
    watched = InstrumentedStore(store, clock)
    events = EventLog(watched, clock)
    table = Table(watched, clock, table_settings(replace(RULES, proved=proved)))
    await table.load()
    events.begin(table.sequence)
    verifier, health, containment = ScriptedVerifier(), IssuerHealth(clock), Containment()
    health.heard(None)
    corp = gate_issuer(InstrumentedVerifier(verifier, health), clock)
    gate = Gate(gate_settings(corp), clock=clock, containment=containment)
    connected, line = ConnectedProcesses(), FakeLine()
    table.attend(events.take, gate.take, connected.take)
    for pid, hook in ((100, "0.1.0"), (200, "0.1.0"), (300, "")):
        connected.enter(
            process_key(pid), line if pid == 100 else FakeLine(), process_about(pid), hook
        )
    connected.begin(table.sequence)
    numbers = count(9001)
    shown = IssuerView(
        route=corp.route, breaker=corp.breaker, health=health, introspects_as=introspects_as
    )
    settings = Settings(ViewSettings(issuers={"corp": shown}, proved=proved, deadline=2.0))
    rules = DeliveryRules(max_attempts=3, keep=timedelta(days=7))
    subscribed = Settings(SubscriberSettings(wanted=(), rules=rules))
    ticketed: Settings[TicketSettings | None] = Settings(None)
    view = View(
        instance=INSTANCE,
        clock=clock,
        table=table,
        store=watched,
        events=events,
        connected=connected,
        gate=gate,
        tickets=tickets_on(table, gate, clock, ticketed),
        settings=settings,
        hashed=hashed,
        new_id=lambda: UUID(int=next(numbers)),
        database=Path("/nowhere/sessiond.db"),
        subscribers=Subscribers(
            subscribed,
            events,
            table,
            clock,
            start=starter({}, clock),
            draw=lambda: 0.5,
        ),
        stores=TokenStores(lambda: settings().stores, table, clock),
        sources=Sources(
            Settings(SourceSettings()),
            table,
            clock=clock,
            containment=containment,
            random=lambda: "random",
        ),
        refused=lambda: 4,
        failures=containment.failures,
    )
    closing = anyio.Event()
    permitted = access or Access.of(readers=(), admins=())
    app = control_app(view, lambda: permitted, closing, operations)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.run)
        tasks.start_soon(gate.run)
        view.begin()
        await idle()
        try:
            yield Viewing(
                view,
                app,
                store,
                clock,
                verifier,
                health,
                closing,
                line,
                settings,
                subscribed,
                ticketed,
            )
        finally:
            table.close()
            await idle()
            tasks.cancel_scope.cancel()


def problem(response: Any, status: int) -> str:
    """Return a problem's detail; the response must be one (RFC 9457)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["status"] == status
    return str(body["detail"])
