"""The way to one process, as far as others may touch it."""

from collections.abc import Callable

import structlog

from sessiond.containment import Contained, Containment
from sessiond.kdb.outbox import Outbox
from sessiond.qipc import ServerConnection

log = structlog.get_logger()


class ProcessLine:
    """Sends to a process and cuts it off. Once the connection is over it leads nowhere."""

    def __init__(
        self,
        wire: ServerConnection,
        outbox: Outbox,
        cut: Callable[[], None],
        containment: Containment,
    ) -> None:
        self._containment = containment
        self._wire = wire
        self._outbox = outbox
        self._cut = cut
        self.label = ""  # what logs call the process

    def push(self, *messages: bytes) -> None:
        """Send encoded async messages. Never waits, and never raises."""
        with Contained(self.fail):
            self._outbox.put(self._wire.tell(*messages))

    async def taken(self) -> None:
        """Return when the socket has taken everything."""
        await self._outbox.taken()

    def cut(self, why: str = "") -> None:
        """End the connection now, and log why where that is not logged already."""
        if why:
            log.warning("process cut off", process=self.label, reason=why)
        self._cut()

    def fail(self, error: Exception) -> None:
        """End the connection by a fault of this program, which is told."""
        self._containment.note("connection", "process", error)
        self.cut("a fault of sessiond itself: see unexpected failure")

    def end(self) -> None:
        """Lead to the connection no more."""
        self._cut = _nothing


def _nothing() -> None:
    """Do nothing: it is over."""
