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
from sessiond.kdb.authentication import Desk
from sessiond.kdb.connection import Connection
from sessiond.kdb.conversation import Counter
from sessiond.kdb.directory import Directory
from sessiond.kdb.listener import Listener
from sessiond.kdb.welcome import Welcome
from sessiond.metrics import Measures
from sessiond.refresher import Refresher
from sessiond.store.sealing import TokenHasher
from sessiond.system.peer import Peer
from sessiond.table import Table
from sessiond.timekeeper import Timekeeper

draw = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Every service, made and not yet running."""

    clock: SystemClock
    measures: Measures
    issuers: Issuers
    timekeeper: Timekeeper
    bus: Bus
    store: instrumented.WatchedStore
    events: EventLog
    table: Table
    directory: Directory
    names: ProcessNames
    pushes: MemoryObjectReceiveStream[Committed]
    gate: Gate
    refresher: Refresher
    desk: Desk
    subscribers: Subscribers


def parts_of(
    config: Config,
    *,
    clock: SystemClock,
    store: store.SqliteStore,
    issuers: Issuers,
    hasher: TokenHasher,
    environ: Mapping[str, str],
) -> Parts:
    """Make the services. Each is given the values it uses, never the configuration."""
    made = issuers.made
    measures = issuers.measures
    bus, kept = Bus(), instrumented.WatchedStore(store, clock, measures)
    events = EventLog(kept, bus.listen(), clock)  # listens first: it knows what others act on
    rules, keep_events = settings.rules_of(config, made), settings.keep_events(config)
    table = Table(kept, bus, clock, rules, keep_events=keep_events)
    gate = Gate(
        settings.doors_of(config, made),
        news=bus.listen(),
        clock=clock,
        waiting=config.login.waiting,
        containment=issuers.containment,
    )
    refresher = _refresher(config, issuers, table, bus, clock, hasher)
    feeding, start = settings.feeding_rules(config), starter(environ, clock)
    return Parts(
        clock=clock,
        measures=measures,
        issuers=issuers,
        timekeeper=Timekeeper(clock, settings.witnesses_of(made), issuers.containment),
        bus=bus,
        store=kept,
        events=events,
        table=table,
        directory=Directory(),
        names=ProcessNames(clock.monotonic),
        pushes=bus.listen(),
        gate=gate,
        refresher=refresher,
        desk=_desk(table, gate, refresher, clock, hasher, measures, proved=rules.proved),
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
        settings.lines_of(issuers.made),
        table,
        news=bus.listen(),
        clock=clock,
        hashed=hasher.token_hash,
        draw=draw,
        recheck=config.refresh.recheck,
        note_late=issuers.measures.refresh_late.observe,
        containment=issuers.containment,
    )


def _desk(
    table: Table,
    gate: Gate,
    refresher: Refresher,
    clock: SystemClock,
    hasher: TokenHasher,
    measures: Measures,
    *,
    proved: frozenset[str],
) -> Desk:
    return Desk(
        table=table,
        gate=gate,
        refresher=refresher,
        clock=clock,
        hashed=hasher.token_hash,
        draw=draw,
        new_id=uuid4,
        proved=proved,
        measures=measures,
    )


class Reception:
    """Receives connections. Each is served as was configured when it came."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    async def attend(self, stream: ByteStream, peer: Peer, said_hello: Callable[[], None]) -> None:
        await Connection(stream, peer, self.counter, said_hello).serve()


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What faces the outside."""

    welcome: Welcome
    reception: Reception
    listener: Listener
    view: View
    control: ControlServer


def front_of(
    config: Config,
    parts: Parts,
    looked_up: LookedUp,
    *,
    welcome: Welcome,
    sockets: list[socket.socket],
    control: socket.socket | None,
) -> Front:
    """Make it, once the table is loaded."""
    reception = Reception(
        Counter(
            desk=parts.desk,
            directory=parts.directory,
            events=parts.events,
            clock=parts.clock,
            welcome=welcome.answer,
            instance=welcome.instance,
            deadline=config.login.deadline,
            max_message=config.listen.max_message,
            audience=Audience(looked_up.subscribers),
            names=parts.names,
        )
    )
    listener = Listener(
        sockets,
        allowed=looked_up.allowed,
        max_connections=config.listen.max_connections,
        serve=reception.attend,
    )
    view = _view(config, parts, listener, welcome)
    return Front(
        welcome=welcome,
        reception=reception,
        listener=listener,
        view=view,
        control=ControlServer(control, view, looked_up.access),
    )


def _view(config: Config, parts: Parts, listener: Listener, welcome: Welcome) -> View:
    return View(
        instance=welcome.instance,
        clock=parts.clock,
        table=parts.table,
        store=parts.store,
        events=parts.events,
        directory=parts.directory,
        gate=parts.gate,
        issuers=settings.views_of(parts.issuers.made),
        proved=parts.desk.proved,
        hashed=parts.desk.hashed,
        new_id=uuid4,
        deadline=config.login.deadline,
        database=settings.database_of(config),
        refused=lambda: listener.refused,
        measures=parts.measures,
        failures=parts.issuers.containment.failures,
        subscribers=parts.subscribers,
    )
