"""A source's surroundings: an issuer that is steered, and a table in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import anyio

from sessiond.core.secret import Secret
from sessiond.refresher import Tokens
from sessiond.sources.fetching import Key
from sessiond.sources.holding import Patience
from sessiond.sources.kept_token import KeptToken
from sessiond.sources.source import Source
from sessiond.sources.source_client import SourceClient
from tests.fakes import START, FakeClock, idle

Said = Tokens | Exception


def token(*, asked_at: float = 0.0, life: float = 300.0, text: str = "token") -> KeptToken:
    return KeptToken(
        token=Secret(text),
        asked_at=asked_at,
        life=life,
        expires_at=START + timedelta(seconds=asked_at + life),
    )


def tokens(
    access: str = "token1", *, refresh: str | None = None, expires_in: float | None = 300.0
) -> Tokens:
    return Tokens(
        access_token=Secret(access),
        refresh_token=None if refresh is None else Secret(refresh),
        expires_in=expires_in,
    )


@dataclass
class ScriptedClient:
    """Fulfils `SourceClient`: says what it was told to, else the next token."""

    identity: str = "feeds at corp"
    next: list[Said] = field(default_factory=list)
    otherwise: Exception | None = None  # said for good, once `next` is used up
    rotates: bool = True
    asked: list[str] = field(default_factory=list)
    held: anyio.Event | None = None

    async def fetch(self) -> Tokens:
        return await self._said("fetch", "")

    async def refresh(self, token: Secret) -> Tokens:
        return await self._said("refresh", token.reveal())

    async def exchange(self, subject: Secret) -> Tokens:
        return await self._said("exchange", subject.reveal())

    def hold(self) -> anyio.Event:
        """Let every call from now on wait until the event is set."""
        self.held = anyio.Event()
        return self.held

    async def _said(self, how: str, what: str) -> Tokens:
        self.asked.append(f"{how} {what}".strip())
        number = len(self.asked)
        said = self.next.pop(0) if self.next else self.otherwise
        if self.held is not None:
            await self.held.wait()
        if isinstance(said, Exception):
            raise said
        refresh = f"refresh{number}" if how == "refresh" and self.rotates else None
        return said or tokens(f"token{number}", refresh=refresh)


_: type[SourceClient] = ScriptedClient


@asynccontextmanager
async def at_work(source: Source, clock: FakeClock) -> AsyncIterator[None]:
    """Let a source make calls, and look ahead when it is time, until the end of the block."""
    async with anyio.create_task_group() as tasks:

        async def look(seconds: float, key: Key) -> None:
            await clock.sleep(seconds)
            source.look_ahead(key)

        source.begin(tasks, lambda seconds, key: tasks.start_soon(look, seconds, key))
        try:
            yield
        finally:
            source.stop()
            tasks.cancel_scope.cancel()


async def all_of(source: Source, count: int) -> Sequence[str]:
    """Return what so many are told who ask at once."""
    found = list[str]()

    async def ask() -> None:
        found.append(await asked(source))

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(ask)
        await idle()
    return found


async def asked(source: Source, key: Key = None) -> str:
    """Return a token's text, or why there is none: as whoever waits for it is told."""
    found = source.find(key)
    if found is None:
        found = await source.join(key).answer()
    return found.token.reveal() if isinstance(found, KeptToken) else found.reason.value


IMPATIENT = Patience(first=10.0, longest=40.0)
