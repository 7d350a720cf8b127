"""What q's HTTP server asks of the q process that it is in, whoever plays that one."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

Tell = Callable[[str | bytes], Awaitable[None]]  # what the process sends to a websocket by itself


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as q sees it."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]  # the names as they were sent
    body: bytes

    def header(self, name: bytes) -> bytes:
        """Return a header's value, empty where it was not sent."""
        return next((value for each, value in self.headers if each.lower() == name), b"")

    @property
    def text(self) -> str:
        """What `.z.ac` gets: path and query, without the first slash."""
        return self.target.removeprefix(b"/").decode("latin-1")


class Callbacks(Protocol):
    """Those of one connection: `.z.ac` is `ac`, and so on (code.kx.com/q/ref/dotz)."""

    async def ac(self, asked: Asked) -> tuple[int, bytes]:
        """Return what is to be done, and a name or a whole response."""
        ...

    async def pw(self, user: str, password: str) -> bool: ...

    async def ph(self, asked: Asked) -> bytes:
        """Return the page, a whole response."""
        ...

    async def pp(self, asked: Asked) -> bytes:
        """Return the response to what was posted."""
        ...

    async def wo(self, tell: Tell) -> None: ...

    async def ws(self, message: str | bytes) -> None: ...

    async def wc(self) -> None: ...


class QProcess(Protocol):
    """A q process, or what plays one."""

    def connection(self) -> AbstractAsyncContextManager[Callbacks]:
        """Hold a browser's connection by a handle, for the block.

        The block is cancelled where the process closes the handle.

        Raises:
            OSError: On entering, where the process is gone.
        """
        ...
