"""Places are given out round robin, and none is lost."""

import asyncio
from collections.abc import Hashable
from functools import partial

import anyio
import pytest

from sessiond.gate import FairLimiter
from tests.fakes import idle

pytestmark = pytest.mark.anyio


class Queue:
    """Those who want a place of one limiter; `served` is the order in which they got one."""

    def __init__(self, places: int) -> None:
        self.limiter = FairLimiter(places)
        self.served: list[str] = []
        self._leave: dict[str, anyio.Event] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}

    async def wait(self, owner: Hashable, name: str) -> None:
        """Take a place and stay on it until told to leave."""
        self._leave[name] = anyio.Event()
        with anyio.CancelScope() as self.scopes[name]:
            async with self.limiter.place(owner):
                self.served.append(name)
                await self._leave[name].wait()

    def leave(self, name: str) -> None:
        self._leave[name].set()

    async def leave_in_turn(self) -> None:
        """Let everybody leave, each once served."""
        at = 0
        while at < len(self.served):
            self.leave(self.served[at])
            at += 1
            await idle()


async def test_so_many_are_served_at_a_time() -> None:
    queue = Queue(2)
    async with anyio.create_task_group() as tasks:
        for name in ("a1", "a2", "a3"):
            tasks.start_soon(queue.wait, "a", name)
        await idle()
        assert queue.served == ["a1", "a2"]
        assert queue.limiter.waiting() == 1
        queue.leave("a2")
        await idle()
        assert queue.limiter.waiting() == 0
        assert queue.served == ["a1", "a2", "a3"]
        queue.leave("a1")
        queue.leave("a3")


async def test_a_flooding_owner_takes_one_turn_like_everybody_else() -> None:
    queue = Queue(1)
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(queue.wait, "flood", f"flood{number}")
        await idle()
        for name in ("b1", "b2", "c1"):
            tasks.start_soon(queue.wait, name[0], name)
            await idle()
        await queue.leave_in_turn()
    assert queue.served == [
        "flood0",
        *("flood1", "b1", "c1"),
        *("flood2", "b2"),
        *("flood3", "flood4"),
    ]


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    queue = Queue(1)
    async with anyio.create_task_group() as tasks:
        for name in ("a1", "a2", "a3", "b1"):
            tasks.start_soon(queue.wait, name[0], name)
            await idle()
        queue.scopes["a2"].cancel()
        await idle()
        await queue.leave_in_turn()
    assert queue.served == ["a1", "a3", "b1"]


async def test_an_owner_whose_last_waiter_is_cancelled_has_no_turn_left() -> None:
    queue = Queue(1)
    async with anyio.create_task_group() as tasks:
        for name in ("a1", "b1", "c1"):
            tasks.start_soon(queue.wait, name[0], name)
            await idle()
        queue.scopes["b1"].cancel()
        await idle()
        queue.leave("a1")
        await idle()
        assert queue.served == ["a1", "c1"]
        queue.leave("c1")


async def test_a_place_given_to_a_waiter_as_it_is_cancelled_is_passed_on() -> None:
    queue = Queue(1)
    async with anyio.create_task_group() as tasks:
        async with queue.limiter.place("a"):
            given = asyncio.create_task(queue.wait("b", "b1"))
            await idle()
            tasks.start_soon(queue.wait, "c", "c1")
            await idle()
        given.cancel()  # it has its place, and has not run yet
        with pytest.raises(asyncio.CancelledError):
            await given
        await idle()
        assert queue.served == ["c1"]
        queue.leave("c1")


async def test_whoever_is_cancelled_on_a_place_gives_it_back() -> None:
    queue = Queue(1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.wait, "a", "a1")
        await idle()
        queue.scopes["a1"].cancel()
        await idle()
        tasks.start_soon(queue.wait, "b", "b1")
        await idle()
        assert queue.served == ["a1", "b1"]
        queue.leave("b1")


async def test_a_place_given_back_while_nobody_waits_is_there_for_the_next() -> None:
    limiter = FairLimiter(1)
    for owner in ("a", "a", "b"):
        async with limiter.place(owner):
            pass


async def test_an_owner_s_parts_take_turns_within_its_own() -> None:
    limiter, served = FairLimiter(1), list[str]()
    await limiter.take("one")
    for owner, part, name in (
        ("one", "x", "x1"),
        ("one", "x", "x2"),
        ("one", "y", "y1"),
        ("two", None, "two"),
    ):
        limiter.when_free(lambda name=name: served.append(name), owner, part)  # type: ignore[misc]
    assert (served, limiter.waiting()) == ([], 4)
    for _ in range(4):
        limiter.give()
    assert served == ["x1", "two", "y1", "x2"]
    limiter.give()
    limiter.when_free(lambda: served.append("at once"), "one")
    assert served[-1] == "at once"


async def test_very_many_may_give_their_place_back_at_once() -> None:
    """They do while nothing more is begun."""
    limiter, begun = FairLimiter(1), list[int]()

    def begin(number: int) -> None:
        begun.append(number)
        limiter.give()

    await limiter.take("mallory")
    for number in range(5000):
        limiter.when_free(partial(begin, number), "mallory")
    limiter.give()
    assert begun == list(range(5000))
    assert limiter.waiting() == 0
    await limiter.take("alice")
