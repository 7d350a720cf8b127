"""What the gate is given of one issuer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from sessiond.api import Verifier
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.gate.breaker import Breaker
from sessiond.gate.fair import FairLimiter
from sessiond.gate.route import IssuerRoute


@runtime_checkable
class ReadyVerifier(Verifier, Protocol):
    """A Verifier that can say without a task what it need ask nobody about."""

    def verify_now(
        self, token: Secret, *, now: datetime, generation: int, expires_in: float | None = None
    ) -> Verdict | None:
        """Return what the token proves; None: only `verify` can, and may have to wait for that.

        Args:
            token: The access token alone.
            now: The wall time to judge by.
            generation: Of the issuer's configuration, which the verdict carries.
            expires_in: Seconds from now, as `verify` has them.

        Raises:
            TokenRejected, IssuerUnavailable: As `verify`.
        """
        ...


class RolesBeside(Protocol):
    """Adds to a verdict what its token does not bring. No fault of the issuer's is its fault."""

    @property
    def asks_always(self) -> bool:
        """Whether somebody is asked about each user, so that no verdict is whole at once."""
        ...

    def needs(self, verdict: Verdict) -> bool:
        """Say whether somebody is to be asked before this verdict is whole."""
        ...

    async def completed(self, verdict: Verdict, *, now: datetime) -> Verdict:
        """Return the verdict with all roles; one that needs nothing comes back as it is.

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

    def is_whole(self, verdict: Verdict) -> bool:
        """Say whether a verdict of the verifier's counts as it is."""
        return self.roles is None or not self.roles.needs(verdict)

    def still_valid(self, verdict: Verdict) -> bool:
        """Say whether an earlier verdict still stands, with all that is in it."""
        stands = self.roles is None or self.roles.stand_in(verdict)
        return stands and self.verifier.still_valid(verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What the gate goes by."""

    issuers: Sequence[GateIssuer]
    waiting: int  # logins of one process that may wait for an issuer that is asked each time
