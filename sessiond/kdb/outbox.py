"""What waits to be sent to one process, within a bound."""

import anyio
from anyio.abc import ByteSendStream

from sessiond.kdb.budget import Account
from sessiond.notifier import Notifier

BACKLOG = 8 << 20  # bytes that a process may leave unread, beside the socket's own buffer


class Outbox:
    """Bytes to send, sent by one task. A process that does not read is cut off."""

    def __init__(self, connection: anyio.CancelScope, account: Account) -> None:
        """Make an outbox; past its bound or the account's it cancels the connection."""
        self._connection = connection
        self._account = account
        self._waiting = bytearray()  # one piece: a million small ones take seven times as much
        self._size = 0  # bytes not yet taken by the socket
        self._more = Notifier()
        self._taken = Notifier()
        self._is_closed = False
        self.is_over = False  # the process left more unread than is allowed

    def put(self, data: bytes) -> None:
        """Have bytes sent after those before. Never waits."""
        if self._is_closed:
            return
        is_over = self._size and self._size + len(data) > BACKLOG
        if is_over or not self._account.keep(len(data)):
            self.is_over = True
            self._connection.cancel()
            return
        self._waiting += data
        self._size += len(data)
        self._more.notify()

    async def taken(self) -> None:
        """Return when the socket has taken everything that was put."""
        await self._taken.wait_for(lambda: not self._size)

    def close(self) -> None:
        """Send what is there, then no more."""
        self._is_closed = True
        self._more.notify()

    async def run(self, stream: ByteSendStream) -> None:
        """Send until closed, or until the peer is gone."""
        try:
            while self._waiting or not self._is_closed:
                if self._waiting:
                    await self._send(stream)
                await self._more.wait_for(lambda: bool(self._waiting) or self._is_closed)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._connection.cancel()

    async def _send(self, stream: ByteSendStream) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        await stream.send(data)
        self._size -= len(data)
        self._account.give(len(data))
        self._taken.notify()
