"""Wakes whoever waits for something to have become true."""

from collections.abc import Callable

import anyio


class Notifier:
    """A condition variable for one event loop, where no lock is needed: nothing runs in between.

    Nobody misses a notification: a waiter looks again after each, and before it waits at all.
    """

    def __init__(self) -> None:
        self.count = 0  # notifications so far
        self._next: anyio.Event | None = None  # made only where somebody waits

    def notify(self) -> None:
        """Have everybody who waits look again."""
        self.count += 1
        if self._next is not None:
            self._next.set()
            self._next = None

    async def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Return when it is so; at once where it is already.

        Args:
            is_so: Looks at what changes only together with a call of `notify`. It is so still when
                this returns only if nothing else that was woken has undone it.
        """
        while not is_so():
            if self._next is None:
                self._next = anyio.Event()
            await self._next.wait()

    async def wait_beyond(self, count: int) -> None:
        """Return when there were more notifications than `count`, which was so when one looked.

        For whoever has to wait for something else between looking and waiting.
        """
        await self.wait_for(lambda: self.count > count)
