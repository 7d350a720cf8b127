"""What a warm login costs, counted: no task and no future of its own, and nothing that stays."""

import asyncio
import contextvars
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from sessiond.testing.calls import disconnect_call, opened_call
from sessiond.testing.plain import plain_dict
from tests.fakes import HOUR, FakeClock, idle, verdict
from tests.unit.kdb.serving import Process, Serving, connect, serving

pytestmark = pytest.mark.anyio

WARM = 50  # logins before it is counted
ROUNDS = 1000  # logins and logouts over which nothing may grow
# Of one batch, by the table, which wakes its one task by it. (The store has its own.)
FUTURES_A_BATCH = 1
STAYS = 3 * ROUNDS  # allocated blocks: the moments at which a grant of each was to be looked at


@dataclass
class Counts:
    """What was made in a loop."""

    tasks: int = 0
    futures: int = 0
    callbacks: int = 0
    commits: int = 0
    made: list[str] = field(default_factory=list)


@contextmanager
def counted() -> Iterator[Counts]:
    """Count what the running loop is asked for in the block."""
    loop, counts = asyncio.get_running_loop(), Counts()
    call_soon, create_future = loop.call_soon, loop.create_future

    def counting_call_soon(
        callback: Callable[..., object],
        *what: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        counts.callbacks += 1
        return call_soon(callback, *what, context=context)

    def counting_create_future() -> asyncio.Future[Any]:
        counts.futures += 1
        return create_future()

    def counting_tasks(
        _: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **names: Any
    ) -> asyncio.Task[Any]:
        counts.tasks += 1
        counts.made.append(repr(coroutine))
        return asyncio.Task(coroutine, loop=loop, **names)

    loop.set_task_factory(counting_tasks)  # type: ignore[arg-type]
    loop.call_soon = counting_call_soon  # type: ignore[method-assign,assignment]
    loop.create_future = counting_create_future  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        loop.set_task_factory(None)
        del loop.call_soon, loop.create_future


@asynccontextmanager
async def warm(clock: FakeClock) -> AsyncIterator[tuple[Serving, Process]]:
    """Have a process whose logins need nobody any more."""
    async with serving(clock) as daemon:
        q = await daemon.process()
        for _ in range(WARM):
            await log_in_and_out(q)
        await idle()
        yield daemon, q


async def log_in_and_out(q: Process) -> None:
    await q.log_in()
    await q.tell(disconnect_call(5))
    await q.ping()


async def count_logins(daemon: Serving, q: Process, count: int) -> Counts:
    """Count what so many logins of one batch make, from their bytes to their answers."""
    handles, before = range(5, 5 + count), len(daemon.store.commits)
    calls = b"".join(q.wire.sync(connect(handle=handle)) for handle in handles)
    with counted() as counts:
        await q.end.send(calls)
        await idle()
    answers = [plain_dict(await q.answer()) for _ in handles]
    assert all(answer["ok"] for answer in answers)
    opened = [
        q.wire.async_(opened_call(answer["session"], handle))
        for answer, handle in zip(answers, handles, strict=True)
    ]
    with counted() as more:
        await q.end.send(b"".join(opened))
        await idle()
    counts.commits = len(daemon.store.commits) - before
    for handle in handles:
        await q.tell(disconnect_call(handle))
    await q.ping()
    assert daemon.told.count(("session.opened", "")) >= count
    counts.tasks += more.tasks
    counts.futures += more.futures
    counts.callbacks += more.callbacks
    counts.made += more.made
    return counts


async def test_a_warm_login_has_no_task_and_one_future_a_batch(clock: FakeClock) -> None:
    async with warm(clock) as (daemon, q):
        counts = await count_logins(daemon, q, 1)
        assert (counts.tasks, counts.made) == (0, [])
        assert counts.commits == 2  # connect, opened
        assert counts.futures <= FUTURES_A_BATCH * counts.commits


async def test_a_hundred_logins_have_no_more_tasks_than_one(clock: FakeClock) -> None:
    async with warm(clock) as (daemon, q):
        counts = await count_logins(daemon, q, 100)
        assert (counts.tasks, counts.made) == (0, [])
        assert counts.futures <= FUTURES_A_BATCH * counts.commits
        assert counts.commits < 60  # what is read in one turn of the loop goes together


async def test_nothing_of_a_login_stays_after_its_logout(clock: FakeClock) -> None:
    async with warm(clock) as (daemon, q):
        for _ in range(ROUNDS // 10):
            await log_in_and_out(q)
        await forget(daemon, q)
        blocks, before = sys.getallocatedblocks(), alive()
        for _ in range(ROUNDS):
            await log_in_and_out(q)
        await forget(daemon, q)
        assert alive() - before == {}
        assert sys.getallocatedblocks() - blocks < STAYS


def alive() -> Counter[str]:
    """Count what there is of what a login passes through."""
    rooms = ("sessiond.kdb", "sessiond.gate", "sessiond.qipc", "sessiond.table")
    kinds = map(type, gc.get_objects())
    # str: a kind made by C code may have a descriptor there
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(rooms))


async def forget(daemon: Serving, q: Process) -> None:
    """Have the fakes, and what is kept for a while on purpose, hold nothing of what was."""
    await daemon.clock.advance(2 * HOUR)  # what was due, and is not any more
    daemon.verifier.says = verdict(begin=daemon.clock.now())
    q.end.transport.writes.clear()
    q.end.transport.calls.clear()
    daemon.store.events.clear()
    daemon.store.commits.clear()
    daemon.context.events._newest.clear()
    gc.collect()
