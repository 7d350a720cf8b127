"""Whoever waits for a push waits until it is made, and no longer."""

from typing import Any

import anyio
import pytest

from sessiond.bus import Bus, Committed
from sessiond.core.decide import Notice
from sessiond.edge.control.delivery import Delivery
from tests.fakes import idle, opened_event

pytestmark = pytest.mark.anyio


class Slow:
    """Takes batches and is done with each when it is told so."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.go_on = anyio.Event()

    async def deliver(self, news: Any) -> None:
        async with news:
            async for batch in news:
                if batch.notices:
                    self.taken.append(batch.notices[-1].event.sequence)
                    await self.go_on.wait()
                    self.go_on = anyio.Event()


async def test_waiting_ends_when_the_batch_is_through_and_not_when_it_is_taken() -> None:
    bus, slow, over = Bus(), Slow(), list[int]()
    delivery = Delivery(bus.listen(), slow.deliver, sequence=5)

    async def wait(sequence: int) -> None:
        await delivery.wait_for(sequence)
        over.append(sequence)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delivery.run)
        for sequence in (5, 6, 8):
            tasks.start_soon(wait, sequence)
        await idle()
        assert over == [5]  # of an earlier run
        await bus.publish(Committed((), [Notice(opened_event(6))]))
        await bus.publish(Committed((), ()))
        await bus.publish(Committed((), [Notice(opened_event(7)), Notice(opened_event(8))]))
        await idle()
        assert (slow.taken, over) == ([6], [5])
        slow.go_on.set()
        await idle()
        assert (slow.taken, over) == ([6, 8], [5, 6])
        slow.go_on.set()
        await idle()
        assert over == [5, 6, 8]
        bus.close()


async def test_news_with_no_number_moves_nothing() -> None:
    bus, slow = Bus(), Slow()
    delivery = Delivery(bus.listen(), slow.deliver, sequence=5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delivery.run)
        slow.go_on.set()
        await bus.publish(Committed((), [Notice(opened_event(0))]))  # pushed, and not on disk
        await idle()
        with anyio.fail_after(10):
            await delivery.wait_for(5)
        bus.close()
