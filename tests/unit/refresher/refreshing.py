"""What the refresher's tests steer: an issuer's token endpoint, and a refresher at work."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import uuid4

import anyio

from sessiond.core.access import Denied
from sessiond.core.changes import Close, Reconcile, Revoke, Taken
from sessiond.core.decide import Rules
from sessiond.core.errors import IssuerUnavailable, RefreshRefused
from sessiond.core.events import Event
from sessiond.core.grant import Grant, TokenHash
from sessiond.core.queries import ListOwnSessions
from sessiond.core.revocation import Scope
from sessiond.core.rows import Put, Write
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession
from sessiond.core.verdict import Verdict
from sessiond.gate import FairLimiter
from sessiond.refresher import Refresher, RefreshIssuer, RefreshSettings, Tokens
from sessiond.table import Table, TableSettings
from tests.fakes import (
    RULES,
    START,
    FakeClock,
    MemoryStore,
    Settings,
    bind,
    grant_id,
    idle,
    login,
    presented,
    process_about,
    process_key,
    session_id,
    table_settings,
    token_hash,
    verdict,
)
from tests.unit.gate.fakes import ScriptedVerifier
from tests.unit.tripwire import TrippedTokens, TrippedVerifier, Tripwire

TEN_MINUTES = timedelta(minutes=10)  # a lease: due after six
Answer = Tokens | RefreshRefused | IssuerUnavailable


def hashed(token: Secret) -> TokenHash:
    return token_hash(token.reveal())


def tokens(number: int, *, rotates: bool = True, expires_in: float | None = None) -> Tokens:
    """Return what a token endpoint gives: `access1` and `refresh1`, and so on."""
    return Tokens(
        access_token=Secret(f"access{number}"),
        refresh_token=Secret(f"refresh{number}") if rotates else None,
        expires_in=expires_in,
    )


@dataclass
class ScriptedTokens:
    """Fulfils `sessiond.refresher.TokenSource`: gives what it was told, else the next tokens."""

    clock: FakeClock
    journal: list[str]
    next: list[Answer] = field(default_factory=list)  # before any others
    otherwise: Answer | None = None  # None: new tokens each time
    sent: list[tuple[float, str]] = field(default_factory=list)  # seconds from START, token
    revoked: list[str] = field(default_factory=list)
    revoke_says: bool | IssuerUnavailable = True
    held: anyio.Event | None = None
    under_way: int = 0
    at_most: int = 0  # were under way at a time

    async def refresh(self, token: Secret) -> Tokens:
        self.journal.append(f"sent {token.reveal()}")
        self.sent.append(((self.clock.now() - START).total_seconds(), token.reveal()))
        said = self.next.pop(0) if self.next else self.otherwise or tokens(len(self.sent))
        self.under_way += 1
        self.at_most = max(self.at_most, self.under_way)
        if self.held is not None:
            await self.held.wait()
        self.under_way -= 1
        if isinstance(said, Tokens):
            return said
        raise said

    async def revoke(self, token: Secret) -> bool:
        self.revoked.append(token.reveal())
        if isinstance(self.revoke_says, IssuerUnavailable):
            raise self.revoke_says
        return self.revoke_says

    def hold(self) -> anyio.Event:
        """Let every call from now on wait until the event is set."""
        self.held = anyio.Event()
        return self.held


@dataclass
class FreshVerifier(ScriptedVerifier):
    """Accepts each token from the moment it is asked, for `length`."""

    length: timedelta = TEN_MINUTES
    journal: list[str] = field(default_factory=list)
    stated: list[float | None] = field(default_factory=list)  # the `expires_in` it was told

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        self.journal.append(f"verified {token.reveal()}")
        self.stated.append(expires_in)
        return self._fresh(await super().verify(token, now=now, expires_in=expires_in), now)

    def verify_now(
        self, token: Secret, *, now: datetime, generation: int, expires_in: float | None = None
    ) -> Verdict | None:
        said = super().verify_now(token, now=now, generation=generation, expires_in=expires_in)
        return None if said is None else self._fresh(said, now)

    def _fresh(self, said: Verdict, now: datetime) -> Verdict:
        fresh = verdict(begin=now, length=self.length)
        return replace(said, lease=fresh.lease, stated_iat=now)


class JournalStore(MemoryStore):
    """Writes down what becomes of grants, in the order in which it is committed."""

    def __init__(self, journal: list[str]) -> None:
        super().__init__()
        self._journal = journal

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        await super().commit(writes, events)
        for write in writes:
            if isinstance(write, Put) and isinstance(write.row, Grant):
                in_flight = write.row.in_flight_since is not None
                kept = self.refresh_tokens.get(write.row.id)
                self._journal.append(
                    "in flight" if in_flight else f"holds {kept.reveal() if kept else None}"
                )


@dataclass
class Work:
    """A table and a refresher at work on one issuer, `corp`."""

    clock: FakeClock
    store: MemoryStore
    table: Table
    refresher: Refresher
    source: ScriptedTokens
    verifier: FreshVerifier
    journal: list[str]
    rules: Settings[TableSettings]
    settings: Settings[RefreshSettings]

    @property
    def asked_at(self) -> list[float]:
        """When refresh tokens were sent: minutes from START."""
        return [at / 60 for at, _ in self.source.sent]

    @property
    def sent(self) -> list[str]:
        return [token for _, token in self.source.sent]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Kind and reason of every event but the logins' own."""
        told = [(event.kind, getattr(event, "reason", "")) for event in self.store.events]
        return [each for each in told if each[0] != "session.opened"]

    async def log_in(
        self,
        number: int = 1,
        *,
        access: str = "access0",
        refresh: str | None = "refresh0",
        length: timedelta = TEN_MINUTES,
    ) -> ActiveSession | Denied:
        """Log a user in with these tokens, on a handle of the same number."""
        says = verdict(begin=self.clock.now(), length=length)
        active = await self.table.ask(login(number, presented(access, refresh, says=says)))
        if isinstance(active, ActiveSession):
            await self.table.ask(bind(number))
        return active

    async def leave(self, number: int = 1) -> None:
        """Have the user on this handle leave."""
        await self.table.ask(Close(process=process_key(), handle=number))

    async def come_back(self, *numbers: int) -> None:
        """Have the process come back with the sessions of these numbers."""
        held = tuple((number, session_id(number)) for number in numbers)
        doomed = await self.table.ask(
            Reconcile(process=process_key(), about=process_about(), held=held)
        )
        assert doomed == []

    async def revoke(self, user: str = "alice") -> Taken:
        """Revoke by user, lastingly."""
        revoke = Revoke(id=uuid4(), scope=Scope.USER, value=user, reason="left")
        return await self.table.ask(revoke)

    async def prove(self, number: int = 1) -> None:
        """Have the grant of that number proved, for the process that all sessions are of."""
        (grant,) = (each for each in self.table.grants() if each.id == grant_id(number))
        await self.refresher.prove(grant, process=process_key())

    def use(self, issuers: Mapping[str, RefreshIssuer], *, recheck: float = 0.0) -> None:
        """Do what a reload does."""
        self.settings.now = RefreshSettings(issuers=issuers, recheck=recheck)

    def decide_by(self, rules: Rules) -> None:
        self.rules.now = replace(self.rules.now, rules=rules)

    async def live(self) -> list[ActiveSession]:
        return await self.table.ask(ListOwnSessions(process=process_key()))

    async def minutes(self, number: float) -> None:
        await self.clock.advance(timedelta(minutes=number))


@asynccontextmanager
async def at_work(
    clock: FakeClock,
    *,
    store: MemoryStore | None = None,
    draw: float = 0.5,
    recheck: float = 0.0,
    concurrency: int = 16,
    is_online: bool = True,
    answers: Sequence[Answer] = (),
    wire: Tripwire | None = None,
    by: Rules = RULES,
) -> AsyncIterator[Work]:
    """Run both until the end of the block; a store that is used again is a restart."""
    journal: list[str] = []
    store = store or JournalStore(journal)
    rules = table_settings(by)
    table = Table(store, clock, rules)
    source = ScriptedTokens(clock, journal, list(answers))
    verifier = FreshVerifier(is_online=is_online, needs=is_online, journal=journal)
    refresh_issuer = RefreshIssuer(
        iss="corp",
        admits=lambda _: True,
        sources={"qstudio": source if wire is None else TrippedTokens(source, wire)},
        verifier=verifier if wire is None else TrippedVerifier(verifier, wire),
        limiter=anyio.CapacityLimiter(concurrency),
        unproved=FairLimiter(concurrency),
    )
    settings = Settings(RefreshSettings(issuers={"corp": refresh_issuer}, recheck=recheck))
    refresher = Refresher(
        settings,
        table,
        clock=clock,
        hashed=hashed,
        draw=lambda: draw,
    )
    table.attend(refresher.take)
    await table.load()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(refresher.run)
        tasks.start_soon(table.run)
        for grant in table.resume():
            refresher.follow(grant)
        await idle()
        try:
            yield Work(clock, store, table, refresher, source, verifier, journal, rules, settings)
        finally:
            table.close()
            tasks.cancel_scope.cancel()
