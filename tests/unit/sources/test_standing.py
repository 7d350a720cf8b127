"""How a source stands, in a word."""

import pytest

from sessiond.core.errors import RefreshRefused
from sessiond.sources.source import Source
from sessiond.sources.source_client import SourceRefused
from sessiond.sources.standing import standing_of
from tests.fakes import FakeClock
from tests.unit.sources.fakes import asked, at_work
from tests.unit.sources.test_seeded import running
from tests.unit.sources.test_source import World

pytestmark = pytest.mark.anyio


async def test_it_is_idle_then_ready_then_whatever_is_wrong() -> None:
    world = World(FakeClock())
    async with world.at_work():
        assert await standing_of(world.source) == "idle"
        await asked(world.source)
        assert await standing_of(world.source) == "ready"
        world.client.otherwise = SourceRefused("no")
        world.source.forget(None)
        await asked(world.source)
        assert await standing_of(world.source) == "refused"


async def test_whoever_begins_it_anew_does_not_read_what_was_wrong_before() -> None:
    world = World(FakeClock())
    world.client.otherwise = SourceRefused("no")
    async with world.at_work():
        await asked(world.source)
        assert await standing_of(world.source) == "refused"
        world.source.forget(None)
        assert await standing_of(world.source) == "idle"


async def test_without_a_refresh_token_somebody_has_to_sign_in() -> None:
    async with running() as seeds:
        world = World(seeds.clock)
        source: Source = world.made(seeds.seeded())  # type: ignore[arg-type]
        async with at_work(source, seeds.clock):
            assert await standing_of(source) == "idle"
            seeds.client.next = [RefreshRefused("invalid_grant")]
            await asked(source)
            assert await standing_of(source) == "unauthorized"
