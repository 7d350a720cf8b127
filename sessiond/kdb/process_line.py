"""The way to one process, as far as others may touch it."""

import anyio
import structlog

from sessiond.kdb.outbox import Outbox
from sessiond.qipc import ServerConnection, Value

log = structlog.get_logger()


class ProcessLine:
    """Sends to a process and cuts it off. It leads to nothing that its users hang on."""

    def __init__(
        self, wire: ServerConnection, outbox: Outbox, connection: anyio.CancelScope
    ) -> None:
        self._wire = wire
        self._outbox = outbox
        self._connection = connection
        self.label = ""  # what logs call the process

    def push(self, value: Value) -> None:
        """Send an async message. Never waits."""
        self._outbox.put(self._wire.push(value))

    async def taken(self) -> None:
        """Return when the socket has taken everything."""
        await self._outbox.taken()

    def cut(self, why: str = "") -> None:
        """End the connection now, and log why where that is not logged already."""
        if why:
            log.warning("process cut off", process=self.label, reason=why)
        self._connection.cancel()
