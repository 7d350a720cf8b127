"""What operators measure, noted as it happens by thin layers around the parts themselves."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sessiond.api import Verifier
from sessiond.clock import Clock
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    StoreError,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.events import Event, LoginRefused, SessionOpened
from sessiond.core.grant import GrantId
from sessiond.core.rows import SecretRow, Write
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.gate import ReadyVerifier
from sessiond.issuers.health import IssuerHealth
from sessiond.metrics import Metrics
from sessiond.refresher import Tokens, TokenSource
from sessiond.table import Loaded, Store
from sessiond.web.web_client import AuthorizationRequest, Redeemed, WebClient


class InstrumentedStore:
    """A Store (sessiond.table) that counts what is committed."""

    def __init__(self, store: Store, clock: Clock, metrics: Metrics | None = None) -> None:
        self._commit_took = (metrics or Metrics()).commit
        self._store = store
        self._clock = clock
        self.commits = Counter[str]()  # by outcome: ok, failed
        self.events = Counter[str]()  # since the start, by kind
        self.logins = Counter[tuple[str, str, str]]()  # issuer, outcome, reason

    async def load(self) -> Loaded:
        return await self._store.load()

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        began = self._clock.monotonic()
        try:
            await self._store.commit(writes, events)
        except StoreError:
            self.commits["failed"] += 1
            raise
        self.commits["ok"] += 1
        self._commit_took.observe(self._clock.monotonic() - began)
        self._note(events)

    async def refresh_token(self, grant: GrantId) -> Secret | None:
        return await self._store.refresh_token(grant)

    async def secret(self, row: SecretRow) -> Secret | None:
        return await self._store.secret(row)

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


class InstrumentedVerifier:
    """A Verifier (sessiond.api) whose calls to the issuer are noted."""

    def __init__(
        self, verifier: Verifier, health: IssuerHealth, *, is_heard_here: bool = False
    ) -> None:
        """Make one.

        Args:
            verifier: The issuer's.
            health: What is told.
            is_heard_here: Whether nobody else hears what its calls show: a plugin's makes its own.
        """
        self._verifier = verifier
        self._ready = verifier if isinstance(verifier, ReadyVerifier) else None
        self._health = health
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
            return await self._verifier.verify(token, now=now, expires_in=expires_in)

    def verify_now(
        self, token: Secret, *, now: datetime, generation: int, expires_in: float | None = None
    ) -> Verdict | None:
        """Say what a verifier says that asks nobody for it, of which nothing is to be noted."""
        if self._ready is None:
            return None
        return self._ready.verify_now(token, now=now, generation=generation, expires_in=expires_in)

    def still_valid(self, verdict: Verdict) -> bool:
        return self._verifier.still_valid(verdict)

    async def probe(self) -> None:
        with self._health.call("probe"), self._hearing(True):
            await self._verifier.probe()

    @contextmanager
    def _hearing(self, is_call: bool) -> Iterator[None]:
        """Have it heard what a plugin's call shows."""
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

    def __init__(
        self, source: TokenSource, health: IssuerHealth, *, client: str = "refresh"
    ) -> None:
        """Make one.

        Args:
            source: The issuer's.
            health: What is told.
            client: Who we are there, as `sessiond.issuers.health` calls it.
        """
        self._source = source
        self._health = health
        self._client = client

    async def refresh(self, token: Secret) -> Tokens:
        refreshes = self._health.refreshes
        try:
            with self._health.call("refresh", client=self._client):
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
        with self._health.call("revoke", client=self._client):
            return await self._source.revoke(token)


class InstrumentedWebClient:
    """A WebClient (sessiond.web) whose calls are noted, and over before its issuer is closed."""

    def __init__(self, client: WebClient, health: IssuerHealth) -> None:
        self._client = client
        self._health = health

    @property
    def issuer(self) -> str:
        return self._client.issuer

    @property
    def client_id(self) -> str:
        return self._client.client_id

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        with self._health.call("redeem", is_call=False):
            return await self._client.authorization_url(request)

    async def redeem(
        self, *, code: str, redirect_uri: str, verifier: Secret, nonce: str
    ) -> Redeemed:
        with self._health.call("redeem"):
            return await self._client.redeem(
                code=code, redirect_uri=redirect_uri, verifier=verifier, nonce=nonce
            )

    async def give_back(self, tokens: Tokens) -> None:
        with self._health.call("revoke", client="web"):
            await self._client.give_back(tokens)

    async def iss_fault(self, iss: str | None) -> str:
        with self._health.call("redeem", is_call=False):
            return await self._client.iss_fault(iss)

    async def end_session_url(self, post_logout_redirect_uri: str) -> str:
        with self._health.call("redeem", is_call=False):
            return await self._client.end_session_url(post_logout_redirect_uri)
