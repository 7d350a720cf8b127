"""The way to an issuer: names looked up, connections made, and kept while they are in use."""

import asyncio  # noqa: TID251 - connections are protocols of its loop
import ssl
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from socket import SOCK_STREAM
from typing import Protocol

import anyio

from sessiond.clock import Clock
from sessiond.issuers.connection import Answer, Connection, Request, Unanswered
from sessiond.issuers.url import Origin

MAX_IDLE = 4.0  # seconds; Node.js closes what was idle for five, perhaps as a request is sent
NEXT_ADDRESS_AFTER = 0.25  # seconds (RFC 8305, 8)


class Exchange(Protocol):
    """Answers requests: `Network`, or a test."""

    async def exchange(self, request: Request) -> Answer:
        """Return what came back.

        Raises:
            OSError, ValueError: Nobody could be asked.
            BadAnswer: What came is no answer.
        """
        ...

    def close(self) -> None:
        """Let go of what is kept."""
        ...


class Network:
    """Keeps what connections are not in use. How many are is for its caller to bound."""

    def __init__(self, *, tls: ssl.SSLContext, most_idle: int, clock: Clock) -> None:
        """Connect to nobody yet.

        Args:
            tls: From `sessiond.issuers.http.trust`.
            most_idle: Connections kept.
            clock: Measures how long they are.
        """
        self._tls = tls
        self._most_idle = most_idle
        self._clock = clock
        self._idle = deque[Connection]()  # the newest last
        self._is_closed = False

    async def exchange(self, request: Request) -> Answer:
        """Send a request on a kept connection, else on a new one; see `Exchange`.

        The other side may close a kept one as the request is on its way (RFC 9112, 9.3.1). One
        that may be repeated is sent once more then. Any other is not: it may have been read.
        """
        kept = self._take(request.target.origin)
        if kept is not None:
            try:
                return await self._on(kept, request)
            except Unanswered:
                if not request.is_repeatable:
                    raise
        return await self._on(await connected(request.target.origin, self._tls), request)

    def close(self) -> None:
        """Close what is kept, and keep nothing more."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    async def _on(self, connection: Connection, request: Request) -> Answer:
        try:
            return await connection.exchange(request)
        finally:
            self._keep(connection)

    def _take(self, origin: Origin) -> Connection | None:
        """Return the one that was used last: what is needed only now and then grows old."""
        while self._idle and self._clock.monotonic() - self._idle[0].idle_since > MAX_IDLE:
            self._idle.popleft().close()
        for connection in reversed(tuple(self._idle)):
            if connection.origin == origin or not connection.is_free:
                self._idle.remove(connection)
                if connection.is_free and connection.is_quiet:
                    return connection
                connection.close()
        return None

    def _keep(self, connection: Connection) -> None:
        if not connection.is_free or self._is_closed:
            connection.close()
            return
        connection.idle_since = self._clock.monotonic()
        self._idle.append(connection)
        if len(self._idle) > self._most_idle:
            self._idle.popleft().close()


async def connected(origin: Origin, tls: ssl.SSLContext) -> Connection:
    """Return a new connection: by whichever address of the name answers first (RFC 8305).

    Raises:
        OSError, ValueError: There is none; what the first attempt has met.
    """
    addresses = await anyio.getaddrinfo(origin.host, origin.port, type=SOCK_STREAM)
    made: list[Connection] = []
    failures: list[Exception] = []
    try:
        async with anyio.create_task_group() as tasks:

            async def attempt(address: str, over: anyio.Event) -> None:
                try:
                    made.append(await _connected_to(address, origin, tls))
                    tasks.cancel_scope.cancel()
                except (OSError, ValueError) as error:
                    failures.append(error)
                    over.set()

            for address in _by_turns([sockaddr[0] for *_, sockaddr in addresses]):
                over = anyio.Event()
                tasks.start_soon(attempt, address, over)
                with anyio.move_on_after(NEXT_ADDRESS_AFTER):
                    await over.wait()
    except BaseException:  # cancelled, maybe as one was made
        _close(made)
        raise
    _close(made[1:])
    if not made:
        raise failures[0]
    return made[0]


def _close(connections: Iterable[Connection]) -> None:
    for connection in connections:
        connection.close()


async def _connected_to(address: str, origin: Origin, tls: ssl.SSLContext) -> Connection:
    is_tls = origin.scheme == "https"
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(origin),
        address,
        origin.port,
        ssl=tls if is_tls else None,
        server_hostname=origin.host if is_tls else None,
    )
    return connection


def _by_turns(addresses: Sequence[str]) -> list[str]:
    """Return the addresses in the system's order, but of both families by turns."""
    first_is_6 = ":" in addresses[0]
    first = [each for each in addresses if (":" in each) is first_is_6]
    second = [each for each in addresses if (":" in each) is not first_is_6]
    return [each for each in chain(*zip_longest(first, second)) if each is not None]
