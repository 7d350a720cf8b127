"""The keys of tickets are made in time, outlive a restart, and rotate with the clock alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.core.ticket import TicketKey
from sessiond.eventlog import EventLog
from sessiond.gate import Gate
from sessiond.table import Table
from sessiond.tickets.keys import AGAIN_IN, LOOK_EVERY, TicketKeys
from sessiond.tickets.settings import TicketSettings
from tests.fakes import DAY, FakeClock, MemoryStore, Settings, idle, table_settings
from tests.unit.gate.fakes import gate_settings
from tests.unit.tickets.making import SETTINGS, KeyTable, claims, tickets_on

pytestmark = pytest.mark.anyio


@dataclass
class Keeping:
    """The keys at work."""

    keys: TicketKeys
    store: MemoryStore
    clock: FakeClock
    settings: Settings[TicketSettings | None]

    @property
    def kept(self) -> set[str]:
        """The ids of those on disk."""
        return {row.id for row in self.store.rows.values() if isinstance(row, TicketKey)}

    @property
    def signer(self) -> str:
        signing = self.keys.signing
        return "" if signing is None else signing.id


@asynccontextmanager
async def keeping(
    clock: FakeClock,
    store: MemoryStore | None = None,
    settings: TicketSettings | None = SETTINGS,
) -> AsyncIterator[Keeping]:
    store, now = store or MemoryStore(), Settings(settings)
    events = EventLog(store, clock)
    table = Table(store, clock, table_settings())
    table.attend(events.take)
    await table.load()
    keys = tickets_on(table, Gate(gate_settings(), clock=clock), clock, now).keys
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.run)
        tasks.start_soon(keys.run)
        await keys.begin()
        await idle()
        try:
            yield Keeping(keys, store, clock, now)
        finally:
            table.close()
            tasks.cancel_scope.cancel()


async def test_the_first_start_has_a_key_that_signs_at_once(clock: FakeClock) -> None:
    async with keeping(clock) as at_work:
        assert {at_work.signer} == at_work.kept == {*at_work.keys.public}
        assert at_work.keys.signing_since == clock.now()
        assert at_work.keys.next_due_at == clock.now() + 29 * DAY
        signing = at_work.keys.signing
        assert signing is not None
        assert signing.sign(claims()).reveal().count(".") == 2


async def test_a_restart_goes_on_with_the_same_key(clock: FakeClock) -> None:
    async with keeping(clock) as first:
        signer = first.signer
    async with keeping(clock, first.store) as second:
        assert second.signer == signer
        assert second.kept == {signer}


async def test_keys_follow_each_other_by_the_clock(clock: FakeClock) -> None:
    table = KeyTable()  # a real one does something each second, which is much in a month
    gate = Gate(gate_settings(), clock=clock)
    keys = tickets_on(table, gate, clock, Settings[TicketSettings | None](SETTINGS)).keys

    def signer() -> str:
        return "" if keys.signing is None else keys.signing.id

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keys.run)
        await keys.begin()
        first = signer()
        await clock.advance(29 * DAY - timedelta(hours=1))
        assert table.kept == {first}
        await clock.advance(timedelta(hours=2))
        assert len(table.kept) == 2
        assert {*keys.public} == table.kept
        assert signer() == first
        await clock.advance(DAY)
        (second,) = table.kept - {first}
        assert signer() == second
        assert {*keys.public} == {first, second}
        await clock.advance(DAY)
        assert table.kept == {second} == {*keys.public}
        await clock.advance(30 * DAY)
        assert signer() not in (first, second)
        tasks.cancel_scope.cancel()


async def test_while_tickets_are_off_a_key_that_would_be_due_wakes_nobody(
    clock: FakeClock,
) -> None:
    settings = Settings[TicketSettings | None](SETTINGS)
    keys = tickets_on(KeyTable(), Gate(gate_settings(), clock=clock), clock, settings).keys
    await keys.see_to()
    settings.now = None
    await clock.advance(40 * DAY)
    assert keys._until_next() == LOOK_EVERY


async def test_without_tickets_no_key_is_made_and_none_counts(clock: FakeClock) -> None:
    async with keeping(clock, settings=None) as at_work:
        assert at_work.kept == set()
        assert at_work.keys.next_due_at is None
        assert at_work.keys.signing_since is None
        assert at_work.keys.signing is None
        at_work.settings.now = SETTINGS
        at_work.keys.look()
        await idle()
        assert {at_work.signer} == at_work.kept
        at_work.settings.now = None
        at_work.keys.look()
        await idle()
        assert at_work.keys.public == {}
        assert at_work.signer == ""
        assert len(at_work.kept) == 1  # for when they are on again


async def test_a_key_whose_private_half_is_lost_is_replaced(clock: FakeClock) -> None:
    async with keeping(clock) as first:
        lost = first.signer
    first.store.secrets.clear()
    with capture_logs() as logs:
        async with keeping(clock, first.store) as second:
            assert second.signer not in ("", lost)
            assert second.kept == {second.signer}
    assert [each["kid"] for each in logs if each["event"] == "ticket key lost"] == [lost]


async def test_a_disk_that_is_full_puts_a_key_off_and_ends_nothing(clock: FakeClock) -> None:
    store = MemoryStore()
    store.failing = 1
    with capture_logs() as logs:
        async with keeping(clock, store) as at_work:
            assert at_work.signer == ""
            assert [each["event"] for each in logs if each["log_level"] == "warning"][-1:] == [
                "ticket keys put off"
            ]
            await clock.advance(AGAIN_IN)
            assert {at_work.signer} == at_work.kept != {""}


async def test_no_private_key_is_in_the_log(clock: FakeClock) -> None:
    with capture_logs() as logs:
        async with keeping(clock) as at_work:
            signing = at_work.keys.signing
    assert signing is not None
    assert signing.kept().reveal() not in repr(logs)
    assert [each["event"] for each in logs] == ["ticket key made"]
