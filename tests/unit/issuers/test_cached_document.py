import anyio
import pytest

from sessiond.core.errors import IssuerUnavailable
from sessiond.issuers.cached_document import MAX_STALE, RETRY_AFTER, Kept
from tests.unit.issuers.fake import HandClock

pytestmark = pytest.mark.anyio

MAX_AGE = 600.0


class Source:
    """Counts what is fetched: 1, 2, 3; fails or waits when told to."""

    def __init__(self) -> None:
        self.fetched = 0
        self.fails = False
        self.begun = anyio.Event()
        self.gate = anyio.Event()
        self.gate.set()

    async def fetch(self) -> int:
        self.fetched += 1
        number = self.fetched
        self.begun.set()
        await self.gate.wait()
        if self.fails:
            raise IssuerUnavailable("down")
        return number

    def shut(self) -> None:
        self.begun, self.gate = anyio.Event(), anyio.Event()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def kept(source: Source, clock: HandClock) -> Kept[int]:
    return Kept(source.fetch, max_age=MAX_AGE, clock=clock)


async def test_nothing_is_fetched_before_it_is_needed(source: Source, kept: Kept[int]) -> None:
    assert (kept.newest, kept.at_hand, source.fetched) == (None, None, 0)


async def test_a_copy_serves_until_its_age_is_up(kept: Kept[int], clock: HandClock) -> None:
    assert await kept.get() == 1
    clock.pass_(MAX_AGE - 1)
    assert (await kept.get(), kept.at_hand) == (1, 1)
    clock.pass_(1)
    assert kept.at_hand is None
    assert await kept.get() == 2


async def test_fifty_who_wait_share_one_fetch(source: Source, kept: Kept[int]) -> None:
    source.shut()
    got: list[int] = []

    async def get() -> None:
        got.append(await kept.get())

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(get)
        await source.begun.wait()
        await anyio.wait_all_tasks_blocked()
        source.gate.set()
    assert (got, source.fetched) == ([1] * 50, 1)


async def test_fifty_who_wait_share_one_failure(source: Source, kept: Kept[int]) -> None:
    source.shut()
    source.fails = True
    failed = 0

    async def get() -> None:
        nonlocal failed
        with pytest.raises(IssuerUnavailable):
            await kept.get()
        failed += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(get)
        await anyio.wait_all_tasks_blocked()
        source.gate.set()
    assert (failed, source.fetched) == (50, 1)


async def test_where_the_one_who_fetches_is_cancelled_the_next_one_fetches(
    source: Source, kept: Kept[int]
) -> None:
    source.shut()
    got: list[int] = []
    first = anyio.CancelScope()

    async def get_first() -> None:
        with first:
            await kept.get()

    async def get_second() -> None:
        got.append(await kept.get())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get_first)
        await source.begun.wait()
        tasks.start_soon(get_second)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        source.gate.set()
    assert (got, source.fetched) == ([2], 2)


async def test_an_old_copy_is_better_than_none(
    source: Source, kept: Kept[int], clock: HandClock
) -> None:
    await kept.get()
    clock.pass_(MAX_AGE)
    source.fails = True
    assert await kept.get() == 1
    assert source.fetched == 2


async def test_a_failed_issuer_is_left_alone_while_the_old_copy_serves(
    source: Source, kept: Kept[int], clock: HandClock
) -> None:
    await kept.get()
    clock.pass_(MAX_AGE)
    source.fails = True
    for _ in range(10):
        assert await kept.get() == 1
    assert source.fetched == 2
    clock.pass_(RETRY_AFTER)
    source.fails = False
    assert await kept.get() == 3


async def test_who_gives_up_waiting_for_a_newer_copy_leaves_nobody_else_waiting(
    source: Source, kept: Kept[int], clock: HandClock
) -> None:
    await kept.get()
    clock.pass_(MAX_AGE)
    source.shut()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.get)
        await source.begun.wait()
        assert await kept.get() == 1  # while it is fetched
        tasks.cancel_scope.cancel()
    assert await kept.get() == 1
    assert source.fetched == 2


async def test_no_copy_outlives_a_day_without_its_issuer(
    source: Source, kept: Kept[int], clock: HandClock
) -> None:
    await kept.get()
    source.fails = True
    clock.pass_(MAX_STALE)
    with pytest.raises(IssuerUnavailable):
        await kept.get()


async def test_a_first_failure_is_tried_again_at_once(source: Source, kept: Kept[int]) -> None:
    source.fails = True
    with pytest.raises(IssuerUnavailable):
        await kept.get()
    source.fails = False
    assert await kept.get() == 2


async def test_a_fetch_under_way_is_known_of_and_shared(source: Source, kept: Kept[int]) -> None:
    await kept.get()
    source.shut()
    got: list[int] = []

    async def fetch() -> None:
        got.append(await kept.fetch())

    said = [kept.is_under_way]
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(fetch)
        await anyio.wait_all_tasks_blocked()
        said.append(kept.is_under_way)
        source.gate.set()
    said.append(kept.is_under_way)
    assert (got, source.fetched, said) == ([2] * 50, 2, [False, True, False])


async def test_why_the_last_fetch_failed_is_known_until_one_does_not(
    source: Source, kept: Kept[int]
) -> None:
    assert kept.failure is None
    source.fails = True
    with pytest.raises(IssuerUnavailable):
        await kept.fetch()
    assert str(kept.failure) == "down"
    source.fails = False
    await kept.fetch()
    assert kept.failure is None


async def test_a_copy_is_taken_over_as_old_as_it_is(
    source: Source, kept: Kept[int], clock: HandClock
) -> None:
    assert await kept.get() == 1
    clock.pass_(MAX_AGE - 1)
    heir = Kept(source.fetch, max_age=MAX_AGE, clock=clock)
    heir.take_over(kept)
    assert (heir.at_hand, heir.newest) == (1, 1)
    clock.pass_(1)
    assert heir.at_hand is None
