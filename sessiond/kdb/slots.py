"""The messages in hand: what they change enters the table in their order, answers leave in it."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sessiond.containment import Contained
from sessiond.qipc import Value

EARLY = 0.001  # seconds by which a clock may call back before the moment


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer as the message that it is sent in, and who is told of it once it has left."""

    message: bytes = field(repr=False)
    then: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that is a q error. (One that is raised leaves a cycle behind, of all it met.)"""

    text: str
    is_told: bool = False  # the log has it already


Answer = Callable[[], Value | Encoded | Wrong]  # makes the answer as it leaves


def _nothing(*_: object) -> None:
    """Do nothing: there is nobody any more."""


class Slot:
    """One message's place among those in hand. It is settled once: answered, late or stopped.

    Its call says what enters the table (`enter`) or is asked once the answer is due (`when_due`),
    and settles it in the end. It may set `late`, which then has to settle it, and `stopped`.
    """

    __slots__ = (
        *("_slots", "answer", "answer_by", "asks", "began", "enters", "is_apart", "is_settled"),
        *("is_sync", "late", "size", "stopped"),
    )

    def __init__(
        self,
        slots: "Slots",
        *,
        is_sync: bool = False,
        began: float,
        answer_by: float,
        size: int = 0,
        is_apart: bool = False,
    ) -> None:
        """Take a place.

        Args:
            slots: Those in hand.
            is_sync: The answer is sent.
            began: The moment of monotonic time at which the message began to arrive.
            answer_by: The moment at which it is late.
            size: Of the message, in bytes.
            is_apart: It has no place in the order: nothing waits for it, nor it for anything.
        """
        self._slots = slots
        self.is_sync = is_sync
        self.began = began
        self.answer_by = answer_by
        self.size = size
        self.is_apart = is_apart
        self.is_settled = False
        self.enters: Callable[[], None] | None = None
        self.asks: Callable[[], None] | None = None
        self.answer: Answer = _no_answer
        self.late: Callable[[], object] = partial(self.settle, _no_answer)
        self.stopped: Callable[[], None] = _nothing

    def enter(self, submit: Callable[[], None]) -> None:
        """Have a change submitted as soon as those of all earlier messages have been."""
        if self.is_settled:
            return
        if self.is_apart:
            submit()
            return
        self.enters = submit
        self._slots.move()

    def when_due(self, ask: Callable[[], None]) -> None:
        """Have something asked as soon as all earlier messages are answered. It changes nothing."""
        self.asks = ask
        self.enter(_nothing)

    def settle(self, answer: Answer) -> bool:
        """Have it answered in its turn; return False when it is settled already."""
        if self.is_settled:
            return False
        self.is_settled = True
        self.answer = answer
        self.late = self.stopped = _nothing  # which lead back to the call
        self._slots.settled(self)
        return True

    def take_answer(self) -> Answer:
        """Return what makes the answer, and lead to the call no more."""
        answer, self.answer = self.answer, _no_answer
        return answer

    def stop(self) -> None:
        """Settle it with nothing: the connection is over."""
        self.answer = _no_answer
        if not self.is_settled:
            self.is_settled = True
            stopped, self.late, self.stopped = self.stopped, _nothing, _nothing
            self.enters = self.asks = None
            stopped()

    def guarded(self, hear: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return the same for others to call: what goes wrong in it ends this connection alone."""
        return partial(self._slots.guard, hear)


class Slots:
    """The slots of one connection."""

    def __init__(
        self, leave: Callable[[list[Slot]], None], fail: Callable[[Exception], None]
    ) -> None:
        """Begin with none.

        Args:
            leave: Is given slots in their order, once each is settled and all before it.
            fail: Is told what went wrong in a call that others have made.
        """
        self._leave = leave
        self._fail = fail
        self._entering = deque[Slot]()
        self._leaving = deque[Slot]()
        self._apart: dict[Slot, None] = {}
        self._is_moving = False
        self.size = 0  # bytes of the messages

    def __len__(self) -> int:
        return len(self._leaving)

    @property
    def are_waited_for(self) -> bool:
        """Whether any has not left yet, those apart included."""
        return bool(self._leaving or self._apart)

    @property
    def next_deadline(self) -> float:
        """The moment at which the next of them is late."""
        return min((each.answer_by for each in self._unsettled()), default=math.inf)

    def add(self, slot: Slot) -> None:
        """Take a message in hand, behind the others."""
        if slot.is_apart:
            self._apart[slot] = None
            return
        self._entering.append(slot)
        self._leaving.append(slot)
        self.size += slot.size

    def settled(self, slot: Slot) -> None:
        """Take note that a slot is settled."""
        if slot.is_apart:
            del self._apart[slot]
            self._leave([slot])
        else:
            self.move()

    def pass_time(self, now: float) -> None:
        """Tell those that are late."""
        for slot in [*self._unsettled()]:
            if slot.answer_by <= now + EARLY:
                slot.late()

    def stop(self) -> None:
        """End them all. Nothing leads back to the connection from here any more."""
        self._leave = _nothing
        self._is_moving = True  # for good
        self.size = 0
        slots = [*self._leaving, *self._apart]
        for each in (self._entering, self._leaving, self._apart):
            each.clear()
        for slot in slots:
            slot.stop()

    def guard(self, hear: Callable[[Any], None], what: Any) -> None:
        """Let a call hear something."""
        with Contained(self._fail):
            hear(what)

    def move(self) -> None:
        """Let those enter and leave whose turn it is."""
        if self._is_moving:  # further up, whoever called this goes on
            return
        self._is_moving = True
        try:
            while self._enter() or self._ask() or self._go():
                pass
        finally:
            self._is_moving = False

    def _enter(self) -> bool:
        if not self._entering:
            return False
        slot = self._entering[0]
        if slot.enters is None and not slot.is_settled:
            return False
        self._entering.popleft()
        submit, slot.enters = slot.enters, None
        if submit is not None and not slot.is_settled:
            submit()
        return True

    def _ask(self) -> bool:
        if not self._leaving or self._leaving[0].asks is None:
            return False
        slot = self._leaving[0]
        ask, slot.asks = slot.asks, None
        if ask is not None and not slot.is_settled:
            ask()
        return True

    def _go(self) -> bool:
        gone = list[Slot]()
        while self._leaving and self._leaving[0].is_settled:
            slot = self._leaving.popleft()
            self.size -= slot.size
            gone.append(slot)
        if gone:
            self._leave(gone)
        return bool(gone)

    def _unsettled(self) -> Iterator[Slot]:
        yield from (each for each in self._leaving if not each.is_settled)
        yield from self._apart


def _no_answer() -> Wrong:
    return Wrong("no answer in time")
