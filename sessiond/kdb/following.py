"""A `follow`: answered with everybody, and from then on told of what changes."""

from collections.abc import Callable
from functools import partial

from sessiond.core.errors import CallError
from sessiond.core.session import ProcessAbout
from sessiond.kdb.audience import Answering
from sessiond.kdb.changing import failing
from sessiond.kdb.estate import Estate
from sessiond.kdb.outbox import BACKLOG
from sessiond.kdb.process_line import ProcessLine
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks

LARGE = BACKLOG // 2  # bytes: behind an answer of so many, pushes wait for it to be read


class Following:
    """One of them. It changes nothing, so it is begun when its answer is due."""

    def __init__(
        self,
        estate: Estate,
        line: ProcessLine,
        about: ProcessAbout,
        slot: Slot,
        tasks: ConnectionTasks,
    ) -> None:
        self._estate = estate
        self._line = line
        self._about = about
        self._slot = slot
        self._tasks = tasks

    def begin(self) -> None:
        """Have it answered once the messages before it are."""
        self._slot.when_due(self._ask)

    def _ask(self) -> None:
        try:
            answering = self._estate.ask(self._line, self._about)
        except CallError as error:
            self._slot.settle(failing(error))
            return
        self._slot.stopped = self._tasks.begin(partial(self._answer, answering))

    async def _answer(self, answering: Answering) -> None:
        """Answer, and let the pushes follow it; where it is too late, the next one is sooner."""
        message = await self._estate.answer(answering)
        begin: Callable[[], None] = partial(self._estate.begin, answering)
        is_large = len(message) > LARGE
        encoded = Encoded(message) if is_large else Encoded(message, begin)
        if not self._slot.settle(lambda: encoded):
            self._estate.give_up(answering)
        elif is_large:
            await self._line.taken()
            begin()
