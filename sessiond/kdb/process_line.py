"""The way to one process, as far as others may touch it."""

from collections.abc import Callable

import structlog

from sessiond.kdb.outbox import Outbox
from sessiond.qipc import ServerConnection, Value

log = structlog.get_logger()


class ProcessLine:
    """Sends to a process and cuts it off. Once the connection is over it leads nowhere."""

    def __init__(self, wire: ServerConnection, outbox: Outbox, cut: Callable[[], None]) -> None:
        self._wire = wire
        self._outbox = outbox
        self._cut = cut
        self.label = ""  # what logs call the process

    def push(self, value: Value) -> None:
        """Send an async message. Never waits, and never raises."""
        try:
            self._outbox.put(self._wire.push(value))
        except Exception as error:  # noqa: BLE001 - this connection ends by it; others go on
            self.fail(error)

    async def taken(self) -> None:
        """Return when the socket has taken everything."""
        await self._outbox.taken()

    def cut(self, why: str = "") -> None:
        """End the connection now, and log why where that is not logged already."""
        if why:
            log.warning("process cut off", process=self.label, reason=why)
        self._cut()

    def fail(self, error: Exception) -> None:
        """End the connection by a fault of this program, which is told with its traceback."""
        log.error("connection failed", process=self.label, exc_info=error)
        self._cut()

    def end(self) -> None:
        """Lead to the connection no more."""
        self._cut = _nothing


def _nothing() -> None:
    """Do nothing: it is over."""
