from typing import Any

import anyio
import pytest

from sessiond.bus import BACKLOG, Bus, Committed
from sessiond.core.decide import Notice
from sessiond.core.rows import Put
from tests.fakes import idle, opened_event, session

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def batch(number: int) -> Committed:
    return Committed([Put(session(number))], [Notice(opened_event(number))])


async def test_every_listener_gets_every_batch_in_order() -> None:
    bus = Bus()
    one, other = bus.listen(), bus.listen()
    for number in (1, 2, 3):
        await bus.publish(batch(number))
    bus.close()
    with one, other:
        for listener in (one, other):
            assert [each async for each in listener] == [batch(1), batch(2), batch(3)]


async def test_a_listener_hears_what_comes_after_it() -> None:
    bus = Bus()
    await bus.publish(batch(1))
    with bus.listen() as late:
        await bus.publish(batch(2))
        bus.close()
        assert [each async for each in late] == [batch(2)]


async def test_a_listener_that_is_gone_keeps_nobody_from_hearing() -> None:
    bus = Bus()
    gone, here = bus.listen(), bus.listen()
    gone.close()
    for number in (1, 2):
        await bus.publish(batch(number))
    bus.close()
    with here:
        assert [each async for each in here] == [batch(1), batch(2)]


async def test_a_full_backlog_makes_publishing_wait_and_loses_nothing() -> None:
    bus = Bus()
    with bus.listen() as slow:
        for number in range(BACKLOG):
            await bus.publish(batch(number))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.publish, batch(BACKLOG))
            await idle()
            assert slow.statistics().tasks_waiting_send == 1
            heard = [await slow.receive() for _ in range(BACKLOG + 1)]
        bus.close()
    assert heard == [batch(number) for number in range(BACKLOG + 1)]


async def test_closing_ends_every_listener_and_may_be_repeated() -> None:
    bus = Bus()
    with bus.listen() as listener:
        bus.close()
        bus.close()
        with pytest.raises(anyio.EndOfStream):
            await listener.receive()
