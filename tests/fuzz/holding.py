"""How long a thing holds the event loop: CPU time of one callback's thread, not time that passed.

A busy machine makes everything take longer on the clock, but hardly makes it cost more CPU time.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from time import thread_time
from typing import Any
from unittest.mock import patch

TIMES = 5


class Hold:
    """The longest one so far."""

    def __init__(self) -> None:
        self.seconds = 0.0  # of CPU time

    @contextmanager
    def timed(self) -> Iterator[None]:
        begun = thread_time()
        try:
            yield
        finally:
            self.seconds = max(self.seconds, thread_time() - begun)


@contextmanager
def longest_hold() -> Iterator[Hold]:
    """Time each callback that asyncio's own event loop runs, a task's steps too."""
    hold, run = Hold(), asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        with hold.timed():
            run(handle)

    with patch.object(asyncio.Handle, "_run", timed):
        yield hold


def hold_of(work: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """Return the seconds of CPU time for which work holds its loop at the longest.

    The least of some runs: what more a run takes is the machine's doing.
    """
    found = []
    for _ in range(TIMES):
        with asyncio.Runner() as runner:
            runner.run(asyncio.sleep(0))
            with longest_hold() as hold:
                runner.run(work())
        found.append(hold.seconds)
    return min(found)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the seconds of CPU time that a call takes, its own event loop's included."""
    found = []
    for _ in range(TIMES):
        hold = Hold()
        with hold.timed():
            work()
        found.append(hold.seconds)
    return min(found)
