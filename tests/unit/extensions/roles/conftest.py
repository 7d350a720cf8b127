"""Where sources are asked: tasks that outlive whoever asks."""

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import TaskGroup


@pytest.fixture
async def tasks() -> AsyncIterator[TaskGroup]:
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()
