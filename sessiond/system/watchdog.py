"""Says that the daemon is alive, as long as a q process would find it so.

A q process in `.z.pw` waits for the daemon without end. So what systemd is told is not that some
task still runs, but that the listener accepts, a connection answers, and the table decides.
"""

import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress

import anyio
import structlog
from anyio.abc import UNIXSocketStream

from sessiond.clock import Clock
from sessiond.core.errors import ProtocolError, StoreError
from sessiond.core.queries import Ping
from sessiond.qipc import Accepted, ClientConnection, Response, string
from sessiond.table import Table

NAME = "watchdog"  # what it calls itself in the handshake
MAX_ANSWER = 65536  # bytes
AGAIN = 0.01  # seconds until a queue that is full is tried again

log = structlog.get_logger()


class NoAnswerError(Exception):
    """The daemon does not serve: say nothing to systemd, which will start it again."""


class Watchdog:
    """Feeds systemd's watchdog after each round trip that succeeds, and else stays silent."""

    def __init__(
        self,
        *,
        interval: float,
        trip: Callable[[], Awaitable[None]],
        feed: Callable[[], object],
        clock: Clock,
    ) -> None:
        """Make it, and not yet run it.

        Args:
            interval: Half of what systemd allows, in seconds (`systemd.watchdog_interval`). A trip
                begins every half of it and may take all of it, so that a healthy daemon is heard
                in three quarters of the time allowed at the latest.
            trip: Comes back, or raises NoAnswerError.
            feed: Says WATCHDOG=1.
            clock: Waits between trips.
        """
        self._interval = interval
        self._trip = trip
        self._feed = feed
        self._clock = clock
        self._scope = anyio.CancelScope()
        self._is_well = True

    async def run(self) -> None:
        """Go on until `stop`."""
        with self._scope:
            while True:
                await self._go()
                await self._clock.sleep(self._interval / 2)

    def stop(self) -> None:
        """Go on no more: a daemon that is stopping answers nobody, and systemd knows."""
        self._scope.cancel()

    async def _go(self) -> None:
        try:
            with anyio.fail_after(self._interval):
                await self._trip()
        except (NoAnswerError, TimeoutError) as error:
            if self._is_well:  # once, not with every trip
                log.error("no round trip", error=str(error) or f"none in {self._interval} s")
            self._is_well = False
            return
        if not self._is_well:
            log.warning("round trips succeed again")
        self._is_well = True
        self._feed()


async def round_trip(address: bytes, table: Table) -> None:
    """Return once a connection has been answered, and the table too, which writes nothing for it.

    Each time on a connection of its own, since the listener is to be tried too. It never says
    hello, so it is no process, and neither counted nor logged.

    Args:
        address: One of the daemon's own, bytes as of `sessiond.kdb.addresses`.
        table: The daemon's.

    Raises:
        NoAnswerError: Either is gone or broken. What merely hangs is left to the caller's time.
    """
    try:
        await _ping(address)
        await table.ask(Ping())
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream, ProtocolError) as error:
        raise NoAnswerError(f"the listener: {_named(error)}") from error
    except StoreError as error:
        raise NoAnswerError(f"the table: {_named(error)}") from error


async def _ping(address: bytes) -> None:
    wire = ClientConnection(max_message=MAX_ANSWER)
    async with await _connected(address) as stream:
        await stream.send(wire.greeting(NAME))
        try:
            await _expect(Accepted, wire, stream)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return  # the guard closed it: all places are taken, which no new start would mend
        await stream.send(wire.sync(string("")))
        await _expect(Response, wire, stream)


async def _connected(address: bytes) -> UNIXSocketStream:
    """Connect, with those who are in the queue already.

    A full queue is waited for: if nobody accepts, without end; else anybody who connects again
    and again, which takes no permission, could have the daemon started anew.
    """
    with ExitStack() as on_failure:
        raw = on_failure.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        raw.setblocking(False)
        while True:
            with suppress(BlockingIOError):
                raw.connect(address)
                break
            await anyio.sleep(AGAIN)
        stream = await UNIXSocketStream.from_socket(raw)
        on_failure.pop_all()
    return stream


async def _expect(
    kind: type[Accepted | Response], wire: ClientConnection, stream: UNIXSocketStream
) -> None:
    while (event := wire.next_event()) is None:
        wire.receive_data(await stream.receive())
    if not isinstance(event, kind):
        raise ProtocolError(f"{kind.__name__} expected, {type(event).__name__} received")


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
