"""`sessiond subscriber NAME`: the process in which one subscriber runs, started by the daemon.

It is given its settings and events on the socket that comes as its standard input, and knows
nothing else: no configuration, no key, no token.
"""

import inspect
import logging
import os
import socket
import stat
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import anyio
import anyio.to_thread
import structlog
from anyio.abc import UNIXSocketStream

from sessiond.api import SettingsError, TryLater
from sessiond.core.errors import ConfigError
from sessiond.core.events import Event
from sessiond.extensions import entry_points
from sessiond.extensions.subscribers import confinement, wire
from sessiond.extensions.subscribers.wire import Batch, Failed, Ready, Received, Refused, Setup

STOP_WITHIN = 5.0  # seconds for the plugin's own `stop`


def main(name: str) -> NoReturn:
    """Run until the daemon says stop or is gone. `name` only tells processes apart for `ps`.

    Raises:
        ConfigError: Standard input is no socket: the daemon alone starts this.
    """
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        raise ConfigError(
            f"subscriber {name}: standard input is no socket, wanted the daemon's: leave it to "
            "`sessiond run` to start this"
        )
    os.dup2(0, confinement.WIRE, inheritable=False)  # not for what the plugin may start
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    confinement.confine()
    _log_to_stderr()
    anyio.run(_run, socket.socket(fileno=confinement.WIRE))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(os.EX_OK)  # whatever threads the plugin leaves behind


async def _run(daemon: socket.socket) -> None:
    async with await UNIXSocketStream.from_socket(daemon) as stream:
        await attend(wire.childs_end(stream))


async def attend(link: wire.Link[wire.ToChild]) -> None:
    """Load the plugin that the daemon names and hand it what the daemon sends, until the end."""
    setup = await link.receive()
    if not isinstance(setup, Setup) or setup.version != wire.VERSION:
        raise wire.WireError(f"the daemon speaks another version than {wire.VERSION}")
    confinement.limit_memory(setup.memory)
    await live(link, partial(built, setup), is_check=setup.is_check)


async def live(
    link: wire.Link[wire.ToChild], make: Callable[[], Any], *, is_check: bool = False
) -> None:
    """Make a plugin and hand it what the daemon sends, until the end."""
    try:
        plugin = make()
        ready = Ready(batch=batch_of(plugin))
        if not is_check:
            await call(getattr(plugin, "start", None))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        await link.send(_refusal(error))
        return
    await link.send(ready)
    if is_check:
        return
    try:
        await _hand_on(link, plugin)
    finally:
        with anyio.move_on_after(STOP_WITHIN, shield=True):
            await _stop(plugin)


def built(setup: Setup) -> Any:
    """Return the plugin, made from its settings."""
    return entry_points.load(entry_points.SUBSCRIBERS, setup.plugin)(**setup.settings)


def batch_of(plugin: Any) -> int:
    """Return how many events a plugin takes at a time.

    Raises:
        TypeError: It takes none.
    """
    if callable(getattr(plugin, "receive_batch", None)):
        batch = getattr(plugin, "batch", wire.MAX_BATCH)
        if not isinstance(batch, int) or batch < 1:
            raise TypeError(f"batch is {batch!r}, must be a number of events")
        return min(batch, wire.MAX_BATCH)
    if callable(getattr(plugin, "receive", None)):
        return 1
    raise TypeError(f"{type(plugin).__name__} has neither receive nor receive_batch")


async def _hand_on(link: wire.Link[wire.ToChild], plugin: Any) -> None:
    while True:
        try:
            message = await link.receive()
        except anyio.EndOfStream:
            return
        if not isinstance(message, Batch) or not message.events:
            return
        await link.send(await offered(plugin, message.events))


async def offered(plugin: Any, events: Sequence[Event]) -> Received | Failed:
    """Have the plugin receive events, and return what came of it."""
    at = events[0].sequence
    try:
        if callable(getattr(plugin, "receive_batch", None)):
            await call(plugin.receive_batch, events)
        else:
            for event in events:
                at = event.sequence
                await call(plugin.receive, event)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything: it means "again"
        return Failed(sequence=at, error=error_text(error), is_outage=isinstance(error, TryLater))
    return Received(sequence=events[-1].sequence)


def error_text(error: Exception) -> str:
    """Return an error as one line: its class, its text, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    text = wire.one_line(f"{type(error).__name__}: {error}".removesuffix(": "))
    return text[: max(0, wire.MAX_ERROR - len(where))] + where[-wire.MAX_ERROR :]


def _refusal(error: Exception) -> Refused:
    if isinstance(error, SettingsError):
        problems = [wire.one_line(problem) for problem in error.problems]
        return Refused(problems=tuple(problems[:20]), are_keys=True)
    if isinstance(error, ConfigError):  # a text for the operator already
        return Refused(problems=(wire.one_line(str(error)),), are_keys=False)
    return Refused(problems=(error_text(error),), are_keys=False)


async def call(method: Any, *args: Any) -> None:
    """Call a plugin's method: async ones here, plain ones in a thread, where they may block."""
    if method is None:
        return
    if inspect.iscoroutinefunction(method):
        await method(*args)
        return
    answer = await anyio.to_thread.run_sync(method, *args, abandon_on_cancel=True)
    if inspect.isawaitable(answer):
        await answer


async def _stop(plugin: Any) -> None:
    try:
        await call(getattr(plugin, "stop", None))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and it is over
        logging.getLogger(__name__).warning("stop failed: %s", error_text(error))


def _log_to_stderr() -> None:
    """Have what the plugin logs on standard error, which the daemon reads."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every URL
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
