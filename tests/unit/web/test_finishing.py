"""Sign-ins outlive the calls that began them, and how many there are is bounded."""

from collections.abc import AsyncIterator

import anyio
import pytest

from sessiond.containment import Containment
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.web import finishing as module
from sessiond.web.finishing import Finishing, Job, Pending, Result, SignedIn
from sessiond.web.pages import Page
from tests.fakes import FakeClock, process_key, session_id

pytestmark = pytest.mark.anyio

FAILED, OTHERWISE = Page(title="refused"), Page(title="it failed")
HERE, THERE = process_key(100), process_key(200)


def signed_in(number: int = 1) -> SignedIn:
    return SignedIn(session=session_id(number), process=HERE, cookie=Secret("value"))


def state(number: int) -> TokenHash:
    return TokenHash(b"state %d" % number)


class World:
    """Sign-ins at work, and the sessions that were ended because nobody came for them."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.containment = Containment()
        self.ended: list[SignedIn] = []
        self.finishing = Finishing(clock, self.containment, end=self.end)
        self.held = anyio.Event()
        self.end_fails = False

    async def end(self, signed_in: SignedIn) -> None:
        self.ended.append(signed_in)
        if self.end_fails:
            raise RuntimeError

    def job(
        self, result: Result | Exception = FAILED, *, is_held: bool = False, address: int = 0
    ) -> Job:
        async def work() -> Result:
            if is_held:
                await self.held.wait()
            if isinstance(result, Exception):
                raise result
            return result

        return Job(work=work, otherwise=OTHERWISE, issuer="corp", address=address)

    async def begun(self, number: int, job: Job, process: object = HERE) -> Pending | None:
        assert process in (HERE, THERE)
        begun = self.finishing.begin(state(number), HERE if process is HERE else THERE, job)
        await self.clock.settle()
        return begun


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    made = World(clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.finishing.run)
        await clock.settle()
        yield made
        tasks.cancel_scope.cancel()


async def test_a_result_is_collected_once(world: World) -> None:
    pending = await world.begun(1, world.job(signed_in()))
    assert pending is not None
    assert pending.done.is_set()
    assert world.finishing.find(state(1)) is pending
    assert world.finishing.collect(pending) == signed_in_like(pending)
    assert world.finishing.collect(pending) is None
    assert world.finishing.find(state(1)) is None
    assert len(world.finishing) == 0
    await world.clock.advance(100)
    assert world.ended == []


def signed_in_like(pending: Pending) -> object:
    """Compare but for the secret, which does not compare."""

    class Like:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, SignedIn) and other.session == session_id(1)

        __hash__ = None  # type: ignore[assignment]

    return Like()


async def test_a_session_that_nobody_collects_is_ended(world: World) -> None:
    await world.begun(1, world.job(signed_in()))
    await world.begun(2, world.job(FAILED))
    await world.clock.advance(59.9)
    assert len(world.finishing) == 2
    await world.clock.advance(0.2)
    assert [each.session for each in world.ended] == [session_id(1)]
    assert len(world.finishing) == 0


async def test_an_end_that_fails_is_told_and_ends_nothing_else(world: World) -> None:
    world.end_fails = True
    await world.begun(1, world.job(signed_in(1)))
    await world.begun(2, world.job(signed_in(2)))
    await world.clock.advance(61)
    assert len(world.ended) == 2
    assert world.containment.failures == {("sign-in", "corp"): 2}


async def test_what_fails_has_the_page_for_that(world: World) -> None:
    pending = await world.begun(1, world.job(RuntimeError()))
    assert pending is not None
    assert world.finishing.collect(pending) is OTHERWISE
    assert world.containment.failures == {("sign-in", "corp"): 1}


async def test_what_takes_too_long_has_it_too(world: World) -> None:
    pending = await world.begun(1, world.job(is_held=True))
    assert pending is not None
    await world.clock.advance(59.9)
    assert not pending.done.is_set()
    await world.clock.advance(0.2)
    assert world.finishing.collect(pending) is OTHERWISE


async def test_before_it_runs_nothing_is_begun(clock: FakeClock) -> None:
    assert await World(clock).begun(1, World(clock).job()) is None


async def test_a_state_is_used_once_it_is_begun_and_for_ten_minutes(world: World) -> None:
    assert not world.finishing.is_used(state(1))
    pending = await world.begun(1, world.job())
    assert pending is not None
    assert world.finishing.is_used(state(1))
    world.finishing.collect(pending)
    await world.clock.advance(599.9)
    assert world.finishing.is_used(state(1))
    await world.clock.advance(0.2)
    assert not world.finishing.is_used(state(1))


async def test_states_that_are_over_are_forgotten_and_so_is_the_oldest_of_too_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_USED", 3)
    for number in range(5):
        world.finishing.use(state(number))
    assert [world.finishing.is_used(state(each)) for each in range(5)] == [False] * 2 + [True] * 3
    await world.clock.advance(700)
    world.finishing.use(state(9))
    assert len(world.finishing._used) == 1


async def test_what_is_at_work_or_waits_is_bounded_for_a_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OF_PROCESS", 2)
    assert await world.begun(1, world.job(signed_in()))
    assert await world.begun(2, world.job(is_held=True))
    assert await world.begun(3, world.job()) is None
    assert not world.finishing.is_used(state(3))
    assert await world.begun(4, world.job(), THERE)


async def test_and_for_an_address_at_a_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OF_ADDRESS", 2)
    assert await world.begun(1, world.job(signed_in(), address=7))
    assert await world.begun(2, world.job(is_held=True, address=7))
    assert await world.begun(3, world.job(address=7)) is None
    assert await world.begun(4, world.job(address=8))
    assert await world.begun(5, world.job(address=7), THERE)


async def test_and_for_all_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    assert await world.begun(1, world.job(signed_in()))
    assert await world.begun(2, world.job(is_held=True), THERE)
    assert await world.begun(3, world.job(), THERE) is None


@pytest.mark.parametrize("bound", ["MAX_PENDING", "MAX_OF_PROCESS", "MAX_OF_ADDRESS"])
async def test_what_came_to_nothing_gives_way_the_oldest_first(
    world: World, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(module, bound, 3)
    await world.begun(1, world.job(signed_in()))
    await world.begun(2, world.job(FAILED))
    await world.begun(3, world.job(FAILED))
    assert await world.begun(4, world.job())
    assert [world.finishing.find(state(each)) is not None for each in (1, 2, 3, 4)] == [
        True,
        False,
        True,
        True,
    ]
    assert len(world.finishing) == 3
    await world.clock.advance(61)
    assert [each.session for each in world.ended] == [session_id(1)]


async def test_what_nobody_has_collected_ends_when_it_stops(world: World, clock: FakeClock) -> None:
    finishing, over = Finishing(clock, world.containment, end=world.end), anyio.Event()

    async def run() -> None:
        await finishing.run()
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await clock.settle()
        jobs: list[Result] = [signed_in(1), signed_in(2), FAILED]
        begun = [
            finishing.begin(state(number), HERE, world.job(job)) for number, job in enumerate(jobs)
        ]
        finishing.begin(state(9), HERE, world.job(signed_in(9), is_held=True))
        await clock.settle()
        assert begun[0] is not None
        assert finishing.collect(begun[0])
        finishing.stop()
        await over.wait()
    assert [each.session for each in world.ended] == [session_id(2)]
    assert len(finishing) == 0


async def test_what_is_being_written_when_it_stops_ends_too(world: World, clock: FakeClock) -> None:
    finishing = Finishing(clock, world.containment, end=world.end)

    async def work() -> Result:
        with anyio.CancelScope(shield=True):
            await world.held.wait()
        return signed_in()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(finishing.run)
        await clock.settle()
        finishing.begin(state(1), HERE, Job(work=work, otherwise=OTHERWISE, issuer="corp"))
        await clock.settle()
        finishing.stop()
        await clock.settle()
        assert world.ended == []
        world.held.set()
    assert [each.session for each in world.ended] == [session_id(1)]


async def test_nothing_secret_of_a_result_is_shown() -> None:
    assert "value" not in repr(signed_in())
