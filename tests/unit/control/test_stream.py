"""The event stream: from its place, in order, without loss, and honest where something is gone."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from sessiond.control import stream
from sessiond.control.stream import event_stream
from sessiond.core.decide import Notice
from sessiond.core.errors import StoreError
from sessiond.core.events import Event
from sessiond.ctl.client import Told, told
from sessiond.eventlog import EventLog
from sessiond.table import Committed
from tests.fakes import START, FakeClock, MemoryStore, idle, opened_event

pytestmark = pytest.mark.anyio


class CountingStore(MemoryStore):
    asked = 0

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        self.asked += 1
        return await super().events_after(sequence, limit=limit)


@dataclass
class Reading:
    """A stream being read, and what is behind it."""

    log: EventLog
    memory: CountingStore
    closing: anyio.Event
    blocks: list[bytes]

    async def commit(self, *numbers: int) -> None:
        events = [opened_event(number) for number in numbers]
        await self.memory.commit([], events)
        self.log.take(Committed([], [Notice(event) for event in events]))
        await idle()

    @property
    def told(self) -> list[Told]:
        return list(told(b"".join(self.blocks).decode().split("\n")))

    @property
    def ids(self) -> list[int]:
        return [each.id for each in self.told]

    @property
    def gaps(self) -> list[dict[str, Any]]:
        return [json.loads(each.data) for each in self.told if each.kind == "gap"]


async def kept(*numbers: int, last: int = 0) -> CountingStore:
    """Return a store that keeps these events, and whose last number was `last`."""
    memory = CountingStore()
    await memory.commit([], [opened_event(number) for number in sorted({*numbers, last} - {0})])
    memory.events = [event for event in memory.events if event.sequence in numbers]
    return memory


async def read(tasks: Any, memory: CountingStore, after: int) -> Reading:
    log = EventLog(memory, FakeClock())
    log.begin((await memory.load()).sequence)
    reading = Reading(log, memory, anyio.Event(), [])
    events = event_stream(log, after=after, closing=reading.closing)

    async def keep(blocks: AsyncIterator[bytes]) -> None:
        async for block in blocks:
            reading.blocks.append(block)

    tasks.start_soon(keep, events)
    await idle()
    return reading


async def test_a_stream_begins_with_its_place_and_goes_on_live() -> None:
    async with anyio.create_task_group() as tasks:
        reading = await read(tasks, await kept(1, 2, 3), after=1)
        assert reading.told[0] == Told(1, "", "")
        assert reading.ids == [1, 2, 3]
        await reading.commit(4)
        await reading.commit(5, 6)
        assert reading.ids == [1, 2, 3, 4, 5, 6]
        assert {each.kind for each in reading.told[1:]} == {"session.opened"}
        assert b":\n\n" not in reading.blocks  # silence is told as such, and there was none
        assert [json.loads(each.data)["sequence"] for each in reading.told[1:]] == reading.ids[1:]
        reading.closing.set()


async def test_more_than_is_read_in_one_go_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "AT_ONCE", 3)
    async with anyio.create_task_group() as tasks:
        reading = await read(tasks, await kept(*range(1, 11)), after=0)
        assert reading.ids == list(range(11))
        reading.closing.set()


@pytest.mark.parametrize(
    ("there", "last", "after", "ids", "gap"),
    [
        ((), 0, 0, [0], None),
        ((5, 6), 6, 0, [0, 5, 6], None),  # 0: from the oldest kept, whatever that is
        ((), 9, 0, [0], None),
        ((), 9, 9, [9], None),
        ((5, 6), 6, 4, [4, 5, 6], None),
        ((5, 6), 6, 2, [2, 4, 5, 6], (2, 5)),
        ((), 9, 3, [3, 9], (3, 10)),
        ((5, 6), 6, 700, [700, 4, 5, 6], (700, 5)),  # of another database
        ((), 9, 700, [700, 9], (700, 10)),
    ],
)
async def test_what_is_not_kept_any_more_is_told_as_a_gap(
    there: tuple[int, ...], last: int, after: int, ids: list[int], gap: tuple[int, int] | None
) -> None:
    async with anyio.create_task_group() as tasks:
        reading = await read(tasks, await kept(*there, last=last), after=after)
        assert reading.ids == ids
        assert [(each["after"], each["before"]) for each in reading.gaps] == ([gap] if gap else [])
        asked = reading.memory.asked
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert reading.memory.asked == asked  # it waits
        await reading.commit(last + 1)
        assert reading.ids == [*ids, last + 1]
        reading.closing.set()


async def test_an_event_on_disk_before_the_daemon_knows_it_is_told_once() -> None:
    async with anyio.create_task_group() as tasks:
        reading = await read(tasks, await kept(1), after=0)
        early = opened_event(3)
        reading.memory.events.append(early)  # written; the commit has not returned
        await reading.commit(2)
        assert reading.ids == [0, 1, 2]
        reading.memory.events.remove(early)
        await reading.commit(3)
        assert reading.ids == [0, 1, 2, 3]
        reading.closing.set()


async def test_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.001)
    async with anyio.create_task_group() as tasks:
        reading = await read(tasks, await kept(1), after=1)
        while len(reading.blocks) < 3:
            await anyio.lowlevel.checkpoint()
        assert set(reading.blocks[1:]) == {b":\n\n"}
        assert reading.ids == [1]
        reading.closing.set()


async def test_a_stream_ends_with_the_daemon() -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            reading = await read(tasks, await kept(1), after=0)
            reading.closing.set()
    assert reading.ids == [0, 1]
    assert reading.told[-1].data.count(START.strftime("%Y-%m-%d")) > 0


async def test_a_stream_ends_where_older_events_cannot_be_read() -> None:
    class BrokenStore(CountingStore):
        async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
            raise StoreError("the disk is gone")

    memory = BrokenStore()
    await memory.commit([], [opened_event(1)])
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            reading = await read(tasks, memory, after=0)
            reading.closing.set()
    assert reading.ids == [0]
