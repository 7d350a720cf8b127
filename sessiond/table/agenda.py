"""What the table decides next: what waits, in its order, and pieces of what takes long."""

from collections import deque
from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

import anyio
import anyio.lowlevel
from anyio import EndOfStream, WouldBlock

from sessiond.core.decide import turn_of
from sessiond.core.errors import StoreError
from sessiond.core.queries import Request

A = TypeVar("A")

INBOX = 4096  # submissions that wait; whoever asks beyond that waits to ask
MAX_BATCH = 512  # submissions in one transaction


class Submission(Generic[A]):
    """A change or a query on its way through the table."""

    def __init__(self, request: Request[A]) -> None:
        self.request = request  # or what is left of it to be decided, or answered
        self._done = anyio.Event()
        self._answer: A | None = None
        self._error: StoreError | None = None

    async def answer(self) -> A:
        """Return the answer, once all that it reflects is on disk: a change's own writes too.

        Cancelling changes nothing.

        Raises:
            StoreError: It could not be written. What takes nothing away did not happen.
        """
        await self._done.wait()
        if self._error is not None:
            raise StoreError(*self._error.args)  # whoever raises one makes its traceback longer
        return cast("A", self._answer)

    def fail(self, error: StoreError) -> None:
        """Have it answered with an error, once it is settled."""
        self._error = error

    def settle(self, answer: A | None = None) -> None:
        """Give the answer, unless a piece has failed."""
        self._answer = answer
        self._done.set()


class Agenda:
    """The order in which what was submitted has its turn. The table alone takes from it.

    What takes long goes a piece at a time, and what else waits goes between. But nothing passes
    what is unfinished about the same process, whose calls are carried out in order.
    """

    def __init__(self) -> None:
        self._send, self._inbox = anyio.create_memory_object_stream[Submission[Any]](INBOX)
        self._ready = deque[Submission[Any]]()
        self._unfinished = deque[Submission[Any]]()
        self._behind: dict[Hashable, tuple[Submission[Any], deque[Submission[Any]]]] = {}

    @property
    def waiting(self) -> int:
        """How many submissions wait for their turn."""
        behind = sum(len(held) for _, held in self._behind.values())
        return self._inbox.statistics().current_buffer_used + len(self._ready) + behind

    async def enter(self, submission: Submission[Any]) -> None:
        """Put a submission last in the queue; wait while that is full."""
        await self._send.send(submission)

    def close(self) -> None:
        """Take no more; what is in the queue still has its turn."""
        self._send.close()

    async def next(self) -> list[Submission[Any]]:
        """Return whose turn is next.

        Raises:
            EndOfStream: It is closed, and nothing is left.
        """
        if not self._ready and not self._unfinished:
            self._ready.append(await self._inbox.receive())
        if self._unfinished:  # a piece that writes nothing has waited for nobody
            await anyio.lowlevel.checkpoint()
        with suppress(WouldBlock, EndOfStream):
            while len(self._ready) < MAX_BATCH:
                self._ready.append(self._inbox.receive_nowait())
        batch = list(self._ready)
        self._ready.clear()
        if self._unfinished:
            batch.append(self._unfinished.popleft())
        return batch

    def end(self) -> None:
        """Take nothing out any more: whoever still asks is told."""
        self._inbox.close()

    def holds_back(self, submission: Submission[Any]) -> bool:
        """Keep a submission behind the unfinished one that it must not pass, if there is one."""
        owner, held = self._behind.get(turn_of(submission.request), (submission, None))
        if owner is submission or held is None:
            return False
        held.append(submission)
        return True

    def put_back(self, submissions: Iterable[Submission[Any]]) -> None:
        """Give these the first turn next time: there was no room for them."""
        self._ready.extendleft(reversed(list(submissions)))

    def claim(self, submission: Submission[Any], rest: Request[Any]) -> None:
        """Let nothing about the same pass a submission from now on: there is a rest of it."""
        turn = turn_of(rest)
        if turn is not None:
            self._behind.setdefault(turn, (submission, deque()))

    def go_on(self, submission: Submission[Any], rest: Request[Any]) -> None:
        """Give the rest of a claimed submission its turn after what waits by now."""
        submission.request = rest
        if not self.holds_back(submission):
            self._unfinished.append(submission)

    def finish(self, submission: Submission[Any]) -> None:
        """Let what waits behind a submission go on."""
        self._release(turn_of(submission.request), submission)

    def _release(self, turn: Hashable, submission: Submission[Any]) -> None:
        owner, held = self._behind.get(turn, (None, ()))
        if owner is submission:
            del self._behind[turn]
            self.put_back(held)
