"""A refresh token is spent once, whatever happens, and what takes its place is on disk first."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from sessiond.core.changes import KeepSourceGrant
from sessiond.core.errors import IssuerUnavailable, RefreshRefused, StoreError, UnusableAnswer
from sessiond.core.events import Operator, OperatorAuthorized
from sessiond.core.secret import Secret
from sessiond.core.source_grant import SourceGrant
from sessiond.refresher import Tokens
from sessiond.sources.seeded import Seeded
from sessiond.sources.source_client import SourceRefused
from sessiond.table import Table
from tests.fakes import START, FakeClock, MemoryStore, idle, table_settings, token_hash
from tests.unit.sources.fakes import ScriptedClient

pytestmark = pytest.mark.anyio
TOLD = OperatorAuthorized(at=START, by=Operator(uid=0, name="root"), scope="source", value="quotes")


async def call(ask: Callable[[], Awaitable[Tokens]]) -> Tokens:
    return await ask()


@dataclass
class World:
    table: Table
    store: MemoryStore
    clock: FakeClock
    client: ScriptedClient = field(default_factory=ScriptedClient)
    alone: anyio.Lock = field(default_factory=anyio.Lock)

    def seeded(self, seed: str | None = "seed", *, client: ScriptedClient | None = None) -> Seeded:
        return Seeded(
            "quotes",
            client=client or self.client,
            table=self.table,
            seed=None if seed is None else Secret(seed),
            hashed=lambda token: token_hash(token.reveal()),
            clock=self.clock,
            alone=self.alone,
        )

    async def spend(self, seeded: Seeded) -> str:
        return (await seeded.tokens(None, call)).access_token.reveal()

    async def kept(self) -> tuple[str | None, bool, bool]:
        """Return the refresh token on disk, whether it is in flight, and whether it is refused."""
        (grant,) = (row for row in self.store.rows.values() if isinstance(row, SourceGrant))
        found = await self.table.secret(grant)
        text = None if found is None else found.reveal()
        return text, grant.in_flight_since is not None, grant.is_refused


@asynccontextmanager
async def running(store: MemoryStore | None = None) -> AsyncIterator[World]:
    clock, kept = FakeClock(), store or MemoryStore()
    table = Table(kept, clock, table_settings())
    await table.load()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.run)
        try:
            yield World(table, kept, clock)
        finally:
            table.close()


async def test_a_seed_is_used_once_and_what_comes_of_it_goes_on() -> None:
    async with running() as world:
        for _ in range(3):
            await world.spend(world.seeded())
        assert world.client.asked == ["refresh seed", "refresh refresh1", "refresh refresh2"]
        assert await world.kept() == ("refresh3", False, False)


async def test_each_step_is_on_disk_before_the_next() -> None:
    async with running() as world, anyio.create_task_group() as tasks:
        answer, came = world.client.hold(), list[str]()

        async def spend() -> None:
            came.append(await world.spend(world.seeded()))

        tasks.start_soon(spend)
        await idle()
        assert await world.kept() == ("seed", True, False)
        world.store.failing = 1
        answer.set()
        await idle()
        assert came == []
        await world.clock.advance(2.0)
        assert came == ["token1"]
        assert await world.kept() == ("refresh1", False, False)


async def test_an_issuer_that_does_not_rotate_is_sent_the_same_one() -> None:
    async with running() as world:
        world.client.rotates = False
        for _ in range(2):
            await world.spend(world.seeded())
        assert world.client.asked == ["refresh seed"] * 2


async def test_after_a_crash_in_between_the_old_one_is_tried_once_more() -> None:
    async with running() as world:
        world.client.next = [IssuerUnavailable("away")]
        with pytest.raises(IssuerUnavailable):
            await world.spend(world.seeded())
        store = world.store
    async with running(store) as world:
        assert await world.kept() == ("seed", True, False)
        world.client.next = [RefreshRefused("invalid_grant")]  # it was spent: the issuer's word
        with pytest.raises(RefreshRefused):
            await world.spend(world.seeded())
        with pytest.raises(SourceRefused, match="was refused, wanted one that is good"):
            await world.spend(world.seeded())
        assert world.client.asked == ["refresh seed"]
        assert await world.kept() == ("seed", False, True)


async def test_another_text_in_the_file_takes_the_place_of_what_there_is() -> None:
    async with running() as world:
        world.client.next = [RefreshRefused("invalid_grant")]
        with pytest.raises(RefreshRefused):
            await world.spend(world.seeded())
        assert not await world.seeded().is_authorized()
        assert await world.seeded("other").is_authorized()
        await world.spend(world.seeded("other"))
        await world.spend(world.seeded("other"))
        assert world.client.asked == ["refresh seed", "refresh other", "refresh refresh2"]


async def test_what_an_operator_brings_counts_and_the_file_as_it_is_no_more() -> None:
    async with running() as world:
        await world.spend(world.seeded())
        await world.seeded().keep(Secret("brought"), TOLD)
        assert [event.kind for event in world.store.events] == ["operator.authorized"]
        await world.spend(world.seeded())
        assert world.client.asked[-1] == "refresh brought"
        await world.spend(world.seeded("new"))
        assert world.client.asked[-1] == "refresh new"


async def test_a_spent_text_that_was_taken_out_meanwhile_is_not_sent_again() -> None:
    async with running() as world:
        await world.spend(world.seeded())
        await world.seeded(None).keep(Secret("brought"), TOLD)
        await world.spend(world.seeded(None))
        await world.spend(world.seeded())
        assert world.client.asked == ["refresh seed", "refresh brought", "refresh refresh2"]


async def test_without_any_there_is_nothing_to_send() -> None:
    async with running() as world:
        assert not await world.seeded(None).is_authorized()
        with pytest.raises(SourceRefused, match=r"is missing.*sources authorize quotes"):
            await world.spend(world.seeded(None))
        await world.seeded(None).keep(Secret("brought"), TOLD)
        assert await world.seeded(None).is_authorized()
        await world.spend(world.seeded(None))
        assert world.client.asked == ["refresh brought"]


async def test_one_of_another_client_or_issuer_is_not_sent() -> None:
    async with running() as world:
        await world.spend(world.seeded())
        other = ScriptedClient(identity="feeds at elsewhere")
        assert not await world.seeded(client=other).is_authorized()
        with pytest.raises(SourceRefused, match="of feeds at corp, wanted one of feeds at else"):
            await world.spend(world.seeded(client=other))
        assert other.asked == []


async def test_one_that_does_not_open_is_not_sent() -> None:
    async with running() as world:
        await world.spend(world.seeded())
        world.store.secrets.clear()
        with pytest.raises(SourceRefused, match="does not open with the store's key"):
            await world.spend(world.seeded())


async def test_two_configurations_never_send_one_twice() -> None:
    async with running() as world, anyio.create_task_group() as tasks:
        answer = world.client.hold()
        tasks.start_soon(world.spend, world.seeded())
        await idle()
        tasks.start_soon(world.spend, world.seeded(client=world.client))
        await idle()
        assert world.client.asked == ["refresh seed"]
        answer.set()
        await idle()
    assert world.client.asked == ["refresh seed", "refresh refresh1"]


async def test_what_was_replaced_meanwhile_by_others_is_not_written_over() -> None:
    async with running() as world, anyio.create_task_group() as tasks:
        answer, raised = world.client.hold(), list[Exception]()

        async def spend() -> None:
            try:
                await world.spend(world.seeded())
            except UnusableAnswer as error:
                raised.append(error)

        tasks.start_soon(spend)
        await idle()
        await world.table.ask(
            KeepSourceGrant(name="quotes", client="x", seed=None, refresh_token=Secret("new"))
        )
        answer.set()
        await idle()
        assert await world.kept() == ("new", False, False)
        assert "took the place" in str(raised[0])


async def test_what_could_not_be_kept_is_an_error_for_the_operator() -> None:
    async with running() as world:
        world.store.failing = 1
        with pytest.raises(StoreError):
            await world.seeded().keep(Secret("brought"), TOLD)
