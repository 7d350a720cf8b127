"""Token stores on a table in memory, whose time is moved by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio

from sessiond.table import Table
from sessiond.tokenstores.settings import StoresSettings
from sessiond.tokenstores.stores import Asker, Place, Refused, TokenStores
from tests.fakes import FakeClock, MemoryStore, Settings, idle, table_settings

ALICE, BOB = Asker(1000, 1), Asker(1001, 2)
PLACE = Place("externalToken://alice", "oauth")


@dataclass
class Storing:
    """Stores at work."""

    stores: TokenStores
    table: Table
    store: MemoryStore
    clock: FakeClock
    settings: Settings[StoresSettings]
    nobody: anyio.Event = field(default_factory=anyio.Event)  # set: those who wait hang up

    def change(self, **different: object) -> None:
        self.settings.now = replace(self.settings.now, **different)  # type: ignore[arg-type]

    async def lock(
        self, asker: Asker = ALICE, place: Place = PLACE, *, wait_ms: int = 5000
    ) -> int | Refused:
        return await self.stores.lock(asker, place, wait_ms, self.nobody.wait)

    async def fence(
        self, asker: Asker = ALICE, place: Place = PLACE, *, wait_ms: int = 5000
    ) -> int:
        found = await self.lock(asker, place, wait_ms=wait_ms)
        assert not isinstance(found, Refused), found
        return found

    async def write(
        self, value: bytes, asker: Asker = ALICE, place: Place = PLACE
    ) -> Refused | None:
        """Write under a lock of its own."""
        fence = await self.fence(asker, place)
        answer = await self.stores.write(asker, place, value, fence)
        assert await self.stores.release(asker, place, fence) is None
        return answer

    async def read(self, asker: Asker = ALICE, place: Place = PLACE) -> bytes | Refused | None:
        return await self.stores.read(asker, place)


@asynccontextmanager
async def storing(store: MemoryStore | None = None) -> AsyncIterator[Storing]:
    store, clock = store or MemoryStore(), FakeClock()
    table = Table(store, clock, table_settings())
    await table.load()
    settings = Settings(StoresSettings())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.run)
        yield Storing(TokenStores(settings, table, clock), table, store, clock, settings)
        table.close()
        await idle()
        tasks.cancel_scope.cancel()
