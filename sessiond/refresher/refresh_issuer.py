"""What the refresher asks of one issuer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import anyio

from sessiond.api import Verifier
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.grant import Grant
from sessiond.core.printable import seen
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.gate import ReadyVerifier
from sessiond.gate.fair import FairLimiter
from sessiond.refresher.pace import Pace

AHEAD = 8  # times as many are begun as may be at the issuer: the others are being recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A token endpoint's answer (RFC 6749, 5.1)."""

    access_token: Secret
    refresh_token: Secret | None  # None: the old one stays good
    expires_in: float | None  # seconds, where stated


class TokenSource(Protocol):
    """Gets the next access token from one issuer. Called from several tasks at once."""

    async def refresh(self, token: Secret) -> Tokens:
        """Spend a refresh token (RFC 6749, 6).

        Raises:
            RefreshRefused: Final for this refresh token.
            IssuerUnavailable: Nothing is known; ask again later.
            IssuerThrottled: The same, and not before `retry_after` seconds.
        """
        ...

    async def revoke(self, token: Secret) -> bool:
        """Have a refresh token ended (RFC 7009); False where the issuer cannot, or did not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshIssuer:
    """One issuer as the refresher sees it; its budget is apart from the logins'."""

    iss: str  # who it is: another issuer may get the same name one day
    sources: Mapping[str, TokenSource]  # by our client that a refresh token is bound to
    verifier: Verifier
    admits: Callable[[str], bool]  # whether a user of this name may come from there
    limiter: anyio.CapacityLimiter
    unproved: FairLimiter  # the budget of refresh tokens that may be anybody's
    generation: int = 0  # of the issuer's configuration; its verdicts carry it
    pace: Pace = field(default_factory=Pace)  # what it asked for ends with it
    begun: FairLimiter = field(init=False)  # refreshes that are at it, or being recorded
    begun_unproved: FairLimiter = field(init=False)
    ready: ReadyVerifier | None = field(init=False)  # the verifier, where it can be asked at once

    def __post_init__(self) -> None:
        most = AHEAD * int(self.limiter.total_tokens)
        ready = self.verifier if isinstance(self.verifier, ReadyVerifier) else None
        object.__setattr__(self, "begun", FairLimiter(most))
        object.__setattr__(self, "begun_unproved", FairLimiter(most))
        object.__setattr__(self, "ready", ready)

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the token proves, as `sessiond.api.Verifier`, of a user who may come."""
        verdict = await self.verifier.verify(token, now=now, expires_in=expires_in)
        return replace(self._admitted(verdict), generation=self.generation)

    def verify_now(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict | None:
        """Return the same where it needs nobody, as `sessiond.gate.ReadyVerifier`."""
        if self.ready is None:
            return None
        verdict = self.ready.verify_now(
            token, now=now, expires_in=expires_in, generation=self.generation
        )
        return None if verdict is None else self._admitted(verdict)

    def _admitted(self, verdict: Verdict) -> Verdict:
        if not self.admits(verdict.principal.name):
            raise TokenRejected(
                Refusal.WRONGISSUER,
                f"the user is {seen(verdict.principal.name)}, wanted one whom users of this issuer "
                "matches: have him sign in at another, or mend users",
            )
        return verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSettings:
    """What the refresher goes by."""

    issuers: Mapping[str, RefreshIssuer]  # by their configured names
    recheck: float  # seconds between asking again where nothing can be refreshed; 0 = never
    keeps_access: bool = False  # access tokens in memory, for who asks for them


class RefreshIssuers:
    """The issuers of now, and which of them has taken an earlier one's place."""

    def __init__(self, settings: Callable[[], RefreshSettings]) -> None:
        self._settings = settings

    def get(self, name: str) -> RefreshIssuer | None:
        """Return the issuer that has the name now; None: no one has."""
        return self._settings().issuers.get(name)

    def pace(self, grant: Grant) -> Pace:
        """Return the pace of the grant's issuer as it is now; of one that is gone none is kept.

        Another that has got its name has never been asked, and has wished for nothing.
        """
        issuer = self.get(grant.issuer)
        if issuer is None or grant.iss not in ("", issuer.iss):
            return Pace()
        return issuer.pace

    def is_newest(self, issuer: RefreshIssuer, name: str) -> bool:
        """Say whether it has not been replaced."""
        return self.get(name) is issuer

    def now(self, issuer: RefreshIssuer, name: str) -> RefreshIssuer | None:
        """Return the issuer that has taken an earlier one's place; None: its issuer is gone."""
        newest = self.get(name)
        return newest if newest is not None and newest.iss == issuer.iss else None
