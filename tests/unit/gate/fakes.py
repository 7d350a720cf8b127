"""What the gate's tests steer: a verifier told what to say, and a gate at work."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import anyio

from sessiond.api import Verifier
from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.rows import Put, Row
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey, SessionId
from sessiond.core.verdict import Verdict
from sessiond.gate import (
    Breaker,
    FairLimiter,
    Gate,
    GateIssuer,
    GateSettings,
    IssuerRoute,
    RolesBeside,
    VerifiedLogin,
)
from sessiond.table import Committed
from tests.fakes import Settings, idle, process_key, verdict

ISSUER = "https://login.example.com/"
SLOW_AFTER = 1.0  # seconds

Said = Verdict | Exception


def opaque(name: str = "opaque") -> str:
    """Return a password that is a token for certain, and no JWT."""
    return f"bearer:{name}"


def jwt(iss: object = ISSUER, **claims: object) -> str:
    """Return a password that is a JWT, signed by nobody."""

    def part(content: Mapping[str, object]) -> str:
        text = json.dumps(content, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'iss': iss, **claims})}.c2ln"


@dataclass
class ScriptedVerifier:
    """Fulfils `sessiond.api.Verifier`: says what it was told, of one token or of all.

    And `sessiond.gate.ReadyVerifier`: it says so at once, where it need not call the issuer.
    """

    is_online: bool = True
    says: Said = field(default_factory=verdict)
    of: dict[str, Said] = field(default_factory=dict)  # by token, before `says`
    needs: bool = True  # to call the issuer
    probe_says: Exception | None = None
    asked: list[str] = field(default_factory=list)  # tokens, in the order of the calls
    withdrawn: set[str] = field(default_factory=set)  # key ids
    probes: int = 0
    cancelled: int = 0
    held: anyio.Event | None = None
    on_call: Callable[[], None] = lambda: None

    def needs_call(self, token: Secret) -> bool:
        return self.is_online or self.needs

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        said = self._said(token)
        if self.held is not None:
            try:
                await self.held.wait()
            except anyio.get_cancelled_exc_class():
                self.cancelled += 1
                raise
        return _told(said)

    def verify_now(
        self, token: Secret, *, now: datetime, generation: int, expires_in: float | None = None
    ) -> Verdict | None:
        if self.needs_call(token):
            return None
        return replace(_told(self._said(token)), generation=generation)

    def _said(self, token: Secret) -> Said:
        self.asked.append(token.reveal())
        self.on_call()
        return self.of.get(token.reveal(), self.says)

    def still_valid(self, verdict: Verdict) -> bool:
        return verdict.key_id not in self.withdrawn

    async def probe(self) -> None:
        self.probes += 1
        if self.probe_says is not None:
            raise self.probe_says

    def hold(self) -> anyio.Event:
        """Let every call from now on wait until the event is set."""
        self.held = anyio.Event()
        return self.held


class PlainVerifier:
    """Fulfils `sessiond.api.Verifier` and no more, as a plugin's, with a scripted one's words."""

    def __init__(self, scripted: ScriptedVerifier) -> None:
        self.is_online = scripted.is_online
        self.needs_call = scripted.needs_call
        self.verify = scripted.verify
        self.still_valid = scripted.still_valid
        self.probe = scripted.probe


def _told(said: Said) -> Verdict:
    if isinstance(said, Verdict):
        return said
    raise said


def gate_issuer(
    verifier: Verifier,
    clock: Clock,
    *,
    name: str = "corp",
    stated: frozenset[str] = frozenset({ISSUER}),
    users: tuple[str, ...] = (),
    cache_for: float = 30.0,
    places: int = 64,
    roles: RolesBeside | None = None,
) -> GateIssuer:
    return GateIssuer(
        route=IssuerRoute(name=name, stated=stated, users=users),
        verifier=verifier,
        roles=roles,
        client="qstudio",
        cache_for=cache_for,
        limiter=FairLimiter(places),
        breaker=Breaker(clock, slow_after=lambda: SLOW_AFTER, doubts=True),
    )


@dataclass
class GateAtWork:
    """A running gate, and what it is asked by."""

    gate: Gate
    settings: Settings[GateSettings]

    async def admit(
        self,
        user: str = "alice",
        password: str = opaque(),
        owner: ProcessKey | None = None,
        renews: SessionId | None = None,
    ) -> VerifiedLogin:
        return await self.gate.admit(
            user=user, password=password, owner=owner or process_key(), renews=renews
        )

    async def said(
        self,
        user: str = "alice",
        password: str = opaque(),
        owner: ProcessKey | None = None,
        renews: SessionId | None = None,
    ) -> str:
        """Return the admitted name, or the reason of the refusal."""
        try:
            return (await self.admit(user, password, owner, renews)).verdict.principal.name
        except TokenRejected as rejected:
            return rejected.reason.value
        except IssuerUnavailable:
            return Refusal.UNAVAILABLE.value

    def change(self, *issuers: GateIssuer, waiting: int = 4) -> None:
        """Do what a reload does."""
        self.settings.now = GateSettings(issuers=issuers, waiting=waiting)
        self.gate.change_issuers()

    async def commits(self, row: Row) -> None:
        self.gate.take(Committed([Put(row)], []))


def gate_settings(*issuers: GateIssuer, waiting: int = 4) -> Settings[GateSettings]:
    return Settings(GateSettings(issuers=issuers, waiting=waiting))


@asynccontextmanager
async def at_work(
    *gate_issuers: GateIssuer,
    clock: Clock,
    waiting: int = 4,
    containment: Containment | None = None,
) -> AsyncIterator[GateAtWork]:
    settings = gate_settings(*gate_issuers, waiting=waiting)
    gate = Gate(settings, clock=clock, containment=containment)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gate.run)
        await idle()
        try:
            yield GateAtWork(gate, settings)
        finally:
            tasks.cancel_scope.cancel()
