"""The services and how they hold on to each other, downstream first."""

import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from anyio.abc import ByteStream
from anyio.streams.memory import MemoryObjectReceiveStream

from sessiond import store
from sessiond.bus import Bus, Committed
from sessiond.clock import SystemClock
from sessiond.config import Config
from sessiond.control import instrumented
from sessiond.control.server import ControlServer
from sessiond.control.view import View
from sessiond.daemon import settings
from sessiond.daemon.issuers import Issuers
from sessiond.daemon.settings import LookedUp
from sessiond.eventlog import EventLog
from sessiond.extensions.subscribers import Subscribers, starter
from sessiond.gate import Gate
from sessiond.kdb.audience import Audience, ProcessNames
from sessiond.kdb.authentication import LoginServices
from sessiond.kdb.connection import Connection
from sessiond.kdb.conversation import ConnectionContext
from sessiond.kdb.directory import Directory
from sessiond.kdb.listener import Listener
from sessiond.kdb.welcome import Welcome
from sessiond.metrics import Metrics
from sessiond.refresher import Refresher
from sessiond.store.sealing import TokenHasher
from sessiond.system.peer import Peer
from sessiond.table import Table
from sessiond.timekeeper import Timekeeper

draw = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Every service, made and not yet running."""

    clock: SystemClock
    metrics: Metrics
    issuers: Issuers
    timekeeper: Timekeeper
    bus: Bus
    store: instrumented.InstrumentedStore
    events: EventLog
    table: Table
    directory: Directory
    names: ProcessNames
    pushes: MemoryObjectReceiveStream[Committed]
    gate: Gate
    refresher: Refresher
    login_services: LoginServices
    subscribers: Subscribers


def services_of(
    config: Config,
    *,
    clock: SystemClock,
    store: store.SqliteStore,
    issuers: Issuers,
    hasher: TokenHasher,
    environ: Mapping[str, str],
) -> Services:
    """Make the services. Each is given the values it uses, never the configuration."""
    running = issuers.running
    metrics = issuers.metrics
    bus, kept = Bus(), instrumented.InstrumentedStore(store, clock, metrics)
    events = EventLog(kept, bus.listen(), clock)  # listens first: it knows what others act on
    rules, keep_events = settings.rules_of(config, running), settings.keep_events(config)
    table = Table(kept, bus, clock, rules, keep_events=keep_events)
    gate = Gate(
        settings.gate_issuers_of(config, running),
        news=bus.listen(),
        clock=clock,
        waiting=config.login.waiting,
        containment=issuers.containment,
    )
    refresher = _refresher(config, issuers, table, bus, clock, hasher)
    feeding, start = settings.delivery_rules(config), starter(environ, clock)
    return Services(
        clock=clock,
        metrics=metrics,
        issuers=issuers,
        timekeeper=Timekeeper(clock, settings.witnesses_of(running), issuers.containment),
        bus=bus,
        store=kept,
        events=events,
        table=table,
        directory=Directory(),
        names=ProcessNames(clock.monotonic),
        pushes=bus.listen(),
        gate=gate,
        refresher=refresher,
        login_services=_login_services(
            table, gate, refresher, clock, hasher, metrics, proved=rules.proved
        ),
        subscribers=Subscribers(events, table, clock, start=start, draw=draw, rules=feeding),
    )


def _refresher(
    config: Config,
    issuers: Issuers,
    table: Table,
    bus: Bus,
    clock: SystemClock,
    hasher: TokenHasher,
) -> Refresher:
    return Refresher(
        settings.refresh_issuers_of(issuers.running),
        table,
        news=bus.listen(),
        clock=clock,
        hashed=hasher.token_hash,
        draw=draw,
        recheck=config.refresh.recheck,
        note_late=issuers.metrics.refresh_late.observe,
        containment=issuers.containment,
    )


def _login_services(
    table: Table,
    gate: Gate,
    refresher: Refresher,
    clock: SystemClock,
    hasher: TokenHasher,
    metrics: Metrics,
    *,
    proved: frozenset[str],
) -> LoginServices:
    return LoginServices(
        table=table,
        gate=gate,
        refresher=refresher,
        clock=clock,
        hashed=hasher.token_hash,
        draw=draw,
        new_id=uuid4,
        proved=proved,
        metrics=metrics,
    )


class Reception:
    """Receives connections. Each is served as was configured when it came."""

    def __init__(self, context: ConnectionContext) -> None:
        self.context = context

    async def attend(self, stream: ByteStream, peer: Peer, said_hello: Callable[[], None]) -> None:
        await Connection(stream, peer, self.context, said_hello).serve()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What faces the outside."""

    welcome: Welcome
    reception: Reception
    listener: Listener
    view: View
    control: ControlServer


def endpoints_of(
    config: Config,
    services: Services,
    looked_up: LookedUp,
    *,
    welcome: Welcome,
    sockets: list[socket.socket],
    control: socket.socket | None,
) -> Endpoints:
    """Make it, once the table is loaded."""
    reception = Reception(
        ConnectionContext(
            login_services=services.login_services,
            directory=services.directory,
            events=services.events,
            clock=services.clock,
            welcome=welcome.answer,
            instance=welcome.instance,
            deadline=config.login.deadline,
            max_message=config.listen.max_message,
            audience=Audience(looked_up.subscribers),
            names=services.names,
        )
    )
    listener = Listener(
        sockets,
        allowed=looked_up.allowed,
        max_connections=config.listen.max_connections,
        serve=reception.attend,
    )
    view = _view(config, services, listener, welcome)
    return Endpoints(
        welcome=welcome,
        reception=reception,
        listener=listener,
        view=view,
        control=ControlServer(control, view, looked_up.access),
    )


def _view(config: Config, services: Services, listener: Listener, welcome: Welcome) -> View:
    return View(
        instance=welcome.instance,
        clock=services.clock,
        table=services.table,
        store=services.store,
        events=services.events,
        directory=services.directory,
        gate=services.gate,
        issuers=settings.views_of(services.issuers.running),
        proved=services.login_services.proved,
        hashed=services.login_services.hashed,
        new_id=uuid4,
        deadline=config.login.deadline,
        database=settings.database_of(config),
        refused=lambda: listener.refused,
        metrics=services.metrics,
        failures=services.issuers.containment.failures,
        subscribers=services.subscribers,
    )
