"""What operators ask about, noted as it happens by thin layers around the parts themselves."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from sessiond.api import Verifier
from sessiond.clock import Clock
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    StoreError,
    TokenRejected,
)
from sessiond.core.events import Event, LoginRefused, SessionOpened
from sessiond.core.rows import Write
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.refresher import Tokens, TokenSource
from sessiond.table import Loaded, Store, Table


class WatchedTable(Table):
    """The table, and how much it has before it."""

    @property
    def waiting(self) -> int:
        """How many changes wait to be decided."""
        return self._inbox.statistics().current_buffer_used


class WatchedStore:
    """A Store (sessiond.table) that knows what was committed last, and tells who waits for more."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._more = anyio.Event()
        self.sequence = 0  # the last committed event's
        self.commits = Counter[str]()  # by outcome: ok, failed
        self.commit_seconds = 0.0  # spent on those that went well
        self.events = Counter[str]()  # since the start, by kind
        self.logins = Counter[tuple[str, str, str]]()  # issuer, outcome, reason

    async def load(self) -> Loaded:
        loaded = await self._store.load()
        self.sequence = loaded.sequence
        return loaded

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        began = self._clock.monotonic()
        try:
            await self._store.commit(writes, events)
        except StoreError:
            self.commits["failed"] += 1
            raise
        self.commits["ok"] += 1
        self.commit_seconds += self._clock.monotonic() - began
        if events:
            self._note(events)

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        return await self._store.events_after(sequence, limit=limit)

    async def forget_events(self, *, before: datetime) -> None:
        await self._store.forget_events(before=before)

    async def wait_beyond(self, sequence: int) -> None:
        """Return when an event after this one is on disk."""
        while self.sequence <= sequence:
            await self._more.wait()

    def _note(self, events: Sequence[Event]) -> None:
        for event in events:
            self.events[event.kind] += 1
            match event:
                case SessionOpened():
                    self.logins[event.issuer, "opened", ""] += 1
                case LoginRefused():
                    self.logins[event.issuer, "refused", event.reason] += event.count
                case _:
                    pass
        self.sequence = events[-1].sequence
        self._more.set()
        self._more = anyio.Event()


@dataclass(slots=True)
class IssuerWatch:
    """How calls to one issuer went, of logins, refreshes and trials alike."""

    clock: Clock
    last_success_at: datetime | None = None
    last_error: str = ""  # the class of the error
    last_error_at: datetime | None = None
    refreshes: Counter[str] = field(default_factory=Counter)  # ok refused throttled unavailable

    @contextmanager
    def call(self, *, is_call: bool = True) -> Iterator[None]:
        """Note how a call goes: a refusal is an answer too. What needed no call is no success."""
        try:
            yield
        except IssuerUnavailable as unavailable:
            self.last_error = type(unavailable).__name__
            self.last_error_at = self.clock.now()
            raise
        except (TokenRejected, RefreshRefused):
            self._succeeded(is_call)
            raise
        self._succeeded(is_call)

    def _succeeded(self, is_call: bool) -> None:
        if is_call:
            self.last_success_at = self.clock.now()


class WatchedVerifier:
    """A Verifier (sessiond.api) whose calls to the issuer are noted."""

    def __init__(self, verifier: Verifier, watch: IssuerWatch) -> None:
        self._verifier = verifier
        self._watch = watch

    @property
    def asks(self) -> bool:
        return self._verifier.asks

    def needs_issuer(self, token: Secret) -> bool:
        return self._verifier.needs_issuer(token)

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        with self._watch.call(is_call=self._verifier.needs_issuer(token)):
            return await self._verifier.verify(token, now=now, expires_in=expires_in)

    def vouches(self, verdict: Verdict) -> bool:
        return self._verifier.vouches(verdict)

    async def probe(self) -> None:
        with self._watch.call():
            await self._verifier.probe()


class WatchedSource:
    """A TokenSource (sessiond.refresher) whose refreshes are counted by their outcome."""

    def __init__(self, source: TokenSource, watch: IssuerWatch) -> None:
        self._source = source
        self._watch = watch

    async def refresh(self, token: Secret) -> Tokens:
        refreshes = self._watch.refreshes
        try:
            with self._watch.call():
                tokens = await self._source.refresh(token)
        except RefreshRefused:
            refreshes["refused"] += 1
            raise
        except IssuerThrottled:
            refreshes["throttled"] += 1
            raise
        except IssuerUnavailable:
            refreshes["unavailable"] += 1
            raise
        refreshes["ok"] += 1
        return tokens

    async def revoke(self, token: Secret) -> bool:
        with self._watch.call():
            return await self._source.revoke(token)
