"""Composition only: builds the parts, owns the root task group, orders start and stop."""

import gc
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import anyio
import anyio.to_thread
import structlog
from anyio.abc import ByteStream, TaskGroup

from sessiond import __version__
from sessiond.api import Verifier
from sessiond.bus import Bus
from sessiond.clock import Clock, SystemClock
from sessiond.core.changes import Refuse
from sessiond.core.decide import Rules
from sessiond.core.errors import ConfigError, StoreError
from sessiond.core.secret import Secret
from sessiond.edge import config as configuration
from sessiond.edge import credentials, log, sqlite, systemd
from sessiond.edge.addresses import Addresses, listening
from sessiond.edge.config import Config, IssuerConfig
from sessiond.edge.control import watched
from sessiond.edge.control.access import Access
from sessiond.edge.control.address import control_socket
from sessiond.edge.control.delivery import Delivery
from sessiond.edge.control.server import ControlServer
from sessiond.edge.control.view import IssuerView, View
from sessiond.edge.hardening import harden
from sessiond.edge.listener import Listener
from sessiond.edge.oidc.build import Issuer, RefreshLimits, build_issuer
from sessiond.edge.oidc.http import trust
from sessiond.edge.peer import AllowList, Peer
from sessiond.edge.process.attempt import Desk
from sessiond.edge.process.connection import Connection, Counter
from sessiond.edge.process.directory import Directory
from sessiond.edge.process.welcome import Welcome
from sessiond.edge.sealing import KeyRing, TokenHasher
from sessiond.gate import Breaker, Door, FairLimiter, Gate, Realm
from sessiond.refresher import Line, Refresher
from sessiond.timekeeper import Timekeeper

GOODBYE = 1.0  # seconds for processes to hear that the daemon stops

logger = structlog.get_logger()


def run(path: Path) -> None:
    """Run the daemon by a configuration file, until SIGTERM or SIGINT.

    Raises:
        ConfigError: The operator must act.
        AddressInUseError: A socket or the database is somebody else's.
    """
    config = configuration.load(path)
    log.configure(config.log.format, config.log.level)
    harden()
    anyio.run(partial(serve, config, os.environ), backend_options={"use_uvloop": True})


async def serve(config: Config, environ: Mapping[str, str]) -> None:
    """Serve until told to stop. What was accepted by then is written and heard."""
    clock = SystemClock()
    database = _database(config)
    ring = KeyRing.from_text(
        credentials.store_key(config.store.key_file, database=database, environ=environ)
    )
    addresses = Addresses(config.listen.directory, config.listen.port, config.listen.path)
    passed = systemd.passed_sockets(environ)
    listen = config.listen
    access = Access.of(readers=listen.control_readers, admins=listen.control_admins)
    sockets = listening(addresses, passed, others=frozenset({listen.control.encode()}))
    async with AsyncExitStack() as stack:
        stack.callback(_unbind, addresses, sockets, passed)
        control = stack.enter_context(
            control_socket(listen.control, group=listen.control_group, passed=passed)
        )
        store = await stack.enter_async_context(sqlite.opened(database, ring))
        issuers = await stack.enter_async_context(_issuers(config, clock, environ))
        parts = _Parts(config, clock, store, issuers, TokenHasher(store.lookup_key))
        key = credentials.proof_key(listen.proof_key_file, environ=environ)
        welcome = Welcome(
            instance=uuid4(),
            deadline=timedelta(seconds=config.login.deadline),
            address=addresses.path,
            key=key,
        )
        if key is None:
            logger.warning("no proof key: hooks that ask for a proof will send no tokens")
        if config.subscribers:
            logger.warning("subscribers are configured, but this version runs none")
        listener = parts.listener(sockets, welcome)
        await parts.table.load()
        _calm_collector()
        timekeeper = Timekeeper(clock, [issuer.ahead for issuer in issuers.values()])
        view = parts.view(listener, welcome.instance)
        server = ControlServer(control, view, access)
        await _run(parts, listener, timekeeper, view, server, environ)


class _Parts:
    """The services and how they hold on to each other, downstream first."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        store: sqlite.SqliteStore,
        issuers: Mapping[str, Issuer],
        hasher: TokenHasher,
    ) -> None:
        self._config = config
        self._clock = clock
        self.issuers = issuers
        self.bus = Bus()
        self.store = watched.WatchedStore(store, clock)
        self.table = watched.WatchedTable(
            self.store,
            self.bus,
            clock,
            _rules(config),
            keep_events=timedelta(seconds=config.events.keep),
        )
        self.directory = Directory()
        self.pushes = self.bus.listen()
        self._watches = {name: watched.IssuerWatch(clock) for name in issuers}
        self._verifiers = {
            name: watched.WatchedVerifier(issuer.verifier, self._watches[name])
            for name, issuer in issuers.items()
        }
        self._doors = [
            _door(config, each, issuers[each.name].client_id, self._verifiers[each.name], clock)
            for each in config.issuers
        ]
        self.gate = Gate(
            self._doors,
            news=self.bus.listen(),
            clock=clock,
            waiting=config.login.waiting,
        )
        self.refresher = Refresher(
            {
                name: Line(
                    source=watched.WatchedSource(issuer.tokens, self._watches[name]),
                    verifier=self._verifiers[name],
                    limiter=anyio.CapacityLimiter(config.refresh.concurrency),
                )
                for name, issuer in issuers.items()
            },
            self.table,
            news=self.bus.listen(),
            clock=clock,
            hashed=hasher.token_hash,
            draw=secrets.SystemRandom().random,
            recheck=config.refresh.recheck,
        )
        self._desk = Desk(
            table=self.table,
            gate=self.gate,
            refresher=self.refresher,
            clock=clock,
            hashed=hasher.token_hash,
            draw=secrets.SystemRandom().random,
            new_id=uuid4,
            proved=_rules(config).proved,
        )

    @property
    def grace(self) -> float:
        """Seconds that stopping may take: a refresh under way is worth waiting for."""
        return self._config.refresh.timeout + 5.0

    def listener(self, sockets: list[socket.socket], welcome: Welcome) -> Listener:
        counter = Counter(
            desk=self._desk,
            directory=self.directory,
            clock=self._clock,
            welcome=welcome.answer,
            deadline=self._config.login.deadline,
            max_message=self._config.listen.max_message,
        )

        async def attend(stream: ByteStream, peer: Peer) -> None:
            await Connection(stream, peer, counter).serve()

        listen = self._config.listen
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
            clock=self._clock,
            table=self.table,
            store=self.store,
            delivery=Delivery(self.pushes, self.directory.deliver, sequence=self.store.sequence),
            gate=self.gate,
            issuers={
                door.realm.name: IssuerView(
                    realm=door.realm, breaker=door.breaker, watch=self._watches[door.realm.name]
                )
                for door in self._doors
            },
            proved=self._desk.proved,
            hashed=self._desk.hashed,
            new_id=uuid4,
            deadline=self._config.login.deadline,
            database=_database(self._config),
            connections=lambda: len(self.directory),
            refused=lambda: listener.refused,
        )


async def _run(
    parts: _Parts,
    listener: Listener,
    timekeeper: Timekeeper,
    view: View,
    control: ControlServer,
    environ: Mapping[str, str],
) -> None:
    """Start downstream first, wait for a signal, and stop by ending the input."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with anyio.create_task_group() as root:
            root.start_soon(view.delivery.run)
            written, left, given_back, unseen = (anyio.Event() for _ in range(4))
            root.start_soon(_then, parts.refresher.run, given_back)
            root.start_soon(parts.gate.run)
            root.start_soon(timekeeper.run)
            for issuer in parts.issuers.values():
                root.start_soon(issuer.run)
            root.start_soon(_then, parts.table.run, written)
            for grant in parts.table.resume():
                if grant.issuer in parts.issuers:
                    parts.refresher.follow(grant)
                else:  # nobody here could verify or refresh it any more
                    logger.warning("issuer gone, sessions end", issuer=grant.issuer)
                    with suppress(StoreError):  # ended all the same, and written when it can be
                        await parts.table.ask(Refuse(grant=grant.id, reason="wrongissuer"))
            root.start_soon(_then, control.run, unseen)
            root.start_soon(_then, listener.run, left)
            view.begin()
            _feed(root, environ)
            systemd.notify("READY=1", environ=environ)
            logger.info("ready", version=__version__)
            async for number in signals:
                if number == signal.SIGHUP:
                    logger.warning("the configuration is not read again: restart the daemon")
                    continue
                logger.info("stopping", signal=signal.Signals(number).name)
                break
            systemd.notify("STOPPING=1", environ=environ)
            with anyio.move_on_after(parts.grace):
                listener.stop()
                control.stop()
                await _see_off(parts.directory, listener, left)
                await parts.refresher.settle()
                parts.table.close()
                await written.wait()
                parts.bus.close()
                await given_back.wait()
                await unseen.wait()
            root.cancel_scope.cancel()
    logger.info("stopped")


async def _see_off(directory: Directory, listener: Listener, left: anyio.Event) -> None:
    """Say bye to every process, and end its connection once it had time to read that."""
    directory.say_bye()
    with anyio.move_on_after(GOODBYE):
        await left.wait()
    listener.cut()
    await left.wait()


async def _then(work: Callable[[], Awaitable[None]], done: anyio.Event) -> None:
    await work()
    done.set()


def _feed(root: TaskGroup, environ: Mapping[str, str]) -> None:
    """Feed systemd's watchdog, where there is one, from the loop that does the work."""
    interval = systemd.watchdog_interval(environ)

    async def feed(every: float) -> None:
        while True:
            systemd.notify("WATCHDOG=1", environ=environ)
            await anyio.sleep(every)

    if interval is not None:
        root.start_soon(feed, interval)


def _calm_collector() -> None:
    """Have the garbage collector leave what was built by now alone, and look less often.

    With many thousand sessions a full collection would hold every login for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


@asynccontextmanager
async def _issuers(
    config: Config, clock: Clock, environ: Mapping[str, str]
) -> AsyncIterator[dict[str, Issuer]]:
    """Build the issuers; nothing is asked of them yet."""
    async with AsyncExitStack() as stack:
        built: dict[str, Issuer] = {}
        for each in config.issuers:
            try:
                tls = await anyio.to_thread.run_sync(trust, each.ca_file)
            except OSError as error:
                raise ConfigError(f"issuer[{each.name}].ca_file: {error}") from error
            issuer = build_issuer(
                each,
                leeway=config.login.leeway,
                refresh=RefreshLimits(
                    timeout=config.refresh.timeout, concurrency=config.refresh.concurrency
                ),
                client_secret=_secret(each, "client_secret_file", environ),
                refresh_secret=_secret(each, "refresh_client_secret_file", environ),
                clock=clock,
                tls=tls,
            )
            stack.push_async_callback(issuer.close)
            built[each.name] = issuer
        yield built


def _secret(issuer: IssuerConfig, key: str, environ: Mapping[str, str]) -> Secret | None:
    """Read one of an issuer's secrets; its credential is called ISSUER.KEY without `_file`."""
    return credentials.secret(
        getattr(issuer, key),
        key=f"issuer[{issuer.name}].{key}",
        credential=f"{issuer.name}.{key.removesuffix('_file')}",
        environ=environ,
    )


def _database(config: Config) -> Path:
    """Return the database's one true path: its lock and key are beside it, whatever links there."""
    return Path(config.store.path).resolve()


def _rules(config: Config) -> Rules:
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


def _unbind(
    addresses: Addresses, sockets: list[socket.socket], passed: list[socket.socket]
) -> None:
    """Close the sockets, and remove the path that was bound here."""
    for each in sockets:
        each.close()
    if addresses.with_path and not passed:
        Path(addresses.path).unlink(missing_ok=True)
