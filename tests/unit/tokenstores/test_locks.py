"""Requests for locks: each is told when it is his turn, and loses it when he hangs up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
import structlog
from anyio.abc import TaskGroup

from sessiond.tokenstores.lock import LONGEST_WAIT
from sessiond.tokenstores.locks import (
    IDLE,
    MAX_HELD,
    MAX_WAITING,
    MAX_WAITING_IN_ALL,
    LockKey,
    Locks,
    TooManyLocks,
)
from tests.fakes import FakeClock, idle

pytestmark = pytest.mark.anyio

KEY = LockKey(1000, "externalToken://alice", "oauth")
OTHER = LockKey(1000, "externalToken://bob", "oauth")


class Asking:
    """Requests under way, and what each came to."""

    def __init__(self, tasks: TaskGroup, clock: FakeClock) -> None:
        self.clock = clock
        self.locks = Locks(clock)
        self.told: dict[str, int | None] = {}
        self.refused: list[str] = []
        self._tasks = tasks
        self._gone: dict[str, anyio.Event] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}

    async def ask(
        self, who: str, key: LockKey = KEY, *, patience: float = 5.0, uid: int = 1000
    ) -> int | None:
        """Return the fence, where he has it at once."""
        self._gone[who], self._scopes[who] = anyio.Event(), anyio.CancelScope()
        self._tasks.start_soon(partial(self._take, who, key, patience=patience, uid=uid))
        await idle()
        return self.told.get(who)

    async def hang_up(self, who: str) -> None:
        self._gone[who].set()
        await idle()

    async def cancel(self, who: str) -> None:
        self._scopes[who].cancel()
        await idle()

    async def _take(self, who: str, key: LockKey, *, patience: float, uid: int) -> None:
        with self._scopes[who]:
            try:
                self.told[who] = await self.locks.take(
                    key, uid=uid, pid=7, patience=patience, hung_up=self._gone[who].wait
                )
            except TooManyLocks:
                self.refused.append(who)


@asynccontextmanager
async def asking() -> AsyncIterator[Asking]:
    async with anyio.create_task_group() as tasks:
        one = Asking(tasks, FakeClock())
        yield one
        tasks.cancel_scope.cancel()
    assert one.locks.waiting == 0


async def test_locks_of_different_values_are_different() -> None:
    async with asking() as a:
        assert await a.ask("a") == 1
        assert await a.ask("b", OTHER) == 2
        assert a.locks.held == 2
        assert a.locks.release(KEY, 1, uid=1000)
        assert a.locks.held == 1


async def test_who_waits_is_told_when_it_is_released_in_the_order_of_asking() -> None:
    async with asking() as a:
        await a.ask("a")
        assert await a.ask("b") is None
        assert await a.ask("c") is None
        assert a.locks.waiting == 2
        a.locks.release(KEY, 1, uid=1000)
        await idle()
        assert a.told == {"a": 1, "b": 2}
        assert not a.locks.release(KEY, 1, uid=1000)
        a.locks.release(KEY, 2, uid=1000)
        await idle()
        assert a.told["c"] == 3


async def test_a_dead_holder_s_lock_is_taken_over_and_that_is_logged() -> None:
    async with asking() as a:
        await a.ask("a", uid=1001)
        await a.ask("b", patience=2.0)
        with structlog.testing.capture_logs() as logs:
            await a.clock.advance(1.9)
            assert "b" not in a.told
            await a.clock.advance(0.1)
        assert a.told["b"] == 2
        assert logs == [
            {
                "event": "lock taken over",
                "log_level": "warning",
                "uid": 1000,
                "pid": 7,
                "context": KEY.context,
                "name": "oauth",
                "from_uid": 1001,
                "from_pid": 7,
                "idle": 2.0,
            }
        ]
        assert a.locks.begin_write(KEY, 1, uid=1000) is None
        assert (a.locks.counts.taken, a.locks.counts.taken_over) == (2, 1)


async def test_progress_resets_the_wait_of_all_others() -> None:
    async with asking() as a:
        await a.ask("a")
        await a.ask("b", patience=2.0)
        for _ in range(5):
            await a.clock.advance(1.5)
            end = a.locks.begin_write(KEY, 1, uid=1000)
            assert end is not None
            await a.clock.advance(1.5)
            end()
        assert "b" not in a.told
        await a.clock.advance(2.0)
        assert a.told["b"] == 2


async def test_nobody_takes_it_over_while_a_write_is_being_committed() -> None:
    async with asking() as a:
        await a.ask("a")
        await a.ask("b", patience=0.25)
        end = a.locks.begin_write(KEY, 1, uid=1000)
        assert end is not None
        await a.clock.advance(30)
        assert a.locks.release(KEY, 1, uid=1000)
        await a.clock.advance(1)
        assert "b" not in a.told
        end()
        await idle()
        assert a.told["b"] == 2


async def test_who_hangs_up_loses_his_turn() -> None:
    async with asking() as a:
        await a.ask("a")
        await a.ask("b")
        await a.ask("c")
        await a.hang_up("b")
        assert a.told["b"] is None
        a.locks.release(KEY, 1, uid=1000)
        await idle()
        assert a.told["c"] == 2


async def test_a_lock_that_comes_to_somebody_as_he_hangs_up_goes_on_to_the_next() -> None:
    async with asking() as a:
        await a.ask("a")
        await a.ask("b")
        await a.ask("c")
        a._gone["b"].set()
        a.locks.release(KEY, 1, uid=1000)  # in the same turn of the loop
        await idle()
        assert a.told["b"] is None
        assert a.told["c"] == 3


async def test_a_request_that_is_cancelled_leaves_nothing_behind() -> None:
    async with asking() as a:
        await a.ask("a")
        await a.ask("b")
        await a.cancel("b")
        assert a.locks.waiting == 0
        await a.ask("c")
        a._scopes["c"].cancel()
        a.locks.release(KEY, 1, uid=1000)
        await idle()
        assert "c" not in a.told
        assert a.locks.held == 0


async def test_a_request_ends_after_a_minute() -> None:
    async with asking() as a:
        await a.ask("a")
        await a.ask("b", patience=600.0)
        await a.clock.advance(LONGEST_WAIT)
        assert a.told["b"] is None
        assert a.locks.held == 1


async def test_so_many_requests_of_one_user_wait_and_no_more() -> None:
    async with asking() as a:
        await a.ask("a")
        for number in range(MAX_WAITING):
            await a.ask(f"w{number}")
        assert a.refused == []
        await a.ask("surplus")
        assert a.refused == ["surplus"]
        await a.ask("another's", uid=1001)
        assert a.refused == ["surplus"]
        await a.hang_up("w0")
        await a.ask("in its place")
        assert a.refused == ["surplus"]


async def test_so_many_wait_in_all_and_no_more() -> None:
    async with asking() as a:
        await a.ask("a")
        for number in range(MAX_WAITING_IN_ALL):
            await a.ask(f"w{number}", uid=number % 5)
        assert a.refused == []
        await a.ask("surplus", uid=6)
        assert a.refused == ["surplus"]


async def test_of_too_many_locks_the_one_idle_for_longest_makes_room() -> None:
    async with asking() as a:
        for number in range(MAX_HELD):
            await a.ask("a", LockKey(1000, "context", f"{number}"))
        await a.ask("at once", OTHER)
        assert a.refused == ["at once"]
        await a.clock.advance(IDLE)
        assert a.locks.begin_write(LockKey(1000, "context", "0"), 1, uid=1000) is not None
        assert await a.ask("later", OTHER) == MAX_HELD + 1
        assert a.locks.held == MAX_HELD
        assert a.locks.begin_write(LockKey(1000, "context", "0"), 1, uid=1000) is not None
        assert not a.locks.release(LockKey(1000, "context", "1"), 2, uid=1000)


async def test_a_context_s_locks_are_broken_together_and_who_waits_has_them() -> None:
    async with asking() as a:
        await a.ask("a")
        await a.ask("b")
        await a.ask("c", LockKey(1000, KEY.context, "credentials"))
        await a.ask("d", OTHER)
        assert a.locks.break_all(KEY.context) == 2
        await idle()
        assert a.told["b"] == 4
        assert not a.locks.release(KEY, 1, uid=1000)
        assert {each.key for each in a.locks.states()} == {KEY, OTHER}


async def test_fences_go_on_above_those_of_an_earlier_run() -> None:
    async with asking() as a:
        a.locks.begin(5 << 32)
        assert await a.ask("a") == (5 << 32) + 1
        a.locks.begin(3 << 32)
        assert await a.ask("b", OTHER) == (5 << 32) + 2


async def test_a_fence_is_of_no_use_to_another_user_who_guesses_it() -> None:
    async with asking() as a:
        shared = LockKey(None, "externalToken://desk", "oauth")
        assert await a.ask("a", shared) == 1
        assert a.locks.begin_write(shared, 1, uid=1001) is None
        assert not a.locks.release(shared, 1, uid=1001)
        assert a.locks.begin_write(shared, 1, uid=1000) is not None
