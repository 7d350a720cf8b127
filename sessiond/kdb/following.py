"""A `follow`: answered with everybody, and from then on told of what changes."""

from collections.abc import Callable
from functools import partial

from sessiond.core.errors import CallError
from sessiond.kdb.audience import Answering
from sessiond.kdb.changing import failing
from sessiond.kdb.estate import Estate
from sessiond.kdb.login_services import Owner
from sessiond.kdb.process_line import ProcessLine
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks


class Following:
    """One of them. It changes nothing, so it is begun when its answer is due."""

    def __init__(
        self,
        estate: Estate,
        line: ProcessLine,
        owner: Owner,
        slot: Slot,
        tasks: ConnectionTasks,
    ) -> None:
        self._estate = estate
        self._line = line
        self._owner = owner
        self._slot = slot
        self._tasks = tasks

    def begin(self) -> None:
        """Have it answered once the messages before it are."""
        self._slot.when_due(self._ask)

    def _ask(self) -> None:
        try:
            answering = self._estate.ask(self._line, self._owner.about)
        except CallError as error:
            self._slot.settle(failing(error))
            return
        stop = self._tasks.begin(partial(self._answer, answering))
        self._slot.stopped = stop
        self._slot.late = partial(self._late, answering, stop, self._slot.late)

    def _late(
        self, answering: Answering, stop: Callable[[], None], say: Callable[[], object]
    ) -> None:
        """Encode it no further: who was looked at stays so, and the next one is sooner."""
        stop()
        self._estate.give_up(answering)
        say()

    async def _answer(self, answering: Answering) -> None:
        """Answer, and let the pushes follow once that is read.

        What one user's processes leave unread is bounded for all of them together. So the next
        answer to one of them is sent when this one is taken.
        """
        encoded = Encoded(await self._estate.answer(answering))
        async with self._estate.turn_of(self._owner.key.uid):
            if self._slot.settle(lambda: encoded):
                del encoded
                await self._estate.deliver(answering)
