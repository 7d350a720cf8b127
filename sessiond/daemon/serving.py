"""Owns the root task group; orders start and stop."""

import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

import anyio
import structlog
from anyio.abc import TaskGroup

from sessiond import __version__, log
from sessiond import config as configuration
from sessiond.clock import SystemClock
from sessiond.config import Config, credentials
from sessiond.daemon import settings
from sessiond.daemon.collector import Collector
from sessiond.daemon.issuers import Issuers
from sessiond.daemon.reload import Reload, Started
from sessiond.daemon.resuming import resume
from sessiond.daemon.services import Endpoints, Services, endpoints_of, services_of
from sessiond.daemon.snapshot import Current, Snapshot
from sessiond.daemon.sockets import Watches, listening_sockets
from sessiond.kdb.addresses import Addresses
from sessiond.kdb.listener import Listener
from sessiond.kdb.welcome import Welcome
from sessiond.metrics import Metrics
from sessiond.store import opened
from sessiond.store.sealing import KeyRing, TokenHasher
from sessiond.system import systemd
from sessiond.system.hardening import harden, look_at_descriptors
from sessiond.system.watchdog import Watchdog, round_trip

GOODBYE = 1.0  # seconds for the last answers, and for processes to hear that the daemon stops
LAST_RESORT = 2.0  # seconds beyond the grace: then a disk that hangs holds up the end no more

logger = structlog.get_logger()


def run(path: Path) -> None:
    """Run the daemon by a configuration file, until SIGTERM or SIGINT.

    Raises:
        ConfigError: The operator must act.
        AddressInUseError: A socket or the database is somebody else's.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody to hear it
    config = configuration.load(path)
    log.configure(config.log.format, config.log.level)
    harden()
    try:
        anyio.run(partial(serve, path, config, os.environ), backend_options={"use_uvloop": True})
    finally:
        log.end()
    _leave_behind()


async def serve(path: Path, config: Config, environ: Mapping[str, str]) -> None:
    """Serve until told to stop. What was accepted by then is written and heard."""
    clock = SystemClock()
    database = settings.database_of(config)
    ring = KeyRing.from_text(
        credentials.store_key(config.store.key_file, database=database, environ=environ)
    )
    looked_up = settings.look_up(config, environ)
    if looked_up.proof_key is None:
        logger.warning("no proof key: hooks that ask for a proof will send no tokens")
    listen = config.listen
    look_at_descriptors(listen.max_connections)
    async with AsyncExitStack() as stack:
        hangups = stack.enter_context(anyio.open_signal_receiver(signal.SIGHUP))
        sockets = stack.enter_context(listening_sockets(listen, environ))
        store = await stack.enter_async_context(opened(database, ring))
        issuers = Issuers(clock, Metrics(), environ, lambda: current.now.slow_after)
        stack.push_async_callback(issuers.close)
        running = await issuers.build(config, at_start=True)
        issuers.use(running)
        snapshot = partial(settings.snapshot_of, config, looked_up, running)
        current = Current(snapshot())
        hasher = TokenHasher(store.lookup_key)
        services = services_of(
            current, clock=clock, store=store, issuers=issuers, hasher=hasher, environ=environ
        )
        stack.callback(services.source_builder.close)
        current.now = snapshot(await services.source_builder.begin(config))
        await services.subscribers.check(config.subscribers, at_start=True)
        collector = Collector()
        collector.rest()
        await services.table.load()
        services.events.begin(services.table.sequence)
        services.connected.begin(services.table.sequence)
        endpoints = endpoints_of(
            current,
            services,
            welcome=Welcome(instance=uuid4(), address=sockets.addresses.path),
            database=database,
            sockets=sockets.kdb,
            control=sockets.control,
        )
        started = Started(config=config, ring=ring)
        reload = Reload(path, started, current, services, endpoints, environ)
        endpoints.view.reload = reload
        watchdog = _watchdog(sockets.addresses, services, environ)
        watches = Watches(sockets, endpoints)
        await _run(
            current, services, endpoints, reload, hangups, watchdog, watches, collector, environ
        )


async def _run(
    current: Current[Snapshot],
    services: Services,
    endpoints: Endpoints,
    reload: Reload,
    hangups: AsyncIterator[signal.Signals],
    watchdog: Watchdog | None,
    watches: Watches,
    collector: Collector,
    environ: Mapping[str, str],
) -> None:
    """Start downstream first, wait for a signal, and stop by ending the input."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as root:
            ends = _Ends()
            _begin(root, services, ends)
            rules = current.now.table.rules
            await services.tickets.keys.begin()
            await resume(services.table, services.refresher, rules, services.names)
            collector.calm()
            root.start_soon(collector.run, services.clock)
            root.start_soon(services.subscribers.run)
            root.start_soon(_then, endpoints.control.run, ends.unseen)
            root.start_soon(_then, endpoints.listener.run, ends.left)
            endpoints.view.begin()
            if watchdog is not None:
                root.start_soon(watchdog.run)
            root.start_soon(watches.run, services.clock)
            systemd.notify("READY=1", "STATUS=serving", environ=environ)
            logger.info("ready", version=__version__)
            root.start_soon(reload.run)
            root.start_soon(_hear, hangups, reload)
            logger.info("stopping", signal=(await anext(signals)).name)
            systemd.notify("STOPPING=1", "STATUS=stopping", environ=environ)
            reload.stop()
            watches.stop()
            if watchdog is not None:
                watchdog.stop()
            within = current.now.stop_within
            signal.setitimer(signal.ITIMER_REAL, within + LAST_RESORT)  # SIGALRM ends the process
            with anyio.move_on_after(within):
                await _end(services, endpoints, ends)
            root.cancel_scope.cancel()
    logger.info("stopped")


def _begin(root: TaskGroup, services: Services, ends: "_Ends") -> None:
    """Start what nobody outside sees, downstream first."""
    root.start_soon(log.run, services.clock)
    root.start_soon(services.metrics.watch_loop, services.clock)
    root.start_soon(_then, services.refresher.run, ends.given_back)
    root.start_soon(services.gate.run)
    root.start_soon(services.timekeeper.run)
    root.start_soon(services.issuers.run)
    root.start_soon(services.estate.run)
    root.start_soon(services.tickets.keys.run)
    root.start_soon(_then, services.web.run, ends.signed_in)
    root.start_soon(_then, services.sources.run, ends.fetched)
    root.start_soon(_then, services.table.run, ends.written)
    root.start_soon(services.database.checkpoints.run, services.clock)


@dataclass(frozen=True, slots=True)
class _Ends:
    """What the stop waits for."""

    written: anyio.Event = field(default_factory=anyio.Event)  # what the table took
    left: anyio.Event = field(default_factory=anyio.Event)  # every q process
    signed_in: anyio.Event = field(default_factory=anyio.Event)  # sign-ins by the browser
    fetched: anyio.Event = field(default_factory=anyio.Event)  # tokens for data sources
    given_back: anyio.Event = field(default_factory=anyio.Event)  # tokens nobody needs any more
    unseen: anyio.Event = field(default_factory=anyio.Event)  # the control socket


async def _end(services: Services, endpoints: Endpoints, ends: _Ends) -> None:
    """End the input, and then each part when what is before it has ended."""
    endpoints.listener.stop()
    endpoints.control.stop()
    await _see_off(endpoints.listener, ends.left)
    services.web.stop()
    services.sources.stop()
    await ends.signed_in.wait()
    await ends.fetched.wait()
    await services.refresher.settle()
    await services.subscribers.stop()  # while the table can still keep their places
    services.table.close()
    await ends.written.wait()
    services.refresher.close()
    await ends.given_back.wait()
    await ends.unseen.wait()


async def _hear(hangups: AsyncIterator[signal.Signals], reload: Reload) -> None:
    """Have the configuration read again at each SIGHUP. While the daemon stops it means nothing."""
    async for _ in hangups:
        reload.ask()


async def _see_off(listener: Listener, left: anyio.Event) -> None:
    """Have every process's last calls answered and say bye; then end what is left."""
    listener.see_off()
    with anyio.move_on_after(GOODBYE):
        await left.wait()
    listener.cut()
    await left.wait()


async def _then(work: Callable[[], Awaitable[None]], done: anyio.Event) -> None:
    await work()
    done.set()


def _watchdog(
    addresses: Addresses, services: Services, environ: Mapping[str, str]
) -> Watchdog | None:
    """Return what feeds systemd's watchdog, where there is one."""
    interval = systemd.watchdog_interval(environ)
    if interval is None:
        return None

    def feed() -> None:
        if systemd.notify("WATCHDOG=1", environ=environ):
            services.metrics.watchdog_feeds.inc()

    return Watchdog(
        interval=interval,
        trip=partial(round_trip, next(iter(addresses)), services.table),
        feed=feed,
        clock=services.clock,
    )


def _leave_behind() -> None:
    """End the process although a thread hangs, say on a directory of users: all is written."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(LAST_RESORT)
            if thread.is_alive():
                os._exit(os.EX_OK)
