"""A browser, an issuer that it is sent to, and the room `web` between them on a real table."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from uuid import uuid4

import anyio

from sessiond.core.access import AccessRules
from sessiond.core.errors import IssuerUnavailable, SignInRefused, TokenRejected
from sessiond.core.grant import GrantId, TokenHash
from sessiond.core.password import Presented
from sessiond.core.queries import ListOwnSessions
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, ProcessKey
from sessiond.core.verdict import Verdict
from sessiond.gate import Issued, VerifiedLogin
from sessiond.refresher.refresh_issuer import Tokens
from sessiond.store.sealing import KeyRing, TokenHasher
from sessiond.web.answer import Answer
from sessiond.web.base import Base
from sessiond.web.needs import WebServices, WebSettings
from sessiond.web.request import Request
from sessiond.web.web import Web
from sessiond.web.web_client import AuthorizationRequest, Redeemed, WebClient
from tests.fakes import (
    FakeClock,
    MemoryStore,
    Settings,
    principal,
    process_about,
    process_key,
    verdict,
)
from tests.unit.table.running_table import RunningTable, running_table

TLS = Base("https://gateway.example:5007")
OTHER = Base("https://gateway.example:5008")  # another port of the same host
FAR = Base("https://other.example:5007")
PLAIN = Base("http://127.0.0.1:5009")
BASES = (TLS, OTHER, FAR, PLAIN)
PAGE = "text/html,*/*;q=0.8"
DEADLINE = 2.0  # seconds


@dataclass
class IssuerPages:
    """Fulfils WebClient, and is what a person sees of the issuer: a person signs in with a name."""

    issuer: str = "corp"
    client_id: str = "kdb-web"
    iss: str = "https://login.example.com/"
    states_iss: bool = False  # authorization_response_iss_parameter_supported
    end_session: str = ""
    asked: dict[str, AuthorizationRequest] = field(default_factory=dict)  # by state
    codes: dict[str, tuple[AuthorizationRequest, str]] = field(default_factory=dict)
    spent: list[str] = field(default_factory=list)
    given_back: list[Secret | None] = field(default_factory=list)
    held: anyio.Event | None = None  # a code is redeemed when it is set
    refuses: Exception | None = None  # what redeeming ends in
    is_away: bool = False
    hangs: bool = False  # its metadata are never there
    metadata: anyio.Event = field(default_factory=anyio.Event)  # answers are judged once it is set
    has_refresh: bool = True
    id_token_of: str | None = None  # whose the ID token is; None: whoever signed in

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        await self._read_metadata()
        self.asked[request.state] = request
        return f"{self.iss}authorize?{urlencode({'state': request.state, 'x': 'a b'})}"

    def signs_in(self, location: str, name: str = "alice", **more: str) -> str:
        """Return the target of the callback that a person who signed in is sent to."""
        state = parse_qs(urlsplit(location).query)["state"][0]
        code = secrets.token_urlsafe(24)
        self.codes[code] = self.asked[state], name
        iss = {"iss": self.iss} if self.states_iss else {}
        return callback(code=code, state=state, **(iss | more))

    async def redeem(
        self, *, code: str, redirect_uri: str, verifier: Secret, nonce: str
    ) -> Redeemed:
        self.spent.append(code)
        if self.held is not None:
            await self.held.wait()
        if self.refuses is not None:
            raise self.refuses
        if code not in self.codes:
            raise SignInRefused("invalid_grant")
        asked, name = self.codes.pop(code)
        if asked.redirect_uri != redirect_uri or not asked.verifier.same_as(verifier):
            raise SignInRefused("invalid_grant")
        assert asked.nonce == nonce
        tokens = Tokens(
            access_token=Secret(f"access-of-{name}-{code}"),
            refresh_token=Secret(f"refresh-of-{name}-{code}") if self.has_refresh else None,
            expires_in=3600.0,
        )
        return Redeemed(tokens=tokens, subject=f"subject of {self.id_token_of or name}")

    async def give_back(self, tokens: Tokens) -> None:
        self.given_back.append(tokens.refresh_token)

    async def iss_fault(self, iss: str | None) -> str:
        await self.metadata.wait()
        await self._read_metadata()
        if iss == self.iss or (iss is None and not self.states_iss):
            return ""
        return "iss is another, wanted its own: sign in again"

    async def end_session_url(self, post_logout_redirect_uri: str) -> str:
        await self._read_metadata()
        back = quote(post_logout_redirect_uri, safe="")
        return f"{self.end_session}?post_logout_redirect_uri={back}" if self.end_session else ""

    async def _read_metadata(self) -> None:
        if self.hangs:
            await anyio.sleep_forever()
        if self.is_away:
            raise IssuerUnavailable("away, wanted it: wait")


def callback(**parameters: str) -> str:
    return f"/.sessiond/callback?{urlencode(parameters)}"


@dataclass
class TrustingGate:
    """Fulfils the gate: a token is whose its text says."""

    clock: FakeClock
    asked: list[Issued] = field(default_factory=list)
    rejects: TokenRejected | IssuerUnavailable | None = None
    says: Callable[[str], Verdict] | None = None

    def read_bearer(self, token: str) -> Presented:
        return Presented(Secret(token), None)

    async def admit(
        self, *, user: None, password: Presented, owner: ProcessKey, issued: Issued
    ) -> VerifiedLogin:
        self.asked.append(issued)
        if self.rejects is not None:
            raise self.rejects
        name = password.access.reveal().split("-")[2]
        whose = principal(name, issuer=issued.issuer)
        says = self.says(name) if self.says else verdict(whose, begin=self.clock.now())
        return VerifiedLogin(says, password, issued.client)


@dataclass
class NotedRefresher:
    """Fulfils the refresher: notes what it is to ask about again."""

    held: list[tuple[GrantId, str, str]] = field(default_factory=list)
    kept: list[tuple[GrantId, str, datetime]] = field(default_factory=list)

    def keep_access(self, grant: GrantId, access: Secret, *, until: datetime) -> None:
        self.kept.append((grant, access.reveal(), until))

    def hold(self, grant: GrantId, *, issuer: str, access: Secret) -> None:
        self.held.append((grant, issuer, access.reveal()))


@dataclass
class Surfing:
    """All of it, at work."""

    clock: FakeClock
    issuer: IssuerPages
    gate: TrustingGate
    refresher: NotedRefresher
    table: RunningTable
    settings: Settings[WebSettings]
    services: WebServices
    web: Web

    def browser(self, base: Base = TLS, *, pid: int = 100) -> "Browser":
        return Browser(self, base, pid)

    async def sessions(self, pid: int = 100) -> list[ActiveSession]:
        return await self.table.ask(ListOwnSessions(process=process_key(pid)))

    def use_issuers(self, *issuers: IssuerPages) -> None:
        self.configure(clients={each.issuer: each for each in issuers})

    def configure(
        self,
        *,
        clients: dict[str, IssuerPages] | None = None,
        bases: tuple[Base, ...] = BASES,
        access: AccessRules | None = None,
    ) -> None:
        now = self.settings.now
        used: dict[str, WebClient] = dict(now.clients if clients is None else clients)
        self.settings.now = WebSettings(
            bases=bases, clients=used, idle=now.idle, access=access or now.access
        )


@dataclass
class Browser:
    """One person's browser: it keeps cookies by host, as all do, whatever the port."""

    surfing: Surfing
    base: Base
    pid: int
    jar: dict[str, dict[str, str]] = field(default_factory=dict)  # by host
    patience: float = DEADLINE  # of its process, in seconds

    async def get(self, target: str = "/", **headers: str) -> Answer:
        """Send a request as the hook tells of it, and do what the answer says of cookies."""
        host = self.base.url.partition("://")[2]
        sent = {"accept": PAGE, "host": host, "cookie": self.cookie} | headers
        request = Request(
            target=target,
            **sent,  # type: ignore[arg-type]
            process=process_key(self.pid),
            about=process_about(self.pid),
        )
        deadline = self.surfing.clock.monotonic() + self.patience
        answer = await self.surfing.web.answer(request, deadline=deadline)
        self._keep(answer)
        return answer

    @property
    def cookies(self) -> dict[str, str]:
        return self.jar.setdefault(urlsplit(self.base.url).hostname or "", {})

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def at(self, base: Base, *, pid: int | None = None) -> "Browser":
        """Return the same browser at another base, of another process if need be."""
        return Browser(self.surfing, base, self.pid if pid is None else pid, self.jar)

    async def sign_in(
        self, name: str = "alice", target: str = "/", *, issuer: IssuerPages | None = None
    ) -> Answer:
        """Go through a whole sign-in; return what the callback answers."""
        begun = await self.get(target)
        issuer = issuer or self.surfing.issuer
        return await self.get(issuer.signs_in(location(begun), name), site="cross-site")

    def _keep(self, answer: Answer) -> None:
        for line in answer.headers.split("\r\n"):
            if line.startswith("Set-Cookie: "):
                cookie, *attributes = line.removeprefix("Set-Cookie: ").split("; ")
                name, _, value = cookie.partition("=")
                if "Max-Age=0" in attributes:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = value


def header(answer: Answer, name: str) -> str:
    """Return the one value of a header."""
    (value,) = headers(answer, name)
    return value


def headers(answer: Answer, name: str) -> list[str]:
    found = [line.partition(": ") for line in answer.headers.split("\r\n")]
    return [value for each, _, value in found if each == name]


def location(answer: Answer) -> str:
    assert (answer.action, answer.status) == ("redirect", 302), answer
    return header(answer, "Location")


async def while_time_passes(
    surfing: Surfing, work: Callable[[], Awaitable[Answer]], *, seconds: float
) -> Answer:
    """Return what work comes to while the clock is moved."""
    answers = list[Answer]()

    async def run() -> None:
        answers.append(await work())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await surfing.clock.settle()
        await surfing.clock.advance(seconds)
    return answers[0]


@asynccontextmanager
async def surfing(clock: FakeClock) -> AsyncIterator[Surfing]:
    """Run the room until the block ends."""
    issuer, gate, refresher = IssuerPages(), TrustingGate(clock), NotedRefresher()
    issuer.metadata.set()
    settings = Settings(WebSettings(bases=BASES, clients={"corp": issuer}))
    hasher, ring = TokenHasher(bytes(range(32))), KeyRing({1: bytes(range(32))})
    async with running_table(MemoryStore(), clock) as table:
        services = WebServices(
            settings=settings,
            table=table.table,
            gate=gate,
            refresher=refresher,
            clock=clock,
            sealing=lambda: ring,
            hashed=hasher.token_hash,
            draw=secrets.SystemRandom().random,
            new_id=uuid4,
            random=partial(secrets.token_urlsafe, 32),
            containment=table.containment,
        )
        web = Web(services)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(web.run)
            await clock.settle()
            yield Surfing(clock, issuer, gate, refresher, table, settings, services, web)
            tasks.cancel_scope.cancel()


def hashed(text: str) -> TokenHash:
    """Return the hash that the room of `surfing` keeps a token by."""
    return TokenHasher(bytes(range(32))).token_hash(Secret(text))
