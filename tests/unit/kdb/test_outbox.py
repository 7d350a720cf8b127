"""What waits to be sent: in order, within a bound, and no longer than the peer is there."""

import tracemalloc

import anyio
import pytest

from sessiond.kdb import outbox
from sessiond.kdb.budget import ALWAYS, Budget
from sessiond.kdb.outbox import BACKLOG, Outbox
from tests.fakes import idle
from tests.unit.kdb.pipe import pipe

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scope() -> anyio.CancelScope:
    return anyio.CancelScope()


async def test_what_is_put_is_sent_in_order_until_it_closes(scope: anyio.CancelScope) -> None:
    daemon, q = pipe()
    async with daemon, q, anyio.create_task_group() as tasks:
        waiting = Outbox(scope, Budget().open(500))
        waiting.put(b"a")
        waiting.put(b"b")
        tasks.start_soon(waiting.run, daemon)
        assert await q.receive() == b"ab"
        waiting.put(b"c")
        assert await q.receive() == b"c"
        waiting.put(b"d")
        waiting.close()
        waiting.put(b"after the end")
        assert await q.receive() == b"d"
        await idle()
        await daemon.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await q.receive()
    assert not scope.cancel_called


async def test_a_process_that_leaves_too_much_unread_is_cut_off(
    scope: anyio.CancelScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BACKLOG", 10)
    daemon, q = pipe(room=0)
    async with daemon, q, anyio.create_task_group() as tasks:
        waiting = Outbox(scope, Budget().open(500))
        tasks.start_soon(waiting.run, daemon)
        waiting.put(b"12345")
        await idle()  # it is being sent, and nobody reads it
        waiting.put(b"67890")
        assert (scope.cancel_called, waiting.is_over) == (False, False)
        waiting.put(b"!")
        assert (scope.cancel_called, waiting.is_over) == (True, True)
        tasks.cancel_scope.cancel()


async def test_what_the_process_has_read_counts_no_longer(
    scope: anyio.CancelScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BACKLOG", 10)
    daemon, q = pipe(room=0)
    async with daemon, q, anyio.create_task_group() as tasks:
        waiting = Outbox(scope, Budget().open(500))
        tasks.start_soon(waiting.run, daemon)
        for _ in range(5):
            waiting.put(b"0123456789")
            assert await q.receive() == b"0123456789"
            await idle()
        assert not scope.cancel_called
        waiting.close()


async def test_one_answer_may_be_larger_than_the_bound_when_nothing_else_waits(
    scope: anyio.CancelScope,
) -> None:
    waiting = Outbox(scope, Budget().open(500))
    waiting.put(bytes(BACKLOG + 1))
    assert not scope.cancel_called
    waiting.put(b"!")
    assert scope.cancel_called


@pytest.mark.parametrize("end", ["the peer's", "our own"])
async def test_when_the_connection_is_gone_it_is_cut(scope: anyio.CancelScope, end: str) -> None:
    daemon, q = pipe()
    async with daemon, q:
        waiting = Outbox(scope, Budget().open(500))
        waiting.put(b"a")
        await (q if end == "the peer's" else daemon).aclose()
        await waiting.run(daemon)
    assert scope.cancel_called
    assert not waiting.is_over


async def test_who_waits_for_it_is_told_when_everything_was_taken(
    scope: anyio.CancelScope,
) -> None:
    daemon, q = pipe(room=0)
    taken = list[int]()
    async with daemon, q, anyio.create_task_group() as tasks:
        waiting = Outbox(scope, Budget().open(500))
        await waiting.taken()  # there is nothing

        async def wait() -> None:
            await waiting.taken()
            taken.append(1)

        waiting.put(b"first")
        tasks.start_soon(waiting.run, daemon)
        tasks.start_soon(wait)
        await idle()
        waiting.put(b"second")
        assert await q.receive() == b"first"
        await idle()
        assert taken == []
        assert await q.receive() == b"second"
        await idle()
        assert taken == [1]
        waiting.close()


async def test_a_process_whose_user_has_too_much_unread_is_cut_off_and_no_other(
    scope: anyio.CancelScope,
) -> None:
    budget = Budget(per_user=2 * ALWAYS, total=9 * ALWAYS)
    first = Outbox(anyio.CancelScope(), budget.open(500))
    first.put(bytes(2 * ALWAYS))
    second, other = Outbox(scope, budget.open(500)), Outbox(anyio.CancelScope(), budget.open(501))
    second.put(bytes(ALWAYS))
    other.put(bytes(2 * ALWAYS))
    assert (first.is_over, second.is_over, other.is_over) == (False, False, False)
    second.put(b"!")
    assert (first.is_over, second.is_over, other.is_over) == (False, True, False)
    assert scope.cancel_called


async def test_what_was_sent_is_kept_no_longer(scope: anyio.CancelScope) -> None:
    budget = Budget()
    daemon, q = pipe(room=0)
    async with daemon, q, anyio.create_task_group() as tasks:
        waiting = Outbox(scope, budget.open(500))
        waiting.put(b"12345")
        waiting.put(b"67890")
        assert budget.kept == 10
        tasks.start_soon(waiting.run, daemon)
        await idle()
        assert budget.kept == 10  # nobody has read it
        await q.receive()
        await idle()
        assert budget.kept == 0
        waiting.close()


async def test_many_small_answers_take_no_more_memory_than_is_counted(
    scope: anyio.CancelScope,
) -> None:
    budget, count, size = Budget(), 20_000, 9
    waiting = Outbox(scope, budget.open(500))
    tracemalloc.start()
    try:
        for number in range(count):
            waiting.put(number.to_bytes(size))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert budget.kept == count * size
    assert kept < 2 * budget.kept
