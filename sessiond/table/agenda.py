"""What the table decides next: what waits, in its order, and pieces of what takes long."""

import asyncio  # noqa: TID251 - one future for the one task that waits here
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

from sessiond.core.decide import turn_of
from sessiond.core.errors import StoreError
from sessiond.core.queries import Request

A = TypeVar("A")

Then = Callable[[A | StoreError], object]

MAX_BATCH = 512  # submissions in one transaction


def unheard(_: object) -> None:
    """Be told an answer that nobody waits for."""


class Submission(Generic[A]):
    """A change or a query on its way through the table."""

    __slots__ = ("_error", "_then", "request")

    def __init__(self, request: Request[A], then: Then[A] = unheard) -> None:
        self.request = request  # or what is left of it to be decided, or answered
        self._then = then
        self._error: StoreError | None = None

    def fail(self, error: StoreError) -> None:
        """Have it answered with an error, once it is settled."""
        self._error = error

    def settle(self, answer: A) -> None:
        """Tell the answer to who asked, unless a piece has failed."""
        self._then(answer if self._error is None else self._error)


class Agenda:
    """The order in which what was submitted has its turn. The table alone takes from it.

    What takes long goes a piece at a time, and what else waits goes between. But nothing passes
    what is unfinished about the same process, whose calls are carried out in order.
    """

    def __init__(self) -> None:
        self._ready = deque[Submission[Any]]()
        self._unfinished = deque[Submission[Any]]()
        self._behind: dict[Hashable, tuple[Submission[Any], deque[Submission[Any]]]] = {}
        self._is_closed = False
        self._woken: asyncio.Future[None] | None = None  # while the table waits for work

    @property
    def waiting(self) -> int:
        """How many submissions wait for their turn."""
        return len(self._ready) + sum(len(held) for _, held in self._behind.values())

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._is_closed

    def enter(self, submission: Submission[Any]) -> None:
        """Put a submission last in the queue."""
        self._ready.append(submission)
        self._wake()

    def close(self) -> None:
        """Take no more; what is in the queue still has its turn."""
        self._is_closed = True
        self._wake()

    async def next(self) -> list[Submission[Any]]:
        """Return whose turn is next; wait until there is one. None at all: it is closed.

        The loop has turned once meanwhile, so that all that came in this turn goes together, and
        nobody is kept waiting by a table that always has work.
        """
        if self._ready or self._unfinished or self._is_closed:
            await asyncio.sleep(0)
        else:
            await self._until_woken()
        batch = [self._ready.popleft() for _ in range(min(len(self._ready), MAX_BATCH))]
        if self._unfinished:
            batch.append(self._unfinished.popleft())
        return batch

    def take_all(self) -> list[Submission[Any]]:
        """Return what will not have its turn any more."""
        left = [*self._ready, *self._unfinished]
        for _, held in self._behind.values():
            left += held
        self._ready.clear()
        self._unfinished.clear()
        self._behind.clear()
        return left

    def holds_back(self, submission: Submission[Any]) -> bool:
        """Keep a submission behind the unfinished one that it must not pass, if there is one."""
        if not self._behind:
            return False
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
        if not self._behind:
            return
        turn = turn_of(submission.request)
        owner, held = self._behind.get(turn, (None, ()))
        if owner is submission:
            del self._behind[turn]
            self.put_back(held)

    async def _until_woken(self) -> None:
        self._woken = asyncio.get_running_loop().create_future()
        try:
            await self._woken
        finally:
            self._woken = None

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)
