"""Takes a typed name and a password, gives back who it is or why not."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, assert_never

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from sessiond.api import Verifier
from sessiond.bus import Committed
from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.errors import (
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.password import Presented, read_password
from sessiond.core.principal import folded, is_name, same_name
from sessiond.core.revocation import Revocation
from sessiond.core.rows import Put
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey, SessionId
from sessiond.core.verdict import Verdict
from sessiond.gate.breaker import Breaker
from sessiond.gate.cache import Key, VerdictCache
from sessiond.gate.fair import FairLimiter
from sessiond.gate.route import IssuerRoute, find_issuer
from sessiond.gate.timings import LoginTimings

MAX_VERDICTS = 100_000
MAX_REFUSALS = 10_000
REFUSAL_KEPT = 2.0  # seconds: kdb+ tries a refused handshake twice

Outcome = Verdict | TokenRejected | IssuerUnavailable


class RolesBeside(Protocol):
    """Adds to a verdict what its token does not bring. No fault of the issuer's is its fault."""

    async def completed(self, verdict: Verdict, *, now: datetime) -> Verdict:
        """Return the verdict with all roles.

        Raises:
            TokenRejected: Final for this user.
            IssuerUnavailable: No verdict now.
        """
        ...

    def stand_in(self, verdict: Verdict) -> bool:
        """Say whether the roles in an earlier verdict still count."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GateIssuer:
    """One issuer at the gate."""

    route: IssuerRoute
    verifier: Verifier
    roles: RolesBeside | None = None  # asked once the token is verified
    client: str  # the client that refresh tokens of this issuer are bound to
    cache_for: float  # seconds an accepted verdict may be used again; 0 = never
    limiter: FairLimiter  # calls to the issuer at a time
    breaker: Breaker
    generation: int = 0  # of the issuer's configuration; its verdicts carry it

    def still_valid(self, verdict: Verdict) -> bool:
        """Say whether an earlier verdict still stands, with all that is in it."""
        stands = self.roles is None or self.roles.stand_in(verdict)
        return stands and self.verifier.still_valid(verdict)


@dataclass(frozen=True, slots=True)
class Admission:
    """An accepted login: what was verified, and the tokens it came with."""

    verdict: Verdict
    presented: Presented
    client: str


@dataclass(frozen=True, slots=True)
class _Asker:
    """On whose account an issuer is asked: a process's logins, or the renewal of one session."""

    owner: ProcessKey
    renews: SessionId | None

    @property
    def turn(self) -> tuple[ProcessKey, bool]:
        """Whose turn at the issuer it takes: renewals hold up no login of the same process."""
        return self.owner, self.renews is not None


class _Flight:
    """One verification under way, for all who wait for it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._landed = anyio.Event()
        self._outcome: Outcome = IssuerUnavailable("sessiond is stopping")
        self._launched_at = monotonic()
        self._asked_at: float | None = None
        self._landed_at: float | None = None

    def ask(self) -> None:
        """Note that its turn has come, and the issuer is asked."""
        self._asked_at = self._monotonic()

    def land(self, outcome: Outcome) -> None:
        self._landed_at = self._monotonic()
        self._outcome = outcome
        self._landed.set()

    def account(self, timings: LoginTimings) -> None:
        """Say what the time went to, so far where it is still under way."""
        end = self._monotonic() if self._landed_at is None else self._landed_at
        if self._asked_at is None:
            timings.queued = end - self._launched_at
        else:
            timings.queued = self._asked_at - self._launched_at
            timings.called = end - self._asked_at

    async def outcome(self) -> Outcome:
        await self._landed.wait()
        return self._outcome


class Gate:
    """Routes a token to its issuer, asks once for all who bring it, remembers for a while."""

    def __init__(
        self,
        gate_issuers: Sequence[GateIssuer],
        *,
        news: MemoryObjectReceiveStream[Committed],
        clock: Clock,
        waiting: int,
        containment: Containment | None = None,
    ) -> None:
        """Make a gate.

        Args:
            gate_issuers: Those at the gate.
            news: What the table has committed: a revocation empties the cache.
            clock: For leases and the age of verdicts.
            waiting: Logins of one process that may wait for asked verdicts at a time.
            containment: Where exceptions end that no verifier may raise.
        """
        self._containment = containment or Containment()
        self._news = news
        self._clock = clock
        self._waiting: Counter[_Asker] = Counter()
        self._flights: dict[Key, _Flight] = {}
        self._cache = VerdictCache(MAX_VERDICTS)
        self._refusals = VerdictCache(MAX_REFUSALS)  # apart: whoever floods evicts no verdict
        self._tried: set[tuple[str, int]] = set()  # issuers and generations that trial calls go to
        self._tasks: TaskGroup | None = None
        self._gate_issuers: dict[str, GateIssuer] = {}
        self.use(gate_issuers, waiting=waiting)

    def use(self, gate_issuers: Sequence[GateIssuer], *, waiting: int) -> None:
        """Go on with these issuers, from the next login on.

        One that is under way is judged by the issuer that it came to, as that was. Whether it still
        counts is for the table to say, by the verdict's generation.
        """
        before, self._gate_issuers = (
            self._gate_issuers,
            {gate_issuer.route.name: gate_issuer for gate_issuer in gate_issuers},
        )
        self._routes = [gate_issuer.route for gate_issuer in gate_issuers]
        self._max_waiting = waiting
        generations = {
            name: gate_issuer.generation
            for name, gate_issuer in self._gate_issuers.items()
            if name not in before
            or before[name].cache_for <= gate_issuer.cache_for  # else kept too long
        }
        self._cache.keep_only(generations)
        self._refusals.keep_only(generations)

    async def run(self) -> None:
        """Own the calls to issuers, which outlive the logins that began them."""
        async with self._news, anyio.create_task_group() as self._tasks:
            async for batch in self._news:
                for write in batch.writes:
                    if isinstance(write, Put) and isinstance(write.row, Revocation):
                        self._cache.clear()
            self._tasks.cancel_scope.cancel()

    async def admit(
        self,
        *,
        user: str,
        password: str,
        owner: ProcessKey,
        renews: SessionId | None = None,
        timings: LoginTimings | None = None,
    ) -> Admission:
        """Return what the password proves about the user. May be cancelled at any time.

        Args:
            user: The typed name.
            password: What came with it.
            owner: The process that asks.
            renews: The session that it is for; None is a login. It takes no login's place.
            timings: Filled in, however this ends.

        Raises:
            TokenRejected: The login is refused.
            IssuerUnavailable: No verdict now.
        """
        presented = read_password(password)
        if not is_name(user):
            raise TokenRejected(Refusal.USERMISMATCH, "the user name is not printable ASCII")
        gate_issuer = self._gate_issuers[find_issuer(self._routes, presented, user=user)]
        name, generation = gate_issuer.route.name, gate_issuer.generation
        key = Key.of(presented.access, user=folded(user), issuer=name, generation=generation)
        timings = LoginTimings() if timings is None else timings
        timings.issuer = name
        verdict = await self._verdict(
            gate_issuer, key, presented.access, _Asker(owner, renews), timings
        )
        verified = verdict.principal.name
        if not same_name(user, verified):
            raise TokenRejected(Refusal.USERMISMATCH, "the token is another user's")
        if not gate_issuer.route.admits(verified):
            raise TokenRejected(Refusal.WRONGISSUER, "this issuer does not answer for that user")
        return Admission(verdict, presented, gate_issuer.client)

    async def _verdict(
        self, gate_issuer: GateIssuer, key: Key, token: Secret, asker: _Asker, timings: LoginTimings
    ) -> Verdict:
        now = self._clock.now()
        monotonic = self._clock.monotonic()
        kept = self._cache.find(key, monotonic=monotonic, now=now)
        kept = kept or self._refusals.find(key, monotonic=monotonic, now=now)
        if isinstance(kept, Verdict) and not self._stands(gate_issuer, kept):
            self._cache.drop(key)
        elif kept is not None:
            return _accepted(kept)
        needs_call = self._needs_call(gate_issuer, token)
        if not needs_call and gate_issuer.roles is None:
            outcome = await self._asked(gate_issuer, token)
            self._keep(gate_issuer, key, outcome)
            return _accepted(outcome)
        with self._counted(gate_issuer, asker):
            flight = self._flights.get(key)
            if flight is None:
                flight = self._launch(gate_issuer, key, token, asker, needs_call=needs_call)
            try:
                outcome = await flight.outcome()
            finally:
                flight.account(timings)
            return _accepted(outcome, now=self._clock.now())

    def _stands(self, gate_issuer: GateIssuer, verdict: Verdict) -> bool:
        with self._containment.around("login", gate_issuer.route.name):
            return gate_issuer.still_valid(verdict)
        return False  # it is verified again

    def _needs_call(self, gate_issuer: GateIssuer, token: Secret) -> bool:
        with self._containment.around("login", gate_issuer.route.name):
            return gate_issuer.verifier.needs_call(token)
        return True  # then the breaker is before it

    @contextmanager
    def _counted(self, gate_issuer: GateIssuer, asker: _Asker) -> Iterator[None]:
        """Bound how many logins of one process wait for issuers that are asked each time.

        Renewals are counted apart, one a session.
        """
        if not gate_issuer.verifier.is_online:
            yield
            return
        if self._waiting[asker] >= (self._max_waiting if asker.renews is None else 1):
            raise TokenRejected(Refusal.THROTTLED, "too many logins of this process wait")
        self._waiting[asker] += 1
        try:
            yield
        finally:
            self._waiting[asker] -= 1
            if not self._waiting[asker]:
                del self._waiting[asker]

    def _launch(
        self, gate_issuer: GateIssuer, key: Key, token: Secret, asker: _Asker, *, needs_call: bool
    ) -> _Flight:
        if self._tasks is None:
            raise IssuerUnavailable("the gate is not open yet")
        if needs_call and gate_issuer.breaker.is_open:
            self._see_to(gate_issuer)
            raise IssuerUnavailable("the issuer is sick, nobody waits for it")
        flight = self._flights[key] = _Flight(self._clock.monotonic)
        self._tasks.start_soon(self._fly, gate_issuer, key, token, asker, flight)
        return flight

    async def _fly(
        self, gate_issuer: GateIssuer, key: Key, token: Secret, asker: _Asker, flight: _Flight
    ) -> None:
        """Ask the issuer, however long its own timeout lets it take, and land the verdict."""
        outcome: Outcome = IssuerUnavailable("the issuer was not asked to the end")
        try:
            with self._containment.around("login", gate_issuer.route.name):
                async with gate_issuer.limiter.place(asker.turn):
                    flight.ask()
                    outcome = await self._asked(gate_issuer, token)
                self._keep(gate_issuer, key, outcome)
        finally:
            del self._flights[key]
            flight.land(outcome)

    async def _asked(self, gate_issuer: GateIssuer, token: Secret) -> Outcome:
        """Return what is made of a token, whatever is raised on the way."""
        with self._containment.around("login", gate_issuer.route.name):
            try:
                verdict = await self._verified(gate_issuer, token)
                if gate_issuer.roles is None:
                    return verdict
                return await gate_issuer.roles.completed(verdict, now=self._clock.now())
            except (TokenRejected, IssuerUnavailable) as fault:
                return fault.with_traceback(None)  # its frames would hold it, and the token
        return UnusableAnswer("it met a fault that nobody expected, which the log has")

    async def _verified(self, gate_issuer: GateIssuer, token: Secret) -> Verdict:
        """Return what the issuer vouches for; the breaker sees the call, where it takes one."""
        if not gate_issuer.verifier.needs_call(token):
            return await gate_issuer.verifier.verify(token, now=self._clock.now())
        if gate_issuer.breaker.is_open:
            raise IssuerUnavailable("the issuer fell sick while this waited")
        try:
            with gate_issuer.breaker.seeing():
                return await gate_issuer.verifier.verify(token, now=self._clock.now())
        finally:
            self._see_to(gate_issuer)

    def _see_to(self, gate_issuer: GateIssuer) -> None:
        """Have trial calls made where only they can tell how the issuer is."""
        tried = (gate_issuer.route.name, gate_issuer.generation)
        if gate_issuer.breaker.needs_trial and tried not in self._tried and self._tasks is not None:
            self._tried.add(tried)
            self._tasks.start_soon(self._try_out, gate_issuer)

    async def _try_out(self, gate_issuer: GateIssuer) -> None:
        """Find out when a sick issuer is well, with trial calls that no login waits for."""
        try:
            while gate_issuer.breaker.needs_trial:
                await self._clock.sleep(gate_issuer.breaker.pause)
                if not self._is_in_use(gate_issuer):  # nobody comes through it any more
                    break
                if (
                    gate_issuer.breaker.is_held
                ):  # a call that was under way was told to wait for longer
                    continue
                with (
                    self._containment.around("trial call", gate_issuer.route.name),
                    suppress(TokenRejected, IssuerUnavailable),
                    gate_issuer.breaker.seeing(is_trial=True),
                ):
                    await gate_issuer.verifier.probe()
        finally:
            self._tried.remove((gate_issuer.route.name, gate_issuer.generation))

    def _is_in_use(self, gate_issuer: GateIssuer) -> bool:
        current = self._gate_issuers.get(gate_issuer.route.name)
        return current is not None and current.generation == gate_issuer.generation

    def _keep(self, gate_issuer: GateIssuer, key: Key, outcome: Outcome) -> None:
        """Keep it for as long as is configured by now."""
        if not self._is_in_use(gate_issuer):
            return
        gate_issuer, monotonic = self._gate_issuers[key.issuer], self._clock.monotonic()
        match outcome:
            case Verdict() if gate_issuer.cache_for > 0:
                self._cache.keep(key, outcome, until=monotonic + gate_issuer.cache_for)
            case TokenRejected() if gate_issuer.cache_for > 0:
                self._refusals.keep(key, outcome, until=monotonic + REFUSAL_KEPT)
            case _:
                pass


def _accepted(outcome: Outcome, *, now: datetime | None = None) -> Verdict:
    """Return the verdict, or raise a fresh copy of the refusal: many may wait for one."""
    match outcome:
        case Verdict():
            if now is not None and outcome.lease.expires_at <= now:
                raise TokenRejected(Refusal.EXPIRED, "it expired while it was verified")
            return outcome
        case TokenRejected():
            raise TokenRejected(outcome.reason, outcome.detail)
        case IssuerUnavailable():
            raise IssuerUnavailable(str(outcome))
        case _:
            assert_never(outcome)
