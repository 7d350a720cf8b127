"""What operators ask about, noted as it happens by thin layers around the parts themselves."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
from sessiond.edge.measures import Measures
from sessiond.refresher import Tokens, TokenSource
from sessiond.table import Loaded, Store


class WatchedStore:
    """A Store (sessiond.table) that counts what is committed, and knows what was last."""

    def __init__(self, store: Store, clock: Clock, measures: Measures | None = None) -> None:
        self._commit_took = (measures or Measures()).commit
        self._store = store
        self._clock = clock
        self.sequence = 0  # the last committed event's
        self.commits = Counter[str]()  # by outcome: ok, failed
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
        self._commit_took.observe(self._clock.monotonic() - began)
        if events:
            self._note(events)

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        return await self._store.events_after(sequence, limit=limit)

    async def forget_events(self, *, before: datetime) -> None:
        await self._store.forget_events(before=before)

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


@dataclass(slots=True)
class IssuerWatch:
    """How calls to one issuer went, of logins, refreshes and trials alike."""

    clock: Clock
    last_success_at: datetime | None = None
    last_error: str = ""  # the class of the error
    last_error_at: datetime | None = None
    note_call: Callable[[str, float], object] = lambda kind, seconds: None
    refreshes: Counter[str] = field(default_factory=Counter)  # ok refused throttled unavailable
    _under_way: int = 0
    _idle: anyio.Event = field(default_factory=anyio.Event)  # set when a call ended as the last

    def successor(self) -> "IssuerWatch":
        """Return the watch of the same issuer, asked another way: it goes on counting."""
        return replace(self, _under_way=0, _idle=anyio.Event())

    async def over(self) -> None:
        """Return when no call is under way."""
        while self._under_way:
            self._idle = anyio.Event()
            await self._idle.wait()

    @contextmanager
    def call(self, kind: str = "verify", *, is_call: bool = True) -> Iterator[None]:
        """Note how a call goes: a refusal is an answer too. What needed no call is no success."""
        began = self.clock.monotonic()
        self._under_way += 1
        try:
            yield
        except IssuerUnavailable as unavailable:
            self.last_error = type(unavailable).__name__
            self.last_error_at = self.clock.now()
            raise
        except (TokenRejected, RefreshRefused):
            self._succeeded(is_call)
            raise
        finally:
            if is_call:
                self.note_call(kind, self.clock.monotonic() - began)
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        self._succeeded(is_call)

    def _succeeded(self, is_call: bool) -> None:
        if is_call:
            self.last_success_at = self.clock.now()


class WatchedVerifier:
    """A Verifier (sessiond.api) whose calls to the issuer are noted, and its verdicts marked."""

    def __init__(self, verifier: Verifier, watch: IssuerWatch, *, generation: int = 0) -> None:
        """Make one; `generation` tells the verdicts of one configuration from another's."""
        self._verifier = verifier
        self._watch = watch
        self._generation = generation

    @property
    def asks(self) -> bool:
        return self._verifier.asks

    def needs_issuer(self, token: Secret) -> bool:
        return self._verifier.needs_issuer(token)

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        with self._watch.call("verify", is_call=self._verifier.needs_issuer(token)):
            verdict = await self._verifier.verify(token, now=now, expires_in=expires_in)
        return replace(verdict, generation=self._generation)

    def vouches(self, verdict: Verdict) -> bool:
        return self._verifier.vouches(verdict)

    async def probe(self) -> None:
        with self._watch.call("probe"):
            await self._verifier.probe()


class WatchedSource:
    """A TokenSource (sessiond.refresher) whose refreshes are counted by their outcome."""

    def __init__(self, source: TokenSource, watch: IssuerWatch) -> None:
        self._source = source
        self._watch = watch

    async def refresh(self, token: Secret) -> Tokens:
        refreshes = self._watch.refreshes
        try:
            with self._watch.call("refresh"):
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
        with self._watch.call("revoke"):
            return await self._source.revoke(token)
