"""What a connection has under way that waits: proofs, long lists, a subscription."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import anyio

from sessiond.containment import Contained

Work = Callable[[], Coroutine[Any, Any, None]]


class Group(Protocol):
    """Where tasks run that outlive the call that starts them."""

    def start_soon(self, work: Work, /) -> object: ...


class ConnectionTasks:
    """The tasks of one connection. They end with it, and leave nothing behind.

    A task that ends by being cancelled leaves a cycle in the event loop: its exception, the frames
    that it came through and all that they name, a connection's buffers among it. Only the collector
    would find that, and it looks rarely. So the exception ends in the task, with which it is over
    anyhow, and the memory is given back as the connection closes.
    """

    def __init__(self, group: Group, fail: Callable[[Exception], None]) -> None:
        """Begin with none.

        Args:
            group: Where they run.
            fail: Is told what went wrong in one.
        """
        self._group = group
        self._fail = fail
        self._scopes = set[anyio.CancelScope]()

    def begin(self, work: Work) -> Callable[[], None]:
        """Start a task; return what ends it."""
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        self._group.start_soon(partial(self._run, work, scope))
        return scope.cancel

    def end(self) -> None:
        """End them all."""
        for scope in tuple(self._scopes):
            scope.cancel()

    async def _run(self, work: Work, scope: anyio.CancelScope) -> None:
        with Contained(self._fail), scope:
            await _to_its_end(work)
        self._scopes.discard(scope)


async def _to_its_end(work: Work) -> None:
    with suppress(anyio.get_cancelled_exc_class()):
        await work()
