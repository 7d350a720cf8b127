"""Waiting for whichever comes first."""

from collections.abc import Awaitable, Callable

import anyio


async def first(*waits: Callable[[], Awaitable[object]]) -> None:
    """Run all until one of them returns; the others are cancelled."""
    async with anyio.create_task_group() as tasks:

        async def run(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            tasks.cancel_scope.cancel()

        for wait in waits:
            tasks.start_soon(run, wait)
