"""Owns the root task group; orders start and stop."""

import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from sessiond import __version__
from sessiond.clock import SystemClock
from sessiond.core.changes import Refuse
from sessiond.core.errors import StoreError
from sessiond.daemon.issuers import opened_issuers
from sessiond.daemon.parts import Parts, database_of, parts_of
from sessiond.edge import config as configuration
from sessiond.edge import credentials, log, sqlite, systemd
from sessiond.edge.addresses import Addresses, listening
from sessiond.edge.config import Config
from sessiond.edge.control.access import Access
from sessiond.edge.control.address import control_socket
from sessiond.edge.control.server import ControlServer
from sessiond.edge.control.view import View
from sessiond.edge.hardening import harden
from sessiond.edge.listener import Listener
from sessiond.edge.process.directory import Directory
from sessiond.edge.process.welcome import Welcome
from sessiond.edge.sealing import KeyRing, TokenHasher
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
    database = database_of(config)
    ring = KeyRing.from_text(
        credentials.store_key(config.store.key_file, database=database, environ=environ)
    )
    addresses = Addresses(config.listen.directory, config.listen.port, config.listen.path)
    passed = systemd.passed_sockets(environ)
    listen = config.listen
    access = Access.of(readers=listen.control_readers, admins=listen.control_admins)
    is_path_ours = all(each.getsockname() != addresses.path for each in passed)
    sockets = listening(addresses, passed, others=frozenset({listen.control.encode()}))
    async with AsyncExitStack() as stack:
        stack.callback(_unbind, addresses, sockets, is_path_ours=is_path_ours)
        control = stack.enter_context(
            control_socket(listen.control, group=listen.control_group, passed=passed)
        )
        store = await stack.enter_async_context(sqlite.opened(database, ring))
        issuers = await stack.enter_async_context(opened_issuers(config, clock, environ))
        hasher = TokenHasher(store.lookup_key)
        parts = parts_of(config, clock=clock, store=store, issuers=issuers, hasher=hasher)
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


async def _run(
    parts: Parts,
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
            await _resume(parts)
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


async def _resume(parts: Parts) -> None:
    """Go on with what an earlier run has left."""
    for grant in parts.table.resume():
        if grant.issuer in parts.issuers:
            parts.refresher.follow(grant)
        else:  # nobody here could verify or refresh it any more
            logger.warning("issuer gone, sessions end", issuer=grant.issuer)
            with suppress(StoreError):  # ended all the same, and written when it can be
                await parts.table.ask(Refuse(grant=grant.id, reason="wrongissuer"))


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


def _unbind(addresses: Addresses, sockets: list[socket.socket], *, is_path_ours: bool) -> None:
    """Close the sockets, and remove the path that was bound here."""
    for each in sockets:
        each.close()
    if addresses.with_path and is_path_ours:
        Path(addresses.path).unlink(missing_ok=True)
