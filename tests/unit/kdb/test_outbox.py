"""What waits to be sent: in order, within a bound, and no longer than the peer is there."""

import asyncio
import tracemalloc
from collections.abc import Callable

import pytest

from sessiond.kdb import outbox
from sessiond.kdb.budget import ALWAYS, Account, Budget
from sessiond.kdb.outbox import BACKLOG, Outbox
from tests.fakes import idle
from tests.unit.kdb.pipe import MemoryTransport, PipeEnd

pytestmark = pytest.mark.anyio


class Sender(asyncio.Protocol):
    """An outbox on a connection in memory, which tells it what the transport says."""

    def __init__(self, account: Account | None = None, *, room: float = 1e9) -> None:
        self.cuts = 0
        self.outbox = Outbox(account or Budget().open(500), self._cut)
        self.transport = MemoryTransport(self, room=room)
        self.outbox.begin(self.transport)
        self.put: Callable[..., None] = self.outbox.put

    @property
    def q(self) -> PipeEnd:
        return self.transport.peer

    def pause_writing(self) -> None:
        self.outbox.look()

    def resume_writing(self) -> None:
        self.outbox.look()

    def _cut(self) -> None:
        self.cuts += 1


async def test_what_is_put_is_sent_in_order_until_it_closes() -> None:
    sender = Sender()
    sender.put(b"a", b"b")
    assert sender.transport.writes == [b"ab"]  # in one piece
    sender.put(b"c")
    assert await sender.q.receive() == b"abc"
    sender.put(b"d")
    sender.outbox.close()
    sender.put(b"after the end")
    assert await sender.q.receive() == b"d"
    assert sender.transport.is_closing()
    assert sender.cuts == 0


async def test_what_waits_as_it_closes_is_sent_before_the_end() -> None:
    sender = Sender(room=2)
    sender.put(b"1234")
    sender.put(b"5678")
    sender.outbox.close()
    assert await sender.q.receive() == b"12"
    assert [await sender.q.receive() for _ in range(3)] == [b"34", b"56", b"78"]


async def test_a_process_that_leaves_too_much_unread_is_cut_off_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "BACKLOG", 10)
    sender = Sender(room=0)
    sender.put(b"12345")
    sender.put(b"67890")
    assert sender.cuts == 0
    for _ in range(2):
        sender.put(b"!")
        assert sender.cuts == 1


async def test_what_the_process_has_read_counts_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BACKLOG", 20)
    sender = Sender(room=10)
    for _ in range(5):
        sender.put(b"0123456789")
        sender.put(b"0123456789")
        assert await sender.q.receive() == b"0123456789"
        assert await sender.q.receive() == b"0123456789"
    assert sender.cuts == 0


async def test_one_answer_may_be_larger_than_the_bound_when_nothing_else_waits() -> None:
    sender = Sender(room=0)
    sender.put(bytes(BACKLOG + 1))
    assert sender.cuts == 0
    sender.put(b"!")
    assert sender.cuts == 1


async def test_when_the_connection_is_gone_nothing_is_put() -> None:
    budget = Budget()
    sender = Sender(budget.open(500), room=0)
    sender.put(b"a")
    sender.outbox.end()
    sender.put(b"b")
    sender.outbox.look()
    sender.outbox.close()
    assert sender.transport.writes == [b"a"]
    await sender.outbox.taken()  # nobody waits for it any more
    assert sender.cuts == 0


async def test_who_waits_for_it_is_told_when_everything_was_taken() -> None:
    sender = Sender(room=5)
    await sender.outbox.taken()  # there is nothing
    sender.put(b"first")
    sender.put(b"second")
    waiting = asyncio.ensure_future(sender.outbox.taken())
    await idle()
    assert await sender.q.receive() == b"first"
    await idle()
    assert not waiting.done()
    assert await sender.q.receive() == b"secon"
    await idle()
    assert waiting.done()


async def test_a_process_whose_user_has_too_much_unread_is_cut_off_and_no_other() -> None:
    budget = Budget(per_user=2 * ALWAYS, total=9 * ALWAYS)
    first = Sender(budget.open(500), room=0)
    first.put(bytes(2 * ALWAYS))
    second, other = Sender(budget.open(500), room=0), Sender(budget.open(501), room=0)
    second.put(bytes(ALWAYS))
    other.put(bytes(2 * ALWAYS))
    assert (first.cuts, second.cuts, other.cuts) == (0, 0, 0)
    second.put(b"!")
    assert (first.cuts, second.cuts, other.cuts) == (0, 1, 0)


async def test_what_was_sent_is_kept_no_longer() -> None:
    budget = Budget()
    sender = Sender(budget.open(500), room=5)
    sender.put(b"12345")
    assert budget.kept == 0  # the socket has it
    sender.put(b"67890")
    sender.put(b"abc")
    assert budget.kept == 8  # nobody has read it
    assert await sender.q.receive() == b"12345"
    assert budget.kept == 3
    assert await sender.q.receive() == b"67890"
    assert budget.kept == 0


async def test_many_small_answers_take_no_more_memory_than_is_counted() -> None:
    budget, count, size = Budget(), 20_000, 9
    sender = Sender(budget.open(500), room=0)
    tracemalloc.start()
    try:
        for number in range(count):
            sender.put(number.to_bytes(size))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert budget.kept == count * size
    assert kept < 2 * budget.kept
