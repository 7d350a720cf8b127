"""Calls as the daemon makes them: many at once, and cancelled on their way."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.lowlevel

STEPS = 8  # turns of the event loop
AT_ONCE = 20  # calls

R = TypeVar("R")


async def many_at_once(call: Callable[[], Awaitable[R]]) -> list[R]:
    """Return what calls at the same time say; raise the first error among them."""
    found: list[R] = []
    errors: list[Exception] = []

    async def run() -> None:
        try:
            found.append(await call())
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(run)
    if errors:
        raise errors[0]
    return found


async def cancelled_at_each_step(call: Callable[[], Awaitable[object]]) -> None:
    """Make a call again and again, each time cancelled a little later.

    Raises:
        AssertionError: It raised something of its own.
    """
    for steps in range(STEPS):
        errors: list[Exception] = []

        async def run(errors: list[Exception] = errors) -> None:
            try:
                await call()
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        if errors:
            raise AssertionError(
                f"cancelled after {steps} steps it raised {errors[0]!r}: let cancellation through"
            ) from errors[0]
