"""The stores under whatever programs do, in any order, and a daemon that is killed in between."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sessiond.core.errors import StoreError
from sessiond.tokenstores.stores import Place, Refused
from tests.fakes import MemoryStore, idle
from tests.unit.tokenstores.storing import ALICE, Storing, storing

PLACES = [Place("one", "oauth"), Place("one", "credentials")]
PATIENCE = 1.0  # seconds
places, clients = st.sampled_from(PLACES), st.integers(0, 5)
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
    last: int = 0  # fence that was given
    idle: float = 0.0  # seconds since it was taken or written under
    queue: list[int] = field(default_factory=list)  # clients, in the order in which they asked

    def take(self, client: Client, fence: int) -> None:
        client.fence, self.fence, self.idle = fence, fence, 0.0


class Programs(RuleBasedStateMachine):
    """Six programs at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.kept = MemoryStore()
        self.places = {each: Believed() for each in PLACES}
        self.clients = [Client() for _ in range(6)]
        self.fences = set[int]()  # that were ever given
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
        assert answer > place.last
        assert answer not in self.fences
        self.fences.add(answer)
        place.last = answer
        place.queue.remove(number)
        place.take(client, answer)
        client.task = client.gone = None

    def holder(self, place: Place) -> Client | None:
        fence = self.places[place].fence
        return next((each for each in self.clients if fence and each.fence == fence), None)

    @rule(place=places)
    def ask(self, place: Place) -> None:
        held = [self.holder(each) for each in PLACES]
        client = next((c for c in self.clients if c.task is None and c not in held), None)
        if client is None:
            return
        client.place, client.gone, client.fence = place, asyncio.Event(), 0
        self.places[place].queue.append(self.clients.index(client))
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

    @rule(place=places, value=values)
    def write(self, place: Place, value: bytes) -> None:
        client, believed = self.holder(place), self.places[place]
        if client is not None:
            answer = self.run(self.s.stores.write(ALICE, place, value, client.fence))
            assert answer is None
            believed.value, believed.idle = value, 0.0

    @rule(place=places, value=values)
    def fail_to_write(self, place: Place, value: bytes) -> None:
        """The disk is full: nothing is acknowledged, and what was there stays."""
        client, believed = self.holder(place), self.places[place]
        if client is None or value == believed.value == b"":
            return
        self.kept.failing = 1
        writing = self.s.stores.write(ALICE, place, value, client.fence)
        (failed,) = self.run(_gathered(writing))
        assert isinstance(failed, StoreError)
        believed.idle, self.kept.failing = 0.0, 0

    @rule(place=places)
    def release(self, place: Place) -> None:
        client = self.holder(place)
        if client is not None:
            assert self.run(self.s.stores.release(ALICE, place, client.fence)) is None
            self.places[place].fence = 0
            self.run(self._settled())

    @rule(number=clients, place=places, value=values)
    def use_a_dead_fence(self, number: int, place: Place, value: bytes) -> None:
        """Dead: of a lock that was released, taken over or broken, or of another place."""
        fence = self.clients[number].fence
        if fence != self.places[place].fence:
            dead = self.run(self.s.stores.write(ALICE, place, value, fence))
            assert dead is Refused.DEAD
            assert self.run(self.s.stores.release(ALICE, place, fence)) is Refused.DEAD

    @rule(tenths=st.integers(1, 15))
    def wait(self, tenths: int) -> None:
        for _ in range(tenths):  # those whose time comes at one moment are told one by one
            for each in self.places.values():
                each.idle = round(each.idle + 0.1, 1)
            self.run(self.s.clock.advance(0.1))
            self.run(self._settled())

    @rule(often=st.integers(0, 5))
    def drop(self, often: int) -> None:
        if often:
            return
        self.run(self.s.stores.drop("one"))
        for believed in self.places.values():
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


Programs.TestCase.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)
TestPrograms = Programs.TestCase
