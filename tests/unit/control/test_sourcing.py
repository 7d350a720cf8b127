"""Data sources over HTTP: their tokens for readers, and what is told of them to operators."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest

from sessiond.containment import Containment
from sessiond.core.errors import IssuerThrottled, IssuerUnavailable
from sessiond.core.events import SourceIssued
from sessiond.sources.settings import RunningSource, SourceSettings
from sessiond.sources.source_client import SourceRefused
from sessiond.sources.sources import Sources
from sessiond.system.peer import AllowList, Peer
from tests.fakes import Settings, idle
from tests.unit.control.viewing import ADMIN, STRANGER, Viewing, problem, viewing
from tests.unit.sources.fakes import ScriptedClient
from tests.unit.sources.test_asking import running

pytestmark = pytest.mark.anyio
READER = Peer(uid=64001, groups=frozenset(), pid=11, started=1)
TOKEN = "/v1/sources/quotes/token"


@dataclass
class Sourcing:
    v: Viewing
    client: ScriptedClient
    settings: Settings[SourceSettings]

    def use(self, *sources: RunningSource) -> None:
        by_name = {each.config.name: each for each in sources}
        self.settings.now = SourceSettings(sources=by_name)
        self.v.view.sources.begin()

    def made(self, *readers: int | str, **keys: Any) -> RunningSource:
        one = running(self.v.clock, readers=readers, **keys)
        one.source.fetching._client = self.client  # type: ignore[attr-defined]
        listed = AllowList.listed("readers", readers) if readers else None
        return replace(one, readers=listed)


@asynccontextmanager
async def sourcing() -> AsyncIterator[Sourcing]:
    async with viewing() as v, anyio.create_task_group() as tasks:
        settings, client = Settings(SourceSettings()), ScriptedClient()
        v.view.sources = Sources(
            settings,
            v.view.table,
            clock=v.clock,
            containment=Containment(),
            random=lambda: "random",
        )
        tasks.start_soon(v.view.sources.run)
        await idle()
        world = Sourcing(v, client, settings)
        world.use(world.made(READER.uid))
        try:
            yield world
        finally:
            v.view.sources.stop()
            await idle()
            tasks.cancel_scope.cancel()


async def test_a_reader_has_the_token_which_no_cache_keeps() -> None:
    async with sourcing() as world:
        world.v.peer = READER
        response = await world.v.ask("GET", TOKEN)
        assert response.json() == {
            "token": "token1",
            "type": "Bearer",
            "expires": "2026-03-02T09:05:00Z",
        }
        assert response.headers["cache-control"] == "no-store"
        (told,) = (e for e in world.v.store.events if isinstance(e, SourceIssued))
        assert told.by is not None
        assert (told.by.uid, told.process, told.count) == (READER.uid, None, 1)


async def test_whoever_is_no_reader_has_none_and_asks_nobody() -> None:
    async with sourcing() as world:
        world.use(world.made(READER.uid), world.made(name="none"))
        world.v.peer = STRANGER
        assert "is not among source[quotes].readers" in problem(
            await world.v.ask("GET", TOKEN), 403
        )
        for peer in (STRANGER, READER, ADMIN):  # not even root, where there are no readers
            world.v.peer = peer
            problem(await world.v.ask("GET", "/v1/sources/none/token"), 403)
        assert "no such source" in problem(await world.v.ask("GET", "/v1/sources/other/token"), 404)
        world.v.peer = STRANGER
        assert "is not among the readers of" in problem(
            await world.v.ask("GET", "/v1/sources/other/token"), 403
        )
        assert world.client.asked == []


@pytest.mark.parametrize(
    ("says", "status", "words", "retry"),
    [
        (SourceRefused("the issuer says no"), 502, "the issuer says no", None),
        (IssuerUnavailable("it is away"), 503, "it is away", None),
        (IssuerThrottled("wait", retry_after=30.0), 429, "wait", "30"),
    ],
)
async def test_why_there_is_none_is_a_status_and_what_to_do(
    says: Exception, status: int, words: str, retry: str | None
) -> None:
    async with sourcing() as world:
        world.client.next = [says]
        world.v.peer = READER
        response = await world.v.ask("GET", TOKEN)
        assert words in problem(response, status)
        assert response.headers.get("retry-after") == retry


async def test_one_that_is_late_is_unavailable_and_kept() -> None:
    async with sourcing() as world, anyio.create_task_group() as tasks:
        answer, world.v.peer = world.client.hold(), READER
        world.v.settings.now = replace(world.v.settings.now, deadline=0.01)
        assert "in time" in problem(await world.v.ask("GET", TOKEN), 503)
        answer.set()
        await idle()
        assert (await world.v.ask("GET", TOKEN)).status_code == 200
        assert world.client.asked == ["fetch"]
        tasks.cancel_scope.cancel()


async def test_the_list_has_all_but_the_tokens() -> None:
    async with sourcing() as world:
        assert (await world.v.get("/v1/sources"))["sources"][0]["state"] == "idle"
        world.v.peer = READER
        await world.v.ask("GET", TOKEN)
        world.v.peer = ADMIN
        response = await world.v.ask("GET", "/v1/sources")
        assert "token1" not in response.text
        assert response.json()["sources"] == [
            {
                "name": "quotes",
                "grant": "client_credentials",
                "issuer": "corp",
                "state": "ready",
                "expires_at": "2026-03-02T09:05:00Z",
                "last_fetched_at": "2026-03-02T09:00:00Z",
                "last_error": "",
                "last_error_at": None,
                "processes": ["rdb*"],
                "readers": [str(READER.uid)],
            }
        ]
        metrics = (await world.v.ask("GET", "/metrics")).text
        assert 'sessiond_source_healthy{source="quotes"} 1.0' in metrics


async def test_without_sources_there_are_none() -> None:
    async with viewing() as v:
        assert await v.get("/v1/sources") == {"sources": []}
        problem(await v.ask("GET", TOKEN), 404)
