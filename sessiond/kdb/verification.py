"""What tokens prove about a user: the gate's verdict, and a refresh where that is the proof."""

from collections.abc import Callable
from functools import partial

from sessiond.core.errors import IssuerUnavailable, StoreError, TokenRejected
from sessiond.core.password import Presented
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, SessionId
from sessiond.core.verdict import PresentedTokens
from sessiond.gate import LoginTimings, VerifiedLogin, Waiting
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.proving import prove
from sessiond.kdb.slots import Slot
from sessiond.kdb.tasks import ConnectionTasks

Brought = tuple[str | None, str | Presented]  # the typed name, where there is one; and the tokens
Outcome = VerifiedLogin | TokenRejected | IssuerUnavailable


class Verification:
    """Of one login or renewal. It is begun once, and heard of once unless it is left."""

    def __init__(
        self,
        services: LoginServices,
        owner: Owner,
        slot: Slot,
        tasks: ConnectionTasks,
        then: Callable[[Outcome], None],
    ) -> None:
        """Prepare it.

        Args:
            services: What to work with.
            owner: Whose call it is.
            slot: Of the call.
            tasks: Where a proof runs.
            then: Hears what came of it; at once, where that takes nobody else.
        """
        self._services = services
        self._owner = owner
        self._slot = slot
        self._tasks = tasks
        self._then = then
        self._waiting: Waiting | None = None
        self._end_proof: Callable[[], None] | None = None
        self._presented_at = services.clock.now()
        self.timings = LoginTimings()

    def begin(self, user: str, password: Secret, *, renews: SessionId | None = None) -> None:
        """Ask the gate. Many of a process may be here at a time."""
        self._ask(lambda: (user, password.reveal()), renews)

    def begin_bearer(self, token: Secret) -> None:
        """Ask the gate about a token that came over HTTP, where nobody types a name."""
        self._ask(lambda: (None, self._services.gate.read_bearer(token.reveal())))

    def leave(self) -> None:
        """Hear of it no more."""
        if self._waiting is not None:
            self._waiting.leave()
        if self._end_proof is not None:
            self._end_proof()
        self._waiting = self._end_proof = None
        self._then = _nobody

    def presented(self, verified: VerifiedLogin) -> PresentedTokens:
        """Return what the table is told of the tokens."""
        services = self._services
        access, refresh = verified.presented.access, verified.presented.refresh
        return PresentedTokens(
            verdict=verified.verdict,
            access=services.hashed(access),
            refresh=None if refresh is None else services.hashed(refresh),
            refresh_token=refresh,
            client=verified.client,
            draw=services.draw(),
            presented_at=self._presented_at,
        )

    def hold(self, verified: VerifiedLogin, active: ActiveSession) -> None:
        """Leave the access token where it may be needed again; it is in memory only."""
        session, refresher = active.session, self._services.refresher
        access, ends_at = verified.presented.access, verified.verdict.lease.expires_at
        refresher.keep_access(session.grant, access, until=ends_at)
        if verified.presented.refresh is None:
            refresher.hold(session.grant, issuer=session.principal.issuer, access=access)

    def _ask(self, read: Callable[[], Brought], renews: SessionId | None = None) -> None:
        try:
            user, password = read()
            decided = self._services.gate.decide_now(
                user=user,
                password=password,
                owner=self._owner.key,
                renews=renews,
                timings=self.timings,
            )
        except (TokenRejected, IssuerUnavailable) as refused:
            self._tell(refused)
            return
        if isinstance(decided, VerifiedLogin):
            self._heard(decided)
        else:
            self._waiting = decided
            decided.then(self._slot.guarded(self._heard))

    def _heard(self, outcome: Outcome) -> None:
        self._waiting = None
        if isinstance(outcome, VerifiedLogin) and self._is_proof_due(outcome):
            self._end_proof = self._tasks.begin(partial(self._prove, outcome))
        else:
            self._tell(outcome)

    def _is_proof_due(self, verified: VerifiedLogin) -> bool:
        issuer = verified.verdict.principal.issuer
        return verified.presented.refresh is not None and issuer in self._services.proved()

    async def _prove(self, verified: VerifiedLogin) -> None:
        outcome: Outcome = verified
        try:
            await prove(self._services, self._owner, partial(self.presented, verified))
        except (TokenRejected, IssuerUnavailable) as refused:
            outcome = refused
        except StoreError as error:
            outcome = IssuerUnavailable(str(error))
        self._end_proof = None
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        then, self._then = self._then, _nobody  # which leads back to the call
        then(outcome)


def _nobody(_: object) -> None:
    """Tell nobody: it was told, or left."""
