"""Who hears of what is on disk: heralds, then each who asked, then each reader, all in order."""

import asyncio  # noqa: TID251 - what is told later is told in a later turn of the loop
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sessiond.containment import Containment
from sessiond.core.decide import Notice
from sessiond.core.rows import Write
from sessiond.table.agenda import Submission

CROWDED = 4096  # submissions without an answer; from there on nobody reads from strangers
ROOMY = 1024  # they read again when no more are left


@dataclass(frozen=True, slots=True)
class Committed:
    """One batch, durable: what was written and what is told of it, in order.

    (While the disk is full, what ends is told before that, its events with number 0.)
    """

    writes: Sequence[Write]
    notices: Sequence[Notice]  # their events carry their sequence numbers


Reader = Callable[[Committed], object]
Answer = tuple[Submission[Any], Any]


class Hearing:
    """Tells answers and batches by plain calls, of things that append and decide nothing.

    One that raises keeps nobody else from being told: that is contained, logged and counted.
    """

    def __init__(self, containment: Containment) -> None:
        self._containment = containment
        self._heralds: tuple[Reader, ...] = ()
        self._readers: tuple[Reader, ...] = ()
        self._unanswered = 0
        self._paused = deque[Callable[[], object]]()

    def attend(self, *readers: Reader, heralds: Iterable[Reader] = ()) -> None:
        """Have each batch told to these, after those that are here already.

        Args:
            readers: Hear of it once those are answered who asked for what is in it.
            heralds: Hear of it before.
        """
        self._readers += readers
        self._heralds += (*heralds,)

    @property
    def is_crowded(self) -> bool:
        """Whether so many wait for an answer that no stranger should bring more."""
        return self._unanswered >= CROWDED

    def when_room(self, resume: Callable[[], object]) -> None:
        """Call this once, after those that asked for it before, when few wait for an answer."""
        self._paused.append(resume)
        asyncio.get_running_loop().call_soon(self._let_in)

    def expect(self) -> None:
        """Count one more who waits for an answer."""
        self._unanswered += 1

    def answer(self, answers: Sequence[Answer]) -> None:
        """Tell each who asked."""
        self._unanswered -= len(answers)
        self._call("answer", (partial(asked.settle, answer) for asked, answer in answers))
        self._let_in()

    def answer_later(self, asked: Submission[Any], answer: Any) -> None:
        """Tell who asked, but not within the call that asks."""
        self.expect()
        asyncio.get_running_loop().call_soon(self.answer, [(asked, answer)])

    def herald(self, batch: Committed) -> None:
        """Tell those who hear of a batch before it is answered."""
        self._call("herald", (partial(herald, batch) for herald in self._heralds))

    def tell(self, batch: Committed) -> None:
        """Tell each reader."""
        self._call("reader", (partial(reader, batch) for reader in self._readers))

    def _let_in(self) -> None:
        """Go on with who paused, in turn, until it is crowded again."""
        if self._unanswered > ROOMY:
            return
        while self._paused and not self.is_crowded:
            self._call("reading again", [self._paused.popleft()])

    def _call(self, what: str, calls: Iterable[Callable[[], object]]) -> None:
        """Make each call, whatever another raises."""
        rest, is_over = iter(calls), False
        while not is_over:
            with self._containment.around("told by the table", what):
                for call in rest:
                    call()
                is_over = True
