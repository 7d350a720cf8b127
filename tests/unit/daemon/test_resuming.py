"""What an earlier run has left: it goes on, or it ends, and that is told."""

from dataclasses import replace

import pytest

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.session import ProcessKey
from sessiond.daemon.resuming import resume
from sessiond.kdb.subscriber_access import ProcessNames
from tests.fakes import RULES, FakeClock, MemoryStore, bind, login, presented, process_about
from tests.unit.refresher.refreshing import at_work

pytestmark = pytest.mark.anyio

UNKNOWN = ProcessKey(uid=500, pid=0, started=0, label="gw1 #1 of an earlier run")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_sessions_of_processes_that_are_known_to_nobody_any_more_end_at_the_start() -> None:
    clock, store = FakeClock(), MemoryStore()
    async with at_work(clock, store=store) as before:
        await before.log_in(1)
        for number in (2, 3):
            change = replace(login(number, presented(f"access{number}")), process=UNKNOWN)
            await before.table.ask(change)
        await before.table.ask(replace(bind(2), process=UNKNOWN))  # the third is not opened
    names = ProcessNames(clock.monotonic)
    rules = replace(RULES, iss={"corp": "corp"})
    async with at_work(clock, store=store) as after:
        await resume(after.table, after.refresher, rules, names)
        assert after.told == [("session.closed", "lost")]
        assert [each.session.id.int for each in await after.live()] == [1]
        assert len(after.table.processes()) == 1
    assert names.may_give(process_about().name)  # it was somebody's before the start


async def test_another_configuration_counts_for_the_sessions_of_an_earlier_run() -> None:
    clock, store = FakeClock(), MemoryStore()
    async with at_work(clock, store=store) as before:
        await before.log_in(1)
    names = ProcessNames(clock.monotonic)
    nobody = AccessRules(ceilings=(Ceiling(users=("bob",)),))
    rules = replace(RULES, iss={"corp": "corp"}, access=nobody)
    async with at_work(clock, store=store, by=rules) as after:
        await resume(after.table, after.refresher, rules, names)
        assert after.told == [("session.revoked", "notallowed")]
        assert await after.live() == []
