"""Decides what an exception that nobody expected means in a task that talks to strangers.

It means that this one thing failed: this issuer's fetch, this login's question, this trial call. It
is logged, counted and tried again with backoff; it ends neither the daemon nor another's task. What
issuers and plugins answer is theirs to choose, and so is which line of ours, or of a library's,
has never seen the like.

The line is drawn by task and not by class of exception. Inside are all that run on a stranger's
word and own nothing but their own question: key fetches, logins' questions and trial calls at
issuers, refreshes and tokens given back, witnesses of the time, role sources. So are the calls that
the table makes when a batch is on disk, each push, and what the loop calls of a connection: what
is wrong with one process's message or one issuer's grant keeps nobody else from hearing of it, and
the rows stay true. (A connection that fails is cut: its process comes back, and hears what has
ended.) Outside are the table's decisions, the store, the listener and the watchdog: after a bug of
theirs nobody knows what is true any more, so it ends the daemon loudly, and systemd starts it again
from the disk.

Every `Exception` is contained. RecursionError and MemoryError too: both come of one answer that
was too deep or too large, and what it took is free again once the stack is unwound. (A machine
that has no memory left kills the process instead of raising.) UnicodeError is a ValueError like
any other. An ExceptionGroup is contained where all that it holds could be; one that holds what
cancels a task is none. That, KeyboardInterrupt and SystemExit are no Exceptions, and pass.
"""

import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType

import structlog

from sessiond.clock import Clock
from sessiond.core.backoff import pause_after

FIRST_PAUSE = 1.0  # seconds until what failed is begun again; doubled up to
LONGEST_PAUSE = 60.0
LONG_RUN = 300.0  # seconds; what had run for so long begins again after the first pause
MOST_TOLD = 8  # exceptions of a group or chain
MOST_FRAMES = 20  # the innermost ones of each

log = structlog.get_logger()


class Containment:
    """Where unexpected exceptions end. One for the daemon, so that there is one count."""

    def __init__(self) -> None:
        self.failures = Counter[tuple[str, str]]()  # by task, and by whose it was

    def around(self, task: str, whose: str) -> "Contained":
        """Let what is raised inside end here; what follows the block goes on without its result.

        It holds nothing of a block, so that one may stand around many, at one time too.

        Args:
            task: What is being done, for the log and the metric.
            whose: The issuer or role source that it is done for.
        """
        return Contained(partial(self.note, task, whose))

    def note(self, task: str, whose: str, error: Exception) -> None:
        """Tell and count one."""
        self.failures[task, whose] += 1
        kind = type(error).__name__
        log.error("unexpected failure", task=task, name=whose, error=kind, exception=_places(error))

    async def keep_up(
        self, work: Callable[[], Awaitable[None]], *, task: str, whose: str, clock: Clock
    ) -> None:
        """Do work that takes as long as the daemon runs; begin it again whenever it failed.

        Returns when the work does.
        """
        failures = 0  # since it last ran for long
        while True:
            began = clock.monotonic()
            with self.around(task, whose):
                await work()
                return
            if clock.monotonic() - began >= LONG_RUN:
                failures = 0
            failures += 1
            await clock.sleep(pause_after(failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE))


class Contained(AbstractContextManager[None, bool]):
    """A block that one exception ends, and no more. Says so to mypy, other than a generator.

    It holds no state: one may stand around many things, one within another.
    """

    def __init__(self, hear: Callable[[Exception], object]) -> None:
        """Make one; `hear` is told what was raised."""
        self._hear = hear

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._hear(error)
        return True


def _places(error: BaseException) -> str:
    """Return where it was raised, and not what it says: a foreign text may hold a token."""
    lines = ["Traceback (most recent call last):\n"]
    rest, told = deque([error]), 0
    while rest and told < MOST_TOLD:
        each, told = rest.popleft(), told + 1
        lines += [*traceback.format_tb(each.__traceback__, limit=-MOST_FRAMES), type(each).__name__]
        lines.append("\n")
        earlier = each.__cause__ or each.__context__
        if isinstance(each, BaseExceptionGroup):
            rest.extend(each.exceptions[:MOST_TOLD])
        elif earlier is not None:
            rest.append(earlier)
    return "".join(lines).rstrip()
