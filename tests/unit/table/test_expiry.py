"""What is over is asked to end in time, and again where that could not be written."""

import anyio
import pytest

from sessiond.core.changes import Expire
from sessiond.core.errors import StoreError, TableClosed
from sessiond.core.grant import KnownToken
from sessiond.core.ticket import SpentTicket
from sessiond.core.web_login import UsedState
from sessiond.due import TICK
from sessiond.table import expiry
from sessiond.table.expiry import RETRY_IN, Expiry
from tests.fakes import (
    HOUR,
    MINUTE,
    START,
    FakeClock,
    grant,
    grant_id,
    idle,
    session,
    session_id,
    ticket_id,
    token_hash,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Asked:
    """Notes what it is asked, and answers as the test says."""

    def __init__(self) -> None:
        self.changes: list[Expire] = []
        self.fails: list[StoreError] = []

    async def __call__(self, change: Expire) -> None:
        self.changes.append(change)
        if self.fails:
            raise self.fails.pop(0)


def trace(of: int | None) -> KnownToken:
    hashed = token_hash("refresh")
    hangs_on = None if of is None else grant_id(of)
    return KnownToken(hash=hashed, grant=hangs_on, seen_at=START, keep_until=START + 3 * HOUR)


async def test_each_is_asked_to_end_when_it_is_over_and_what_has_no_end_is_not(
    clock: FakeClock,
) -> None:
    asked = Asked()
    ends = Expiry(clock, asked)
    waiting = session(until=START + MINUTE)
    used = UsedState(hash=token_hash("state"), keep_until=START + 2 * HOUR)
    spent = SpentTicket(id=ticket_id(1), session=session_id(3), keep_until=START + 4 * HOUR)
    ends.note([waiting, session(2, until=None), grant(), trace(None), trace(1), used, spent])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ends.watch)
        await clock.advance(MINUTE.total_seconds() - TICK)
        assert asked.changes == []
        await clock.advance(4 * HOUR)
        assert asked.changes == [
            Expire(sessions=(waiting.id,)),
            Expire(grants=(grant_id(1),)),
            Expire(states=(used.hash,)),
            Expire(tokens=(token_hash("refresh"),)),
            Expire(tickets=(ticket_id(1),)),
        ]
        tasks.cancel_scope.cancel()


async def test_what_is_over_together_is_asked_together_but_so_many_at_a_time(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MAX_DUE", 2)
    asked = Asked()
    ends = Expiry(clock, asked)
    sessions = [session(number, until=START + MINUTE) for number in range(1, 4)]
    ends.note(sessions)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ends.watch)
        await clock.advance(2 * MINUTE)
        assert [len(each.sessions) for each in asked.changes] == [2, 1]
        tasks.cancel_scope.cancel()


async def test_what_could_not_be_written_is_asked_again_until_the_table_has_closed(
    clock: FakeClock,
) -> None:
    asked = Asked()
    asked.fails = [StoreError("the disk is full"), TableClosed("stopping")]
    ends = Expiry(clock, asked)
    ends.note([session(until=START)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ends.watch)
        await idle()
        assert len(asked.changes) == 1
        await clock.advance(2 * RETRY_IN)
        assert len(asked.changes) == 2  # and its task has ended
    assert asked.changes[0] == asked.changes[1]
