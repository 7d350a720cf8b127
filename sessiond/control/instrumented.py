"""What operators ask about, noted as it happens by thin layers around the parts themselves."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from sessiond.api import Verifier
from sessiond.clock import Clock
from sessiond.core.errors import (
    ClientRefused,
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    StoreError,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.events import Event, LoginRefused, SessionOpened
from sessiond.core.rows import Write
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.gate.breaker import TRIES
from sessiond.log.redaction import harmless
from sessiond.metrics import Metrics
from sessiond.notifier import Notifier
from sessiond.refresher import Tokens, TokenSource
from sessiond.table import Loaded, Store

# By kind of call: who we are at the issuer then. Two registrations may be configured.
CLIENTS = {"verify": "login", "probe": "login", "refresh": "refresh", "revoke": "refresh"}

log = structlog.get_logger()


class InstrumentedStore:
    """A Store (sessiond.table) that counts what is committed, and knows what was last."""

    def __init__(self, store: Store, clock: Clock, metrics: Metrics | None = None) -> None:
        self._commit_took = (metrics or Metrics()).commit
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

    async def forget_events(self, *, before: datetime, up_to: int) -> None:
        await self._store.forget_events(before=before, up_to=up_to)

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
class IssuerHealth:
    """How calls to one issuer went: fetches, logins, refreshes and trials alike."""

    clock: Clock
    name: str = ""  # the issuer's, for the log
    last_success_at: datetime | None = None  # it answered, whatever it was
    last_error: str = ""  # why it did not, or was of no use; nothing of the answer
    last_error_at: datetime | None = None
    note_call: Callable[[str, float], object] = lambda kind, seconds: None
    refreshes: Counter[str] = field(default_factory=Counter)  # ok refused throttled unavailable
    _failures: int = 0  # calls in a row that have shown it to be sick
    _refused: dict[str, str] = field(default_factory=dict)  # why, by which client of ours
    _under_way: int = 0
    _idle: Notifier = field(default_factory=Notifier)  # a call ended as the last

    def successor(self) -> "IssuerHealth":
        """Return the watch of the same issuer, asked another way: it goes on counting."""
        return replace(self, _refused={}, _under_way=0, _idle=Notifier())

    async def over(self) -> None:
        """Return when no call is under way."""
        await self._idle.wait_for(lambda: not self._under_way)

    @property
    def trouble(self) -> str:
        """Why it, or our standing with it, is not well; empty: it is."""
        if self.last_success_at is None:
            return self.last_error or "it has not been asked yet"
        if self._failures >= TRIES:
            return self.last_error
        return next(iter(self._refused.values()), "")

    def heard(self, sick: IssuerUnavailable | None) -> None:
        """Note what a call has shown: why the issuer is sick, or None, that it answered."""
        if sick is None:
            self.last_success_at, self._failures = self.clock.now(), 0
        else:
            self._failures += 1
            self._failed(sick)

    @contextmanager
    def call(self, kind: str = "verify", *, is_call: bool = True) -> Iterator[None]:
        """Note how long a call took, and whether our client was refused."""
        began = self.clock.monotonic()
        self._under_way += 1
        try:
            yield
        except ClientRefused as refused:
            self._refuse(kind, str(refused))
            self._failed(refused)
            raise
        except IssuerUnavailable as unavailable:
            self._failed(unavailable)
            raise
        except (TokenRejected, RefreshRefused):
            self._accepted(kind, is_call)
            raise
        else:
            self._accepted(kind, is_call)
        finally:
            if is_call:
                self.note_call(kind, self.clock.monotonic() - began)
            self._under_way -= 1
            if not self._under_way:
                self._idle.notify()

    def _refuse(self, kind: str, why: str) -> None:
        client = CLIENTS[kind]
        if why != self._refused.get(client):  # once, not with every login
            log.error("client refused", issuer=self.name, client=client, error=why)
        self._refused[client] = why

    def _accepted(self, kind: str, is_call: bool) -> None:
        if is_call:
            self._refused.pop(CLIENTS[kind], None)

    def _failed(self, error: IssuerUnavailable) -> None:
        self.last_error, self.last_error_at = harmless(str(error)), self.clock.now()


class InstrumentedVerifier:
    """A Verifier (sessiond.api) whose calls to the issuer are noted, and its verdicts marked."""

    def __init__(
        self,
        verifier: Verifier,
        health: IssuerHealth,
        *,
        generation: int = 0,
        is_heard_here: bool = False,
    ) -> None:
        """Make one.

        Args:
            verifier: The issuer's.
            watch: What is told.
            generation: Tells the verdicts of one configuration from another's.
            is_heard_here: Whether nobody else hears what its calls show: a plugin's makes its own.
        """
        self._verifier = verifier
        self._health = health
        self._generation = generation
        self._is_heard_here = is_heard_here

    @property
    def is_online(self) -> bool:
        return self._verifier.is_online

    def needs_call(self, token: Secret) -> bool:
        return self._verifier.needs_call(token)

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        is_call = self._verifier.needs_call(token)
        with self._health.call("verify", is_call=is_call), self._hearing(is_call):
            verdict = await self._verifier.verify(token, now=now, expires_in=expires_in)
        return replace(verdict, generation=self._generation)

    def still_valid(self, verdict: Verdict) -> bool:
        return self._verifier.still_valid(verdict)

    async def probe(self) -> None:
        with self._health.call("probe"), self._hearing(True):
            await self._verifier.probe()

    @contextmanager
    def _hearing(self, is_call: bool) -> Iterator[None]:
        """Have the watch hear what a plugin's call shows."""
        if not (self._is_heard_here and is_call):
            yield
            return
        try:
            yield
        except (TokenRejected, UnusableAnswer):
            self._health.heard(None)
            raise
        except IssuerUnavailable as unavailable:
            self._health.heard(unavailable)
            raise
        else:
            self._health.heard(None)


class InstrumentedTokenSource:
    """A TokenSource (sessiond.refresher) whose refreshes are counted by their outcome."""

    def __init__(self, source: TokenSource, health: IssuerHealth) -> None:
        self._source = source
        self._health = health

    async def refresh(self, token: Secret) -> Tokens:
        refreshes = self._health.refreshes
        try:
            with self._health.call("refresh"):
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
        with self._health.call("revoke"):
            return await self._source.revoke(token)
