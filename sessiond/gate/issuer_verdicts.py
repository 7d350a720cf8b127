"""One issuer as the gate asks it: once for all who bring one token, and remembered a while."""

import hashlib
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.errors import TokenRejected
from sessiond.core.principal import folded
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey
from sessiond.core.verdict import Verdict
from sessiond.gate.ask_once import AskOnce
from sessiond.gate.flight import Flight
from sessiond.gate.gate_issuer import GateIssuer, ReadyVerifier
from sessiond.gate.presented_login import PresentedLogin

REFUSAL_KEPT = 2.0  # seconds: kdb+ tries a refused handshake twice

Turn = tuple[ProcessKey, bool]  # whose it is at the issuer, and whether it is a renewal's


class TokenKey(NamedTuple):
    """What a verdict is about. The token itself is not kept."""

    token: bytes  # SHA-256
    user: str | None  # folded; None: nobody typed one
    routing: int = 0  # by which of the gate's routes it came to its issuer
    giver: str = ""  # else the issuer that we had it from

    @classmethod
    def of(cls, login: PresentedLogin, *, routing: int = 0) -> "TokenKey":
        token = hashlib.sha256(login.presented.access.reveal().encode()).digest()
        user = None if login.user is None else folded(login.user)
        giver = "" if login.issued is None else login.issued.issuer
        return cls(token, user, routing, giver)


class IssuerVerdicts:
    """Gives the verdicts of one issuer, as it is configured in one generation."""

    def __init__(self, gate_issuer: GateIssuer, clock: Clock, containment: Containment) -> None:
        self.gate_issuer = gate_issuer
        verifier = gate_issuer.verifier
        self._verify_now = verifier.verify_now if isinstance(verifier, ReadyVerifier) else _never
        self._clock = clock
        self._contained = containment.around("login", gate_issuer.route.name)
        self._once = AskOnce[TokenKey, Verdict](
            f"issuer {gate_issuer.route.name!r}",
            task="login",
            whose=gate_issuer.route.name,
            breaker=gate_issuer.breaker,
            probe=gate_issuer.verifier.probe,
            keep_until=self._keep_until,
            clock=clock,
            containment=containment,
        )

    def begin(self, tasks: TaskGroup) -> None:
        """Ask the issuer in these tasks from now on; what is asked outlives the logins."""
        self._once.begin(tasks)

    def use(self, gate_issuer: GateIssuer) -> None:
        """Go on with the same issuer, where how long a verdict is kept may have changed."""
        if gate_issuer.cache_for < self.gate_issuer.cache_for:  # what is kept is kept too long
            self._once.clear()
        self.gate_issuer = gate_issuer

    def retire(self) -> None:
        """Make no more trial calls: no login comes to it any more."""
        self._once.retire()

    def forget(self) -> None:
        """Use no earlier verdict again: something was revoked."""
        self._once.clear()

    def has_judged(self, key: TokenKey) -> bool:
        """Say whether what came of a question is remembered, be it over or not."""
        return self._once.has_kept(key)

    def verdict_now(self, key: TokenKey, login: PresentedLogin) -> Verdict | None:
        """Return what the token proves, where nobody need be asked for that; None: see `join`.

        Args:
            key: What the verdict is about.
            login: What was presented.

        Raises:
            TokenRejected: The login is refused.
            IssuerUnavailable: No verdict now.
        """
        kept = self._once.find(key)
        if kept is not None:
            if self._stands(kept):
                return kept
            self._once.drop(key)
        roles = self.gate_issuer.roles
        if roles is not None and roles.asks_always:
            return None
        return self._once.at_once(key, partial(self._verified_now, login))

    def join(self, key: TokenKey, login: PresentedLogin, turn: Turn) -> Flight[Verdict]:
        """Return the one call about this token, which goes on whoever leaves it.

        Args:
            key: What the verdict is about.
            login: What was presented.
            turn: Whose turn at the issuer it takes, where it begins now.

        Raises:
            IssuerUnavailable: No verdict now.
        """
        needs_call = self._needs_call(login.presented.access)
        if needs_call or self.gate_issuer.roles is not None:
            ask = partial(self._in_turn, login, turn)
            return self._once.join(key, ask, needs_call=needs_call)
        return self._once.join(
            key, lambda _: self._verified(login), needs_call=False, is_timed=False
        )

    def _stands(self, verdict: Verdict) -> bool:
        """Say whether an earlier verdict may be used: nothing outlives its token."""
        if verdict.lease.expires_at <= self._clock.now():
            return False
        with self._contained:
            return self.gate_issuer.still_valid(verdict)
        return False  # it is verified again

    def _verified_now(self, login: PresentedLogin) -> Verdict | None:
        verdict = self._verify_now(
            login.presented.access,
            now=self._clock.now(),
            generation=self.gate_issuer.generation,
            expires_in=login.expires_in,
        )
        return verdict if verdict is not None and self.gate_issuer.is_whole(verdict) else None

    def _needs_call(self, token: Secret) -> bool:
        with self._contained:
            return self.gate_issuer.verifier.needs_call(token)
        return True  # then the breaker is before it

    async def _in_turn(self, login: PresentedLogin, turn: Turn, flight: Flight[Verdict]) -> Verdict:
        """Ask the issuer, however long its own timeout lets it take."""
        async with self.gate_issuer.limiter.place(turn):
            flight.ask()
            verdict = await self._verified(login)
            if self.gate_issuer.roles is None:
                return verdict
            return await self.gate_issuer.roles.completed(verdict, now=self._clock.now())

    async def _verified(self, login: PresentedLogin) -> Verdict:
        """Return what the issuer vouches for; the breaker sees the call, where it takes one."""
        verifier, token = self.gate_issuer.verifier, login.presented.access
        verify = partial(verifier.verify, token, now=self._clock.now(), expires_in=login.expires_in)
        verdict = await (self._once.call(verify) if verifier.needs_call(token) else verify())
        return replace(verdict, generation=self.gate_issuer.generation)

    def _keep_until(self, outcome: Verdict | TokenRejected) -> float:
        cache_for = self.gate_issuer.cache_for  # as is configured by now
        if isinstance(outcome, TokenRejected) and cache_for > 0:
            cache_for = REFUSAL_KEPT
        return self._clock.monotonic() + cache_for


def _never(token: Secret, *, now: datetime, generation: int, expires_in: float | None) -> None:
    """Stand for a verifier that has to be waited for."""
