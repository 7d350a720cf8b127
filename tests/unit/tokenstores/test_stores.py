"""Values are what was written last, for whom they are, and only under a lock that holds."""

import anyio
import pytest

from sessiond.core.errors import StoreError
from sessiond.tokenstores.stores import COUNTED, Place, Refused
from tests.fakes import MemoryStore, idle
from tests.unit.tokenstores.storing import ALICE, BOB, PLACE, Storing, storing

pytestmark = pytest.mark.anyio

EVERY_BYTE = bytes(range(256))


async def test_a_value_comes_back_byte_for_byte() -> None:
    async with storing() as s:
        assert await s.read() is None
        for value in (b"{}", EVERY_BYTE, "ä€🔑\r\n".encode(), b"\xff" * 65_536):
            assert await s.write(value) is None
            assert await s.read() == value


async def test_values_of_other_names_and_contexts_are_others() -> None:
    async with storing() as s:
        await s.write(b"a")
        await s.write(b"b", place=Place(PLACE.context, "credentials"))
        await s.write(b"c", place=Place("Ωmega/../\u00e9", "oauth"))
        assert await s.read() == b"a"
        assert await s.read(place=Place(PLACE.context, "credentials")) == b"b"
        assert await s.read(place=Place("Ωmega/../\u00e9", "oauth")) == b"c"
        assert await s.read(place=Place("Ωmega/../e\u0301", "oauth")) is None  # spelt otherwise


async def test_an_empty_value_is_none_and_its_context_goes_with_the_last() -> None:
    async with storing() as s:
        await s.write(b"a")
        await s.write(b"")
        assert await s.read() is None
        assert await s.stores.listed() == []
        await s.write(b"")  # as often as one likes
        assert await s.write(b"b", asker=BOB) is None  # it is nobody's


async def test_a_write_needs_a_fence_that_holds() -> None:
    async with storing() as s:
        assert await s.stores.write(ALICE, PLACE, b"a", None) is Refused.UNLOCKED
        assert await s.stores.release(ALICE, PLACE, None) is Refused.UNLOCKED
        assert await s.stores.write(ALICE, PLACE, b"a", 0) is Refused.DEAD
        fence = await s.fence()
        other = Place(PLACE.context, "credentials")
        assert await s.stores.write(ALICE, other, b"a", fence) is Refused.DEAD
        assert await s.stores.release(ALICE, PLACE, fence) is None
        assert await s.stores.write(ALICE, PLACE, b"a", fence) is Refused.DEAD
        assert await s.stores.release(ALICE, PLACE, fence) is Refused.DEAD
        assert await s.read() is None
        assert s.stores.counts.writes == 0


async def test_a_lock_that_was_taken_over_writes_nothing_any_more() -> None:
    async with storing() as s:
        slow = await s.fence()
        await s.clock.advance(5)
        quick = await s.fence()
        assert await s.stores.write(ALICE, PLACE, b"quick", quick) is None
        assert await s.stores.write(ALICE, PLACE, b"slow", slow) is Refused.DEAD
        assert await s.read() == b"quick"


async def test_a_context_is_whose_who_wrote_it_first() -> None:
    async with storing() as s:
        await s.write(b"a")
        assert await s.read(BOB) is Refused.NOTOWNER
        assert await s.lock(BOB) is Refused.NOTOWNER
        assert await s.read(BOB, Place(PLACE.context, "other")) is Refused.NOTOWNER
        assert await s.stores.write(BOB, PLACE, b"b", 1) is Refused.NOTOWNER
        assert await s.stores.release(BOB, PLACE, 1) is Refused.NOTOWNER
        assert await s.read() == b"a"


async def test_of_two_who_would_be_the_first_one_is() -> None:
    async with storing() as s:
        alices, bobs = await s.fence(ALICE), await s.fence(BOB)  # locks of their own
        assert await s.stores.write(ALICE, PLACE, b"a", alices) is None
        assert await s.stores.write(BOB, PLACE, b"b", bobs) is Refused.NOTOWNER
        assert await s.read() == b"a"


async def test_shared_contexts_are_everybody_s_and_so_are_their_locks() -> None:
    async with storing() as s:
        s.change(is_shared=True)
        await s.write(b"a")
        assert await s.read(BOB) == b"a"
        fence = await s.fence(BOB)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(s.lock)
            await idle()
            assert s.stores.locks.waiting == 1
            assert await s.stores.write(BOB, PLACE, b"b", fence) is None
            assert await s.stores.release(BOB, PLACE, fence) is None
        assert await s.read() == b"b"


async def test_contexts_are_shared_or_not_from_a_reload_on() -> None:
    async with storing() as s:
        fence = await s.fence()
        s.change(is_shared=True)
        assert await s.stores.write(ALICE, PLACE, b"a", fence) is Refused.DEAD  # of another kind
        await s.write(b"b", BOB)
        s.change(is_shared=False)
        assert await s.read(ALICE) is Refused.NOTOWNER
        assert await s.read(BOB) == b"b"


async def test_there_is_room_for_so_many_contexts() -> None:
    async with storing() as s:
        s.change(max_contexts=2)
        for context in ("one", "two"):
            assert await s.write(b"x", place=Place(context, "oauth")) is None
        assert await s.write(b"x", place=Place("three", "oauth")) is Refused.FULL
        assert await s.write(b"y", place=Place("two", "credentials")) is None
        await s.write(b"", place=Place("one", "oauth"))
        assert await s.write(b"x", place=Place("three", "oauth")) is None


async def test_who_takes_the_lock_next_reads_what_was_being_written() -> None:
    async with storing() as s:
        fence, read = await s.fence(), list[object]()

        async def next_one() -> None:
            await s.lock(wait_ms=250)
            read.append(await s.read())

        s.store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(s.stores.write, ALICE, PLACE, b"slowly", fence)
            await idle()
            tasks.start_soon(next_one)
            await s.clock.advance(10)
            assert await s.stores.release(ALICE, PLACE, fence) is None
            await s.clock.advance(10)
            assert read == []
            s.store.gate.set()
        assert read == [b"slowly"]


async def test_a_write_that_is_cancelled_holds_the_lock_until_it_is_on_disk() -> None:
    async with storing() as s:
        fence = await s.fence()
        s.store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(s.stores.write, ALICE, PLACE, b"a", fence)
            await idle()
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await s.clock.advance(60)
                (held,) = s.stores.locks_seen({PLACE.context})
                assert held.idle == 60
                s.store.gate.set()
        assert await s.read() == b"a"
        assert await s.stores.release(ALICE, PLACE, fence) is None


async def test_what_cannot_be_written_is_not_and_the_lock_stays() -> None:
    async with storing() as s:
        await s.write(b"a")
        fence = await s.fence()
        s.store.failing = 1
        with pytest.raises(StoreError):
            await s.stores.write(ALICE, PLACE, b"b", fence)
        assert await s.read() == b"a"
        assert await s.stores.write(ALICE, PLACE, b"c", fence) is None


async def test_over_a_restart_values_stay_and_fences_are_dead() -> None:
    kept = MemoryStore()
    async with storing(kept) as s:
        await s.write(b"a")
        old = await s.fence()
    async with storing(kept) as s:
        assert await s.read() == b"a"
        assert await s.stores.write(ALICE, PLACE, b"b", old) is Refused.DEAD
        new = await s.fence()
        assert new > old
        assert new >> COUNTED == (old >> COUNTED) + 1
        assert await s.stores.write(ALICE, PLACE, b"b", old) is Refused.DEAD


async def test_without_a_lock_nothing_is_written_at_a_start() -> None:
    async with storing() as s:
        await s.read()
        assert s.store.commits == []


async def test_two_who_are_first_in_a_run_both_get_fences_above_all_before() -> None:
    async with storing() as s:
        fences = list[object]()

        async def take(name: str) -> None:
            fences.append(await s.lock(place=Place("context", name)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, "one")
            tasks.start_soon(take, "two")
        assert len(set(fences)) == 2


async def test_who_has_too_many_locks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessiond.tokenstores.locks.MAX_HELD", 1)
    async with storing() as s:
        await s.fence()
        assert await s.lock(place=Place("other", "oauth")) is Refused.CROWDED


async def test_who_waits_for_too_long_is_told() -> None:
    async with storing() as s:
        await s.fence()
        told = list[object]()

        async def wait() -> None:
            told.append(await s.lock(wait_ms=2**53))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await s.clock.advance(60)
        assert told == [Refused.OVER]


async def held(s: Storing) -> None:
    await s.write(b"a")
    await s.write(b"bb", place=Place(PLACE.context, "credentials"))
    await s.write(b"c", BOB, Place("other", "oauth"))
    await s.fence()


async def test_what_is_kept_is_listed_without_a_value_and_locks_with_their_holders() -> None:
    async with storing() as s:
        await held(s)
        await s.clock.advance(3)
        found = {each.context.context: each for each in await s.stores.listed()}
        assert {name: each.context.owner for name, each in found.items()} == {
            PLACE.context: ALICE.uid,
            "other": BOB.uid,
        }
        sizes = [(each.name, each.size) for each in found[PLACE.context].values]
        assert sizes == [("credentials", 2), ("oauth", 1)]
        (lock,) = s.stores.locks_seen({PLACE.context})
        assert (lock.context, lock.name, lock.uid, lock.pid) == (*vars_of(PLACE), 1000, 1)
        assert (lock.idle, lock.waiting) == (3.0, 0)
        assert (s.clock.now() - lock.since).total_seconds() == 3


def vars_of(place: Place) -> tuple[str, str]:
    return place.context, place.name


async def test_a_context_is_dropped_with_its_values_and_locks_and_no_other() -> None:
    async with storing() as s:
        await held(s)
        (lock,) = s.stores.locks_seen({PLACE.context})
        dropped = await s.stores.drop(PLACE.context)
        assert (dropped.values, dropped.locks) == (2, 1)
        assert [each.context.context for each in await s.stores.listed()] == ["other"]
        assert list(s.stores.locks_seen({PLACE.context})) == []
        assert await s.read(BOB) is None  # it is nobody's again
        nothing = await s.stores.drop("nobody's")
        assert (nothing.values, nothing.locks) == (0, 0)
        assert lock.uid == ALICE.uid


async def test_what_is_being_written_as_its_context_is_dropped_is_dropped_too() -> None:
    async with storing() as s:
        await s.write(b"a")
        fence = await s.fence()
        s.store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(s.stores.write, ALICE, PLACE, b"b", fence)
            await idle()
            tasks.start_soon(s.stores.drop, PLACE.context)
            await idle()
            s.store.gate.set()
        assert await s.read() is None
