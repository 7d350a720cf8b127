"""The services and how they hold on to each other, downstream first."""

import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

from sessiond import store
from sessiond.clock import SystemClock
from sessiond.control import instrumented
from sessiond.control.server import ControlServer
from sessiond.control.view import View
from sessiond.daemon.issuers import Issuers
from sessiond.daemon.snapshot import Current, Snapshot
from sessiond.daemon.sources import SourceBuilder, SourceServices
from sessiond.eventlog import EventLog
from sessiond.extensions.subscribers import Subscribers, starter
from sessiond.gate import Gate
from sessiond.kdb.connected import ConnectedProcesses
from sessiond.kdb.connection import Connection
from sessiond.kdb.conversation import ConnectionContext
from sessiond.kdb.estate import Estate
from sessiond.kdb.listener import Listener, Place
from sessiond.kdb.login_services import LoginServices
from sessiond.kdb.process_access import ProcessAccess
from sessiond.kdb.subscriber_access import ProcessNames, SubscriberAccess
from sessiond.kdb.turns import Turns
from sessiond.kdb.welcome import ConnectionSettings, Welcome
from sessiond.metrics import Metrics
from sessiond.refresher import Refresher
from sessiond.sources.sources import Sources
from sessiond.store.sealing import TokenHasher
from sessiond.system.peer import Peer
from sessiond.table import Table
from sessiond.tickets.needs import TicketServices
from sessiond.tickets.tickets import Tickets
from sessiond.timekeeper import Timekeeper
from sessiond.tokenstores.stores import TokenStores
from sessiond.web.needs import WebServices
from sessiond.web.web import Web

RANDOM_SIZE = 32  # bytes: of a cookie, a state, a nonce, a verifier

draw = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Every service, made and not yet running."""

    clock: SystemClock
    metrics: Metrics
    issuers: Issuers
    timekeeper: Timekeeper
    database: store.SqliteStore
    store: instrumented.InstrumentedStore
    events: EventLog
    table: Table
    connected: ConnectedProcesses
    estate: Estate
    names: ProcessNames
    gate: Gate
    refresher: Refresher
    login_services: LoginServices
    web: Web
    sources: Sources
    source_builder: SourceBuilder
    tickets: Tickets
    subscribers: Subscribers
    stores: TokenStores


def services_of(
    current: Current[Snapshot],
    *,
    clock: SystemClock,
    store: store.SqliteStore,
    issuers: Issuers,
    hasher: TokenHasher,
    environ: Mapping[str, str],
) -> Services:
    """Make the services. Each is given a reader of its own part of what is configured by now."""
    metrics = issuers.metrics
    kept = instrumented.InstrumentedStore(store, clock, metrics)
    events = EventLog(kept, clock)
    table = Table(kept, clock, lambda: current.now.table, issuers.containment)
    gate = Gate(lambda: current.now.gate, clock=clock, containment=issuers.containment)
    refresher = _refresher(current, issuers, table, clock, hasher)
    sources, source_builder = _sources(current, issuers, table, refresher, clock, hasher, environ)
    connected = ConnectedProcesses(issuers.containment)
    estate = Estate(table, lambda: current.now.table.rules.access, clock, issuers.containment)
    # The log comes first: it knows what others act on. The pushes come last, so that whoever is
    # told of an end finds it carried out. Only those who follow hear of a login before it is
    # answered: once in, its user may be known by them at once.
    readers = (events.take, gate.take, refresher.take, sources.take, connected.take)
    table.attend(*readers, heralds=(estate.take,))
    return Services(
        clock=clock,
        metrics=metrics,
        issuers=issuers,
        timekeeper=Timekeeper(clock, lambda: current.now.witnesses, issuers.containment),
        database=store,
        store=kept,
        events=events,
        table=table,
        connected=connected,
        estate=estate,
        names=ProcessNames(clock.monotonic),
        gate=gate,
        refresher=refresher,
        login_services=_login_services(
            table, gate, refresher, clock, hasher, metrics, lambda: current.now.table.rules.proved
        ),
        web=_web(current, issuers, table, gate, refresher, clock, store, hasher),
        sources=sources,
        source_builder=source_builder,
        tickets=_tickets(current, table, gate, clock, store, hasher),
        subscribers=_subscribers(current, events, table, clock, environ),
        stores=TokenStores(lambda: current.now.view.stores, table, clock),
    )


def _subscribers(
    current: Current[Snapshot],
    events: EventLog,
    table: Table,
    clock: SystemClock,
    environ: Mapping[str, str],
) -> Subscribers:
    return Subscribers(
        lambda: current.now.subscribers,
        events,
        table,
        clock,
        start=starter(environ, clock),
        draw=draw,
    )


def _refresher(
    current: Current[Snapshot],
    issuers: Issuers,
    table: Table,
    clock: SystemClock,
    hasher: TokenHasher,
) -> Refresher:
    return Refresher(
        lambda: current.now.refresh,
        table,
        clock=clock,
        hashed=hasher.token_hash,
        draw=draw,
        note_late=issuers.metrics.refresh_late.observe,
        containment=issuers.containment,
    )


def _sources(
    current: Current[Snapshot],
    issuers: Issuers,
    table: Table,
    refresher: Refresher,
    clock: SystemClock,
    hasher: TokenHasher,
    environ: Mapping[str, str],
) -> tuple[Sources, SourceBuilder]:
    containment, metrics = issuers.containment, issuers.metrics
    sources = Sources(
        lambda: current.now.sources,
        table,
        clock=clock,
        containment=containment,
        random=partial(secrets.token_urlsafe, RANDOM_SIZE),
        note=metrics.source_asked,
    )
    made_of = SourceServices(
        table=table,
        refresher=refresher,
        clock=clock,
        containment=containment,
        hashed=hasher.token_hash,
        slow_after=lambda: current.now.slow_after,
        note=metrics.source_fetched,
    )
    return sources, SourceBuilder(made_of, environ)


def _login_services(
    table: Table,
    gate: Gate,
    refresher: Refresher,
    clock: SystemClock,
    hasher: TokenHasher,
    metrics: Metrics,
    proved: Callable[[], frozenset[str]],
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


def _web(
    current: Current[Snapshot],
    issuers: Issuers,
    table: Table,
    gate: Gate,
    refresher: Refresher,
    clock: SystemClock,
    store: store.SqliteStore,
    hasher: TokenHasher,
) -> Web:
    return Web(
        WebServices(
            settings=lambda: current.now.web,
            table=table,
            gate=gate,
            refresher=refresher,
            clock=clock,
            sealing=lambda: store.sealer,
            hashed=hasher.token_hash,
            draw=draw,
            new_id=uuid4,
            random=partial(secrets.token_urlsafe, RANDOM_SIZE),
            metrics=issuers.metrics,
            containment=issuers.containment,
        )
    )


def _tickets(
    current: Current[Snapshot],
    table: Table,
    gate: Gate,
    clock: SystemClock,
    store: store.SqliteStore,
    hasher: TokenHasher,
) -> Tickets:
    return Tickets.of(
        TicketServices(
            settings=lambda: current.now.tickets,
            table=table,
            gate=gate,
            clock=clock,
            sealing=lambda: store.sealer,
            hashed=hasher.token_hash,
            draw=draw,
            new_id=uuid4,
            instance=uuid4(),
        )
    )


class Reception:
    """Receives connections. Each is served as was configured when it came."""

    def __init__(
        self, context: ConnectionContext, settings: Callable[[], ConnectionSettings]
    ) -> None:
        self._context = context
        self._settings = settings

    def serve(self, peer: Peer, place: Place) -> Connection:
        """Return what serves a connection, from its first byte on."""
        return Connection(peer, self._context, self._settings(), place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What faces the outside."""

    listener: Listener
    view: View
    control: ControlServer


def endpoints_of(
    current: Current[Snapshot],
    services: Services,
    *,
    welcome: Welcome,
    database: Path,
    sockets: list[socket.socket],
    control: socket.socket | None,
) -> Endpoints:
    """Make it, once the table is loaded."""
    context = _context(current, services, welcome)
    listener = Listener(
        sockets,
        lambda: current.now.listen,
        serve=Reception(context, lambda: current.now.connection).serve,
    )
    view = View(
        instance=welcome.instance,
        clock=services.clock,
        table=services.table,
        store=services.store,
        events=services.events,
        connected=services.connected,
        gate=services.gate,
        tickets=services.tickets,
        settings=lambda: current.now.view,
        hashed=services.login_services.hashed,
        new_id=uuid4,
        database=database,
        refused=lambda: listener.refused + context.process_access.refused,
        metrics=services.metrics,
        failures=services.issuers.containment.failures,
        subscribers=services.subscribers,
        sources=services.sources,
        stores=services.stores,
    )
    return Endpoints(
        listener=listener,
        view=view,
        control=ControlServer(control, view, lambda: current.now.access),
    )


def _context(current: Current[Snapshot], services: Services, welcome: Welcome) -> ConnectionContext:
    return ConnectionContext(
        login_services=services.login_services,
        connected=services.connected,
        events=services.events,
        clock=services.clock,
        welcome=welcome,
        subscriber_access=SubscriberAccess(lambda: current.now.subscriber_access),
        names=services.names,
        turns=Turns(services.table),
        estate=services.estate,
        web=services.web,
        sources=services.sources,
        tickets=services.tickets,
        process_access=ProcessAccess(lambda: current.now.names),
        containment=services.issuers.containment,
    )
