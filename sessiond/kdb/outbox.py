"""What waits to be sent to one process, within a bound."""

import asyncio  # noqa: TID251 - a Protocol's transport
from collections.abc import Callable

from sessiond.kdb.budget import Account
from sessiond.notifier import Notifier

BACKLOG = 8 << 20  # bytes that a process may leave unread, beside the socket's own buffer


class Outbox:
    """Bytes to send, in their order. A process that does not read is cut off."""

    def __init__(self, account: Account, over: Callable[[], None]) -> None:
        """Make an outbox; past its bound or the account's it calls `over`, once."""
        self._account = account
        self._over = over
        self._transport: asyncio.Transport | None = None  # None: not yet, or no more
        self._waiting = bytearray()  # one piece: a million small ones take seven times as much
        self._unread = 0  # bytes that the socket has not taken, those that wait included
        self._taken = Notifier()

    def begin(self, transport: asyncio.Transport) -> None:
        """Send by this transport, which is to say when it holds anything, and when nothing."""
        transport.set_write_buffer_limits(high=0)
        self._transport = transport

    def put(self, *messages: bytes) -> None:
        """Have bytes sent after those before, in one piece. Never waits."""
        if self._transport is None:
            return
        data = messages[0] if len(messages) == 1 else b"".join(messages)
        if self._unread:
            if self._unread + len(data) > BACKLOG:
                self._cut()
                return
            self._waiting += data
        else:
            self._transport.write(data)  # of which the socket has what it takes, at once
        self.look()

    def look(self) -> None:
        """See how much the socket has taken; keep account of the rest."""
        if self._transport is None:
            return
        held = self._transport.get_write_buffer_size()
        if not held and self._waiting:
            self._transport.write(self._waiting)
            self._waiting = bytearray()
            held = self._transport.get_write_buffer_size()
        unread = held + len(self._waiting)
        if unread < self._unread:
            self._account.give(self._unread - unread)
        elif unread > self._unread and not self._account.keep(unread - self._unread):
            self._cut()
            return
        self._unread = unread
        if not unread:
            self._taken.notify()

    async def taken(self) -> None:
        """Return when the socket has taken everything that was put."""
        await self._taken.wait_for(lambda: not self._unread)

    def close(self) -> None:
        """Send what is there, then no more, and close."""
        transport, self._transport = self._transport, None
        if transport is not None:
            if self._waiting:
                transport.write(self._waiting)
            self._waiting = bytearray()
            transport.close()

    def end(self) -> None:
        """Send nothing more: the connection is gone."""
        self._transport = None
        self._over = _nothing
        self._waiting = bytearray()
        self._unread = 0
        self._taken.notify()

    def _cut(self) -> None:
        over, self._over = self._over, _nothing
        over()


def _nothing() -> None:
    """Do nothing: it is over."""
