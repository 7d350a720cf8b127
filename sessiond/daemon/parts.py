"""The services and how they hold on to each other, downstream first."""

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import anyio
from anyio.abc import ByteStream
from anyio.streams.memory import MemoryObjectReceiveStream

from sessiond.api import Verifier
from sessiond.bus import Bus, Committed
from sessiond.clock import Clock
from sessiond.core.decide import Rules
from sessiond.edge import sqlite
from sessiond.edge.config import Config, IssuerConfig
from sessiond.edge.control import watched
from sessiond.edge.control.delivery import Delivery
from sessiond.edge.control.view import IssuerView, View
from sessiond.edge.listener import Listener
from sessiond.edge.oidc.build import Issuer
from sessiond.edge.peer import AllowList, Peer
from sessiond.edge.process.attempt import Desk
from sessiond.edge.process.connection import Connection, Counter
from sessiond.edge.process.directory import Directory
from sessiond.edge.process.welcome import Welcome
from sessiond.edge.sealing import TokenHasher
from sessiond.gate import Breaker, Door, FairLimiter, Gate, Realm
from sessiond.refresher import Line, Refresher

draw = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Every service, made and not yet running."""

    config: Config
    clock: Clock
    issuers: Mapping[str, Issuer]
    watches: Mapping[str, watched.IssuerWatch]
    doors: tuple[Door, ...]
    bus: Bus
    store: watched.WatchedStore
    table: watched.WatchedTable
    directory: Directory
    pushes: MemoryObjectReceiveStream[Committed]
    gate: Gate
    refresher: Refresher
    desk: Desk

    @property
    def grace(self) -> float:
        """Seconds that stopping may take: a refresh under way is worth waiting for."""
        return self.config.refresh.timeout + 5.0

    def listener(self, sockets: list[socket.socket], welcome: Welcome) -> Listener:
        counter = Counter(
            desk=self.desk,
            directory=self.directory,
            clock=self.clock,
            welcome=welcome.answer,
            deadline=self.config.login.deadline,
            max_message=self.config.listen.max_message,
        )

        async def attend(stream: ByteStream, peer: Peer) -> None:
            await Connection(stream, peer, counter).serve()

        listen = self.config.listen
        return Listener(
            sockets,
            allowed=AllowList.of(listen.allow_users, listen.allow_groups),
            max_connections=listen.max_connections,
            serve=attend,
        )

    def view(self, listener: Listener, instance: UUID) -> View:
        """Return what the control socket is shown, once the table is loaded."""
        return View(
            instance=instance,
            clock=self.clock,
            table=self.table,
            store=self.store,
            delivery=Delivery(self.pushes, self.directory.deliver, sequence=self.store.sequence),
            gate=self.gate,
            issuers={
                door.realm.name: IssuerView(
                    realm=door.realm, breaker=door.breaker, watch=self.watches[door.realm.name]
                )
                for door in self.doors
            },
            proved=self.desk.proved,
            hashed=self.desk.hashed,
            new_id=uuid4,
            deadline=self.config.login.deadline,
            database=database_of(self.config),
            connections=lambda: len(self.directory),
            refused=lambda: listener.refused,
        )


def parts_of(
    config: Config,
    *,
    clock: Clock,
    store: sqlite.SqliteStore,
    issuers: Mapping[str, Issuer],
    hasher: TokenHasher,
) -> Parts:
    """Make the services. Each is given the values it uses, never the configuration."""
    rules = rules_of(config)
    bus, kept = Bus(), watched.WatchedStore(store, clock)
    keep_events = timedelta(seconds=config.events.keep)
    table = watched.WatchedTable(kept, bus, clock, rules, keep_events=keep_events)
    watches = {name: watched.IssuerWatch(clock) for name in issuers}
    verifiers = {
        name: watched.WatchedVerifier(issuer.verifier, watches[name])
        for name, issuer in issuers.items()
    }
    doors = tuple(
        _door(config, each, issuers[each.name].client_id, verifiers[each.name], clock)
        for each in config.issuers
    )
    gate = Gate(doors, news=bus.listen(), clock=clock, waiting=config.login.waiting)
    refresher = Refresher(
        _lines(issuers, verifiers, watches, concurrency=config.refresh.concurrency),
        table,
        news=bus.listen(),
        clock=clock,
        hashed=hasher.token_hash,
        draw=draw,
        recheck=config.refresh.recheck,
    )
    return Parts(
        config=config,
        clock=clock,
        issuers=issuers,
        watches=watches,
        doors=doors,
        bus=bus,
        store=kept,
        table=table,
        directory=Directory(),
        pushes=bus.listen(),
        gate=gate,
        refresher=refresher,
        desk=_desk(table, gate, refresher, clock=clock, hasher=hasher, proved=rules.proved),
    )


def _lines(
    issuers: Mapping[str, Issuer],
    verifiers: Mapping[str, Verifier],
    watches: Mapping[str, watched.IssuerWatch],
    *,
    concurrency: int,
) -> dict[str, Line]:
    return {
        name: Line(
            source=watched.WatchedSource(issuer.tokens, watches[name]),
            verifier=verifiers[name],
            limiter=anyio.CapacityLimiter(concurrency),
        )
        for name, issuer in issuers.items()
    }


def _desk(
    table: watched.WatchedTable,
    gate: Gate,
    refresher: Refresher,
    *,
    clock: Clock,
    hasher: TokenHasher,
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
    )


def database_of(config: Config) -> Path:
    """Return the database's one true path: its lock and key are beside it, whatever links there."""
    return Path(config.store.path).resolve()


def rules_of(config: Config) -> Rules:
    return Rules(
        unbound=timedelta(seconds=config.login.unbound),
        grace=timedelta(seconds=config.login.grace),
        share=config.refresh.share,
        jitter=config.refresh.jitter,
        proved=frozenset(each.name for each in config.issuers if each.prove_by_refresh),
    )


def _door(
    config: Config, each: IssuerConfig, client: str, verifier: Verifier, clock: Clock
) -> Door:
    login = config.login
    return Door(
        realm=Realm(
            name=each.name,
            stated=frozenset({each.issuer, *each.also_issued_as}),
            users=each.users,
        ),
        verifier=verifier,
        client=client,
        cache_for=login.cache_asked if verifier.asks else login.cache,
        limiter=FairLimiter(each.concurrency),
        breaker=Breaker(clock, slow_after=login.deadline / 2),
    )
