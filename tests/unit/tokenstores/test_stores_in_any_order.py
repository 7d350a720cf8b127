"""The stores under whatever programs do, in any order, and a daemon that is killed in between."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sessiond.tokenstores.stores import Place, Refused
from tests.fakes import MemoryStore, idle
from tests.unit.tokenstores.storing import ALICE, Storing, storing

PLACES = [Place("one", "oauth"), Place("one", "credentials"), Place("two", "oauth")]
PATIENCE = 1.0  # seconds
places, clients = st.sampled_from(PLACES), st.integers(0, 3)
values = st.binary(max_size=8)


@dataclass
class Client:
    """One who asks for a lock, or believes to hold it."""

    fence: int = 0
    place: Place = PLACES[0]
    gone: asyncio.Event | None = None  # while it waits: set to hang up
    task: "asyncio.Task[int | Refused] | None" = None


@dataclass
class Believed:
    """What the test itself knows of a place."""

    value: bytes = b""  # the last that was acknowledged
    fence: int = 0  # of who holds the lock; 0: nobody
    idle: float = 0.0  # seconds since it was taken or written under
    queue: list[int] = field(default_factory=list)  # clients, in the order in which they asked

    def take(self, client: Client, fence: int) -> None:
        client.fence, self.fence, self.idle = fence, fence, 0.0


class Programs(RuleBasedStateMachine):
    """Four programs at three places."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.kept = MemoryStore()
        self.places = {each: Believed() for each in PLACES}
        self.clients = [Client() for _ in range(4)]
        self.highest = 0  # fence so far
        self.begin()

    def begin(self) -> None:
        """Start a daemon on what is kept."""
        self.over = asyncio.Event()
        self.s = self.run(self._started())

    async def _started(self) -> Storing:
        begun = asyncio.get_running_loop().create_future()

        async def hold() -> None:
            async with storing(self.kept) as s:
                begun.set_result(s)
                await self.over.wait()

        self.holding = asyncio.create_task(hold())
        found: Storing = await begun
        return found

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(doing)

    async def _settled(self) -> None:
        await idle()
        for client in self.clients:
            if client.task is not None and client.task.done():
                self._told(client, client.task.result())

    def _told(self, client: Client, answer: int | Refused) -> None:
        """Hold what came to one who waited against what should have."""
        number, place = self.clients.index(client), self.places[client.place]
        assert not isinstance(answer, Refused)
        assert place.queue[0] == number  # all are as patient: in order
        assert place.fence == 0 or place.idle >= PATIENCE
        assert answer > self.highest  # no fence twice
        self.highest = answer
        place.queue.remove(number)
        place.take(client, answer)
        client.task = client.gone = None

    @rule(number=clients, place=places)
    def ask(self, number: int, place: Place) -> None:
        client = self.clients[number]
        if client.task is not None:
            return
        client.place, client.gone, client.fence = place, asyncio.Event(), 0
        self.places[place].queue.append(number)
        asking = self.s.stores.lock(ALICE, place, int(PATIENCE * 1000), client.gone.wait)

        async def begin() -> None:
            client.task = asyncio.create_task(asking)
            await self._settled()

        self.run(begin())

    @rule(number=clients)
    def hang_up(self, number: int) -> None:
        client = self.clients[number]
        if client.task is None or client.gone is None:
            return
        self.places[client.place].queue.remove(number)
        task, client.task = client.task, None
        client.gone.set()
        assert self.run(asyncio.wait_for(task, 5)) is Refused.OVER
        self.run(self._settled())

    @rule(number=clients, value=values)
    def write(self, number: int, value: bytes) -> None:
        client = self.clients[number]
        place = self.places[client.place]
        answer = self.run(self.s.stores.write(ALICE, client.place, value, client.fence))
        if client.fence and client.fence == place.fence:
            assert answer is None
            place.value, place.idle = value, 0.0
        else:
            assert answer is Refused.DEAD

    @rule(number=clients, value=values)
    def fail_to_write(self, number: int, value: bytes) -> None:
        """The disk is full: nothing is acknowledged, and what was there stays."""
        client = self.clients[number]
        place = self.places[client.place]
        if not client.fence or client.fence != place.fence or value == place.value == b"":
            return
        self.kept.failing = 1
        task = self.s.stores.write(ALICE, client.place, value, client.fence)
        (failed,) = self.run(_gathered(task))
        assert isinstance(failed, Exception)
        place.idle = 0.0
        self.kept.failing = 0

    @rule(number=clients)
    def release(self, number: int) -> None:
        client = self.clients[number]
        place = self.places[client.place]
        answer = self.run(self.s.stores.release(ALICE, client.place, client.fence))
        if client.fence and client.fence == place.fence:
            assert answer is None
            place.fence = 0
        else:
            assert answer is Refused.DEAD
        self.run(self._settled())

    @rule(tenths=st.integers(1, 15))
    def wait(self, tenths: int) -> None:
        for _ in range(tenths):  # those whose time comes at one moment are told one by one
            for each in self.places.values():
                each.idle = round(each.idle + 0.1, 1)
            self.run(self.s.clock.advance(0.1))
            self.run(self._settled())

    @rule(context=st.sampled_from(["one", "two"]))
    def drop(self, context: str) -> None:
        self.run(self.s.stores.drop(context))
        for place, believed in self.places.items():
            if place.context == context:
                believed.value, believed.fence = b"", 0
        self.run(self._settled())

    @precondition(lambda self: not any(each.task for each in self.clients))
    @rule()
    def kill(self) -> None:
        """Values stay, locks and fences do not."""
        self.end()
        for each in self.places.values():
            each.fence = 0
        self.begin()

    @invariant()
    def the_last_value_is_there_and_nobody_waits_for_nothing(self) -> None:
        for place, believed in self.places.items():
            found = self.run(self.s.stores.read(ALICE, place))
            assert found == (believed.value or None)
            assert not believed.queue or (believed.fence and believed.idle < PATIENCE)
        waiting = sum(len(each.queue) for each in self.places.values())
        assert self.s.stores.locks.waiting == waiting

    def end(self) -> None:
        self.over.set()
        self.run(_gathered(self.holding))

    def teardown(self) -> None:
        for client in self.clients:
            if client.gone is not None:
                client.gone.set()
        self.run(self._gone())
        assert self.s.stores.locks.waiting == 0
        self.end()
        self.runner.close()

    async def _gone(self) -> None:
        await idle()


async def _gathered(awaitable: Any) -> list[Any]:
    return [*await asyncio.gather(awaitable, return_exceptions=True)]


Programs.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPrograms = Programs.TestCase
