"""The log of events: consecutive from any place, whatever is in memory, on disk, or gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.decide import Notice
from sessiond.core.errors import StoreError
from sessiond.core.events import Event, Gap
from sessiond.eventlog import EventLog
from sessiond.table import Committed
from tests.fakes import START, FakeClock, MemoryStore, idle, opened_event

pytestmark = pytest.mark.anyio


class CountedStore(MemoryStore):
    reads = 0

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        self.reads += 1
        return await super().events_after(sequence, limit=limit)


@dataclass
class Logging:
    """A log at work, and what is behind it."""

    log: EventLog
    store: CountedStore

    async def commit(self, *numbers: int) -> None:
        events = [opened_event(number) for number in numbers]
        await self.store.commit([], events)
        await self.publish(*events)

    async def publish(self, *events: Event) -> None:
        self.log.take(Committed([], [Notice(event) for event in events]))
        await idle()

    def forget(self, before: int) -> None:
        self.store.events = [each for each in self.store.events if each.sequence >= before]

    async def numbers(self, place: int, limit: int = 100) -> list[int]:
        return [each.sequence for each in await self.log.after(place, limit=limit)]


@asynccontextmanager
async def logging(*, newest: int = 4, earlier: int = 0) -> AsyncIterator[Logging]:
    """Give a log that holds `newest` events, after an earlier run with so many."""
    store = CountedStore()
    if earlier:
        await store.commit([], [opened_event(number) for number in range(1, earlier + 1)])
    log = EventLog(store, FakeClock(), newest=newest)
    log.begin(earlier)
    yield Logging(log, store)


async def test_the_newest_events_come_from_memory() -> None:
    async with logging() as it:
        await it.commit(1, 2)
        await it.commit(3)
        assert await it.numbers(0) == [1, 2, 3]
        assert await it.numbers(2) == [3]
        assert await it.numbers(3) == []
        assert await it.numbers(0, limit=2) == [1, 2]
        assert it.log.sequence == 3
        assert it.store.reads == 0


async def test_what_memory_does_not_reach_back_to_comes_from_the_store() -> None:
    async with logging(newest=2) as it:
        await it.commit(1, 2, 3, 4)
        assert await it.numbers(1) == [2, 3, 4]
        assert it.store.reads == 1
        assert await it.numbers(2) == [3, 4]
        assert it.store.reads == 1


async def test_what_an_earlier_run_committed_comes_from_the_store() -> None:
    async with logging(earlier=3) as it:
        assert it.log.sequence == 3
        assert await it.numbers(1) == [2, 3]
        await it.commit(4)
        assert await it.numbers(1) == [2, 3, 4]
        assert await it.numbers(3) == [4]


async def test_what_is_written_but_not_yet_told_is_left_for_later() -> None:
    async with logging(earlier=2) as it:
        await it.store.commit([], [opened_event(3)])
        assert await it.numbers(0) == [1, 2]
        await it.publish(opened_event(3))
        assert await it.numbers(0) == [1, 2, 3]


async def test_what_was_told_while_the_disk_was_full_counts_once_it_is_written() -> None:
    async with logging() as it:
        await it.publish(opened_event(0), opened_event(0))
        assert (it.log.sequence, await it.numbers(0)) == (0, [])
        await it.commit(1)
        assert (it.log.sequence, await it.numbers(0)) == (1, [1])


async def test_a_batch_that_tells_nothing_wakes_nobody() -> None:
    async with logging() as it, anyio.create_task_group() as tasks:
        woken = list[int]()

        async def wait(place: int) -> None:
            await it.log.wait_beyond(place)
            woken.append(place)

        tasks.start_soon(wait, 0)
        tasks.start_soon(wait, 1)
        await it.publish()
        assert woken == []
        await it.commit(1)
        assert woken == [0]
        await it.commit(2)
        assert woken == [0, 1]


async def test_a_reader_is_told_of_what_is_no_longer_kept_and_goes_on_behind_it() -> None:
    async with logging(newest=1) as it:
        await it.commit(1, 2, 3, 4, 5)
        it.forget(before=4)
        given, place = await it.log.read(1, limit=10)
        assert given[0] == Gap(sequence=3, at=START, after=1, before=4)
        assert [each.sequence for each in given] == [3, 4, 5]
        assert place == 5
        assert await it.log.read(5, limit=10) == ([], 5)


async def test_a_reader_whose_place_is_another_databases_begins_anew() -> None:
    async with logging() as it:
        await it.commit(1, 2)
        given, place = await it.log.read(700, limit=10)
        assert given[0] == Gap(sequence=0, at=START, after=700, before=1)
        assert ([each.sequence for each in given], place) == ([0, 1, 2], 2)


async def test_from_the_oldest_kept_nothing_is_missing_even_when_nothing_is_kept() -> None:
    async with logging(earlier=5) as it:
        it.forget(before=6)
        assert await it.log.read(0, limit=10, from_oldest=True) == ([], 5)


async def test_a_reader_from_before_the_first_event_is_told_of_what_it_has_missed() -> None:
    async with logging(earlier=5) as it:
        it.forget(before=6)
        gap = Gap(sequence=5, at=START, after=0, before=6)
        assert await it.log.read(0, limit=10) == ([gap], 5)


async def test_a_hole_in_the_middle_is_told_where_it_is() -> None:
    """A clock that was wrong for a while makes some events older than those before them."""
    async with logging(newest=1) as it:
        await it.commit(1, 2, 3, 4, 5, 6)
        it.store.events = [each for each in it.store.events if each.sequence not in (3, 4)]
        first, place = await it.log.read(0, limit=10)
        second, end = await it.log.read(place, limit=10)
        assert ([each.sequence for each in first], place) == ([1, 2], 2)
        assert second[0] == Gap(sequence=4, at=START, after=2, before=5)
        assert ([each.sequence for each in second], end) == ([4, 5, 6], 6)


async def test_a_store_that_cannot_be_read_is_the_readers_to_bear() -> None:
    class BrokenStore(CountedStore):
        async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
            raise StoreError("the disk is gone")

    log = EventLog(BrokenStore(), FakeClock())
    log.begin(3)
    with pytest.raises(StoreError):
        await log.read(1, limit=10)


@given(
    earlier=st.integers(0, 6),
    batches=st.lists(st.integers(0, 5), max_size=6),
    forgotten=st.integers(0, 20),
    place=st.integers(0, 25),
    is_from_oldest=st.booleans(),
    limit=st.integers(1, 4),
    newest=st.integers(1, 6),
)
async def test_a_reader_is_given_each_event_once_in_order_or_told_of_the_gap(
    earlier: int,
    batches: list[int],
    forgotten: int,
    place: int,
    is_from_oldest: bool,
    limit: int,
    newest: int,
) -> None:
    place = 0 if is_from_oldest else place
    async with logging(newest=newest, earlier=earlier) as it:
        last = earlier
        for size in batches:
            await it.commit(*range(last + 1, last + size + 1))
            last += size
        it.forget(before=forgotten)
        begin, events, at = place, list[Event](), place
        while True:
            is_oldest = is_from_oldest and at == 0
            given, at = await it.log.read(at, limit=limit, from_oldest=is_oldest)
            events += given
            if not given:
                break
        assert at == last
        told = [each.sequence for each in events if not isinstance(each, Gap)]
        assert told == list(range(told[0] if told else last + 1, last + 1))
        gaps = [each for each in events if isinstance(each, Gap)]
        if begin <= last and not is_from_oldest:
            missed = (gaps[0].after + 1, gaps[0].before) if gaps else (begin + 1, begin + 1)
            assert missed == (begin + 1, told[0] if told else last + 1)
        else:
            assert bool(gaps) == (begin > last)
