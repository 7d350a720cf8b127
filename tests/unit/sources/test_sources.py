"""All sources: who asks is told, few of one wait, and what is given is on record."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import anyio
import pytest

from sessiond.containment import Containment
from sessiond.core.changes import Revoke
from sessiond.core.events import SourceIssued
from sessiond.core.revocation import Scope
from sessiond.core.session import ActiveSession
from sessiond.sources.answer import Answer, NotGiven
from sessiond.sources.asking import Asking
from sessiond.sources.on_behalf import OnBehalf
from sessiond.sources.settings import RunningSource, SourceSettings
from sessiond.sources.sources import TELL_EVERY, TOLD_AT_ONCE, Sources
from sessiond.table import Committed, Table
from tests.fakes import (
    FakeClock,
    MemoryStore,
    Settings,
    bind,
    idle,
    login,
    presented,
    table_settings,
)
from tests.unit.sources.fakes import ScriptedClient
from tests.unit.sources.test_asking import asking, running
from tests.unit.sources.test_on_behalf import Users

pytestmark = pytest.mark.anyio


def told(answer: Answer) -> str:
    if isinstance(answer, NotGiven):
        return answer.reason.value
    return answer.token.reveal()


@dataclass
class World:
    clock: FakeClock
    store: MemoryStore
    table: Table
    sources: Sources
    settings: Settings[SourceSettings]
    client: ScriptedClient
    noted: list[tuple[str, str]] = field(default_factory=list)

    @property
    def issued(self) -> list[tuple[str, int]]:
        found = (event for event in self.store.events if isinstance(event, SourceIssued))
        return [(event.source, event.count) for event in found]

    def use(self, *sources: RunningSource, waiting: int = 4) -> None:
        by_name = {each.config.name: each for each in sources}
        self.settings.now = SourceSettings(sources=by_name, waiting=waiting)
        self.sources.begin()

    def own(self, **keys: object) -> RunningSource:
        made = running(self.clock, **keys)
        fetching = made.source.fetching
        fetching._client = self.client  # type: ignore[attr-defined]
        return made

    def users(self) -> RunningSource:
        made = running(self.clock, name="users", grant="on_behalf_of")
        known = {session.grant: session.principal.name for session in self.table.sessions()}
        made.source.fetching = OnBehalf(self.client, Users(known=known, refreshed={}))
        return made

    async def ask(self, asked: Asking) -> str:
        found = self.sources.find(asked)
        return told(await self.sources.answer(asked) if found is None else found)

    async def log_in(self, number: int = 1) -> ActiveSession:
        active = await self.table.ask(login(number, presented(f"access{number}", None)))
        assert isinstance(active, ActiveSession)
        await self.table.ask(bind(number))
        return active


@asynccontextmanager
async def at_work() -> AsyncIterator[World]:
    clock, store = FakeClock(), MemoryStore()
    table = Table(store, clock, table_settings())
    settings = Settings(SourceSettings())
    noted = list[tuple[str, str]]()
    sources = Sources(
        settings,
        table,
        clock=clock,
        containment=Containment(),
        random=lambda: "random",
        note=lambda source, outcome: noted.append((source, outcome)),
    )
    table.attend(sources.take)
    await table.load()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.run)
        tasks.start_soon(sources.run)
        await idle()
        try:
            yield World(clock, store, table, sources, settings, ScriptedClient(), noted)
        finally:
            sources.stop()
            await idle()
            table.close()


async def test_the_first_is_on_disk_before_its_answer_and_repeats_are_summed() -> None:
    async with at_work() as world:
        world.use(world.own())
        assert await world.ask(asking()) == "token1"
        assert world.issued == [("quotes", 1)]
        for _ in range(5):
            assert await world.ask(asking()) == "token1"
        assert world.issued == [("quotes", 1)]
        await world.clock.advance(60 + TELL_EVERY)
        assert world.issued == [("quotes", 1), ("quotes", 5)]
        assert await world.ask(asking()) == "token1"
        assert world.issued[2:] == [("quotes", 1)]
        assert world.noted == [("quotes", "given")] * 7


async def test_what_is_left_to_tell_is_told_as_the_daemon_stops() -> None:
    async with at_work() as world:
        world.use(world.own())
        for _ in range(3):
            await world.ask(asking())
    assert world.issued == [("quotes", 1), ("quotes", 2)]


async def test_what_is_not_on_record_is_not_given() -> None:
    async with at_work() as world:
        world.use(world.own())
        world.store.failing = 1
        assert await world.ask(asking()) == "unavailable"
        assert await world.ask(asking()) == "token1"
        assert world.issued == [("quotes", 1)]


async def test_sums_that_could_not_be_told_are_told_later() -> None:
    async with at_work() as world:
        world.use(world.own())
        for _ in range(3):
            await world.ask(asking())
        world.store.failing = 1
        await world.clock.advance(60)
        assert world.issued == [("quotes", 1)]
        await world.clock.advance(TELL_EVERY)
        assert world.issued == [("quotes", 1), ("quotes", 2)]


async def test_those_who_ask_while_the_first_is_written_are_its_repeats() -> None:
    async with at_work() as world:
        world.use(world.own())
        world.store.gate, answers = anyio.Event(), list[str]()

        async def ask() -> None:
            answers.append(await world.ask(asking()))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask)
            await idle()
            assert answers == []
            world.store.gate.set()
    assert answers == ["token1"] * 3
    assert world.issued == [("quotes", 1), ("quotes", 2)]


async def test_only_so_many_of_one_process_wait_at_a_time() -> None:
    async with at_work() as world:
        world.use(world.own(), waiting=2)
        answer, answers = world.client.hold(), list[str]()

        async def ask(who: int) -> None:
            answers.append(await world.ask(asking(who=who)))

        async with anyio.create_task_group() as tasks:
            for who in (1, 1, 1, 2):
                tasks.start_soon(ask, who)
            await idle()
            assert answers == ["throttled"]
            answer.set()
    assert sorted(answers) == ["throttled", "token1", "token1", "token1"]
    assert world.client.asked == ["fetch"]


async def test_who_may_not_is_told_so_and_counted_without_a_strangers_text() -> None:
    async with at_work() as world:
        world.use(world.own())
        assert await world.ask(asking(source="none")) == "notallowed"
        assert told(await world.sources.answer(asking(source="none"))) == "notallowed"
        assert world.noted == [("", "notallowed")] * 2
        assert world.sources.late(asking()).reason.value == "unavailable"


async def test_a_refusal_that_is_known_needs_nobody() -> None:
    async with at_work() as world:
        world.use(world.own())
        world.client.otherwise = ZeroDivisionError()
        assert await world.ask(asking()) == "unavailable"
        found = world.sources.find(asking())
        assert found is not None
        assert told(found) == "unavailable"


async def test_the_next_is_fetched_ahead_of_time() -> None:
    async with at_work() as world:
        world.use(world.own())
        await world.ask(asking())
        await world.clock.advance(217.0)
        assert world.client.asked == ["fetch"] * 2


async def test_a_users_token_goes_with_his_grant() -> None:
    async with at_work() as world:
        first, second = await world.log_in(1), await world.log_in(2)
        world.use(world.users())
        mine = asking(source="users", session=first)
        for _ in range(2):
            assert await world.ask(mine) == "token1"
        assert await world.ask(asking(source="users", session=second)) == "token2"
        name = first.session.principal.name
        revoke = Revoke(id=first.session.id, scope=Scope.USER, value=name, reason="left")
        await world.table.ask(revoke)
        assert world.settings.now.sources["users"].source.find(first.session.grant) is None


async def test_whose_session_ends_while_the_issuer_is_asked_has_no_token_handed_on() -> None:
    async with at_work() as world, anyio.create_task_group() as tasks:
        alices, told_to = await world.log_in(), list[str]()
        world.use(world.users())
        answer = world.client.hold()

        async def ask() -> None:
            told_to.append(await world.ask(asking(source="users", session=alices)))

        tasks.start_soon(ask)
        await idle()
        name = alices.session.principal.name
        revoke = Revoke(id=alices.session.id, scope=Scope.USER, value=name, reason="left")
        await world.table.ask(revoke)
        answer.set()
        await idle()
        assert told_to == ["notallowed"]
        assert world.issued == []


async def test_a_source_that_was_replaced_fetches_nothing_ahead_of_time() -> None:
    async with at_work() as world:
        world.use(world.own())
        await world.ask(asking())
        before = world.client
        world.client = ScriptedClient()
        world.use(world.own())
        await world.ask(asking())
        await world.clock.advance(217.0)
        assert before.asked == ["fetch"]  # it would spend what the configuration has replaced
        assert world.client.asked == ["fetch"] * 2


async def test_a_source_of_a_new_configuration_is_at_work_at_once() -> None:
    async with at_work() as world:
        assert await world.ask(asking()) == "notallowed"
        world.use(world.own())
        assert await world.ask(asking()) == "token1"
        world.use(world.own(), world.own(name="other"))
        assert await world.ask(asking(source="other")) == "token2"


class Unread:
    """Writes of a batch that nobody looks at."""

    def __iter__(self) -> NoReturn:
        raise AssertionError("the writes were looked through")


async def test_without_sources_no_batch_is_looked_through() -> None:
    async with at_work() as world:
        world.sources.take(Committed(Unread(), ()))  # type: ignore[arg-type]
        world.use(world.own())
        with pytest.raises(AssertionError, match="looked through"):
            world.sources.take(Committed(Unread(), ()))  # type: ignore[arg-type]


async def test_very_many_sums_are_told_some_at_a_time() -> None:
    many = TOLD_AT_ONCE + 50
    async with at_work() as world:
        world.use(world.own())
        for who in range(many):
            for _ in range(3):
                await world.ask(asking(who=who))
    told_of = [len(events) for _, events in world.store.commits]
    assert world.issued == [("quotes", 1)] * many + [("quotes", 2)] * many
    assert told_of[-2:] == [TOLD_AT_ONCE, 50]


async def test_nothing_is_fetched_once_the_daemon_stops() -> None:
    async with at_work() as world:
        world.use(world.own())
        world.sources.stop()
        await idle()
        assert await world.ask(asking()) == "unavailable"
