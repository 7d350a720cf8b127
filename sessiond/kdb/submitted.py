"""A change on its way through the table, for a task that waits for its answer."""

from typing import Generic, TypeVar, cast

import anyio

from sessiond.core.errors import StoreError
from sessiond.core.queries import Request
from sessiond.table import Table

A = TypeVar("A")


class Submitted(Generic[A]):
    """What was submitted, and its answer once there is one."""

    def __init__(self) -> None:
        self._done = anyio.Event()
        self._answer: A | StoreError | None = None

    def hear(self, answer: A | StoreError) -> None:
        """Be told the answer."""
        self._answer = answer
        self._done.set()

    async def answer(self) -> A:
        """Return the answer. Cancelling changes nothing.

        Raises:
            StoreError: It could not be written.
        """
        await self._done.wait()
        if isinstance(self._answer, StoreError):
            raise type(self._answer)(*self._answer.args)
        return cast("A", self._answer)


async def submit(table: Table, request: Request[A]) -> Submitted[A]:
    """Submit a change in its turn; wait while the table is crowded."""
    if table.is_crowded:
        room = anyio.Event()
        table.when_room(room.set)
        await room.wait()
    submitted = Submitted[A]()
    table.submit(request, submitted.hear)
    return submitted
