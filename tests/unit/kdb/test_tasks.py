"""What a connection has under way that waits ends with it, and a fault in it ends it."""

import anyio
import anyio.lowlevel
import pytest

from sessiond.kdb.tasks import ConnectionTasks
from tests.fakes import idle
from tests.unit.kdb.serving import FakePlace

pytestmark = pytest.mark.anyio


async def test_a_task_can_be_ended_alone_and_a_fault_is_told_to_the_connection() -> None:
    failed, done = list[Exception](), list[str]()

    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        done.append("worked")

    async def hang() -> None:
        await anyio.sleep_forever()

    async def break_() -> None:
        raise ValueError("a fault")

    async with anyio.create_task_group() as group:
        tasks = ConnectionTasks(FakePlace(group), failed.append)
        tasks.begin(work)
        end = tasks.begin(hang)
        tasks.begin(break_)
        await idle()
        assert (done, [str(each) for each in failed]) == (["worked"], ["a fault"])
        assert len(tasks._scopes) == 1
        end()
        await idle()
        assert len(tasks._scopes) == 0
