"""Sees that a socket's path is gone or somebody else's, which nobody who listens is told of.

What cleans up /tmp removes what is old there; q processes that know no abstract name then find
nobody, nor do operators. A look costs an lstat(2) or two.
"""

from collections.abc import Awaitable, Callable

import anyio
import structlog

from sessiond.clock import Clock
from sessiond.core.errors import AddressInUseError, ConfigError
from sessiond.system.socket_file import SocketFile

EVERY = 5.0  # seconds between two looks

log = structlog.get_logger()


class PathWatch:
    """Watches one path. What somebody else has put there is told of, and never touched."""

    def __init__(
        self, file: SocketFile, *, bind_again: Callable[[], Awaitable[None]] | None
    ) -> None:
        """Begin with what is there.

        Args:
            file: Noted by now.
            bind_again: Binds the path anew, where it is free; None: it is systemd's to bind.
        """
        self._file = file
        self._bind_again = bind_again
        self._scope = anyio.CancelScope()
        self._told = ""

    async def run(self, clock: Clock) -> None:
        """Look now and then, until `stop`."""
        with self._scope:
            while True:
                await clock.sleep(EVERY)
                await self.look()

    def stop(self) -> None:
        """Look no more: who stops listening removes the path."""
        self._scope.cancel()

    async def look(self) -> None:
        """Look once, and bind it again where it is gone and ours to bind."""
        try:
            await self._look()
        except (ConfigError, AddressInUseError, OSError) as error:
            if self._is_news("gone"):
                log.error("socket path gone", path=self._file.path, error=str(error))

    async def _look(self) -> None:
        stranger, path = self._file.stranger(), self._file.path
        if stranger is not None:
            if self._is_news("taken"):
                log.error("socket path taken", path=path, uid=stranger.st_uid)
        elif not self._file.is_gone:
            self._told = ""
        elif self._bind_again is None:
            raise AddressInUseError(
                "the socket's path is gone, wanted it bound again, which systemd alone can: "
                "restart its socket unit"
            )
        else:
            await self._bind_again()
            self._file.note()
            self._told = ""
            log.warning("socket path was gone, bound again", path=path)

    def _is_news(self, what: str) -> bool:
        """Tell of each once, until it is otherwise."""
        is_news, self._told = what != self._told, what
        return is_news
