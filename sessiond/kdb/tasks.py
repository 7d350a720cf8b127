"""The tasks of a connection, which leave nothing behind when they end."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import TaskGroup

Work = Callable[[], Coroutine[Any, Any, None]]
Later = Callable[[Work], None]


def later(tasks: TaskGroup) -> Later:
    """Return what starts a task in a group.

    A task that ends by being cancelled leaves a cycle in the event loop: its exception, the frames
    that it came through and all that they name, a connection's buffers among it. Only the collector
    would find that, and it looks rarely. So the exception ends in the task, with which it is over
    anyhow, and the memory is given back as the connection closes.
    """

    def start(work: Work) -> None:
        tasks.start_soon(_to_its_end, work)

    return start


async def _to_its_end(work: Work) -> None:
    with suppress(anyio.get_cancelled_exc_class()):
        await work()
