"""A token on its way in: verified beside other calls, recorded in its turn, answered in time."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import anyio
import structlog

from sessiond.clock import Clock
from sessiond.core.changes import Change, KeepGrant, Open, Renew
from sessiond.core.errors import IssuerUnavailable, Refusal, StoreError, TokenRejected
from sessiond.core.grant import GrantId, TokenHash
from sessiond.core.principal import shown
from sessiond.core.queries import CheckAdmission, FindGrant, FindSession
from sessiond.core.refusal_words import why
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, ProcessAbout, ProcessKey, SessionId
from sessiond.core.verdict import PresentedTokens
from sessiond.gate import Gate, LoginTimings, VerifiedLogin
from sessiond.kdb.calls import Connect, Renewal
from sessiond.kdb.submitted import Submitted, submit
from sessiond.metrics import Metrics
from sessiond.refresher import Refresher
from sessiond.table import Table

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginServices:
    """What an attempt works with; one for all processes."""

    table: Table
    gate: Gate
    refresher: Refresher
    clock: Clock
    hashed: Callable[[Secret], TokenHash]
    draw: Callable[[], float]  # uniform in [0, 1)
    new_id: Callable[[], UUID]
    proved: Callable[[], frozenset[str]]  # issuers of now whose tokens a refresh proves at once
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that an attempt is made for."""

    key: ProcessKey
    about: ProcessAbout


class Authentication(ABC):
    """One login or renewal. Its three steps never take longer, together, than its deadline."""

    def __init__(
        self, login_services: LoginServices, owner: Owner, *, began: float, answer_by: float
    ) -> None:
        """Begin.

        Args:
            login_services: What to work with.
            owner: Whose call it is.
            began: The moment of monotonic time at which the call came.
            answer_by: The moment of monotonic time by which `outcome` returns.
        """
        self._login_services = login_services
        self._owner = owner
        self._began = began
        self._answer_by = answer_by
        self._timings = LoginTimings()
        self._submitted_at = 0.0  # monotonic moment
        self._commit_took: float | None = None  # seconds, the wait for its turn included
        self._verified_login: VerifiedLogin | None = None
        self._refusal: Refusal | None = None
        self._detail = ""
        self._submission: Submitted[ActiveSession | Refusal] | None = None
        self._presented_at = login_services.clock.now()
        self.is_late = False  # the answer was `deadline` while the table was at work

    async def verify(self) -> None:
        """Ask the gate. Many attempts of a process may be here at a time."""
        with anyio.move_on_after(self._left()) as scope:
            try:
                verified_login = await self._admit()
                await self._prove(verified_login)
                self._verified_login = verified_login
            except TokenRejected as rejected:
                self._refuse(rejected.reason, rejected.detail)
            except IssuerUnavailable as unavailable:
                self._refuse(Refusal.UNAVAILABLE, str(unavailable))
            except StoreError as error:
                self._refuse(Refusal.UNAVAILABLE, str(error))
        if scope.cancelled_caught:
            self._refuse(
                Refusal.DEADLINE,
                f"{self._took():.2f} s went to {self._waited_for()}, wanted a verdict by then: see "
                "the issuer in sessionctl status, or raise login.deadline",
            )

    async def record(self) -> None:
        """Put the change in the table's queue, in the order of the process's calls."""
        if self._refusal is not None or self._verified_login is None:
            return
        with anyio.move_on_after(self._left()) as scope:
            change = self._change(self._presented(self._verified_login))
            self._submitted_at = self._login_services.clock.monotonic()
            self._submission = await submit(self._login_services.table, change)
        if scope.cancelled_caught:
            self._refuse(
                Refusal.DEADLINE,
                f"the table took no change for {self._took():.2f} s, wanted room in its queue: see "
                "whether the disk is slow (commit_ms), or raise login.deadline",
            )

    async def outcome(self) -> ActiveSession | Refusal:
        """Return what came of it, once it is on disk."""
        active: ActiveSession | None = None
        if self._refusal is None:
            with anyio.move_on_after(self._left()) as scope:
                active = await self._settled()
            if scope.cancelled_caught:
                self.is_late = True
                self._refuse(
                    Refusal.DEADLINE,
                    f"not on disk after {self._took():.2f} s, wanted it there by then: see whether "
                    "the disk is slow (commit_ms), or raise login.deadline",
                )
        if self._refusal is not None or active is None:
            return self._tell(self._refusal or Refusal.UNAVAILABLE)
        issuer = active.session.principal.issuer
        self._log("accepted", issuer=issuer, session=str(active.session.id))
        return active

    async def late_outcome(self) -> ActiveSession | None:
        """Return what became of it after all, when the answer was `deadline`."""
        try:
            answer = None if self._submission is None else await self._submission.answer()
        except StoreError:
            return None
        return answer if isinstance(answer, ActiveSession) else None

    async def _settled(self) -> ActiveSession | None:
        if self._submission is None or self._verified_login is None:
            return None
        try:
            answer = await self._submission.answer()
        except StoreError as error:
            self._refuse(Refusal.UNAVAILABLE, str(error))
            return None
        self._commit_took = self._login_services.clock.monotonic() - self._submitted_at
        if isinstance(answer, Refusal):
            self._refuse(answer, why(answer))
            return None
        presented = self._verified_login.presented
        if presented.refresh is None:
            issuer = answer.session.principal.issuer
            self._login_services.refresher.hold(
                answer.session.grant, issuer=issuer, access=presented.access
            )
        return answer

    async def _prove(self, verified_login: VerifiedLogin) -> None:
        """Refresh at once where only that shows that the tokens were issued to our client.

        The table lets nobody in at such an issuer on a grant that is not proven.
        """
        issuer, table = verified_login.verdict.principal.issuer, self._login_services.table
        if issuer not in self._login_services.proved() or verified_login.presented.refresh is None:
            return
        grant_id = GrantId(self._login_services.new_id())
        grant = await table.ask(
            KeepGrant(grant=grant_id, presented=self._presented(verified_login))
        )
        if isinstance(grant, Refusal):
            raise TokenRejected(grant, why(grant))
        if grant.proven:
            return
        await self._login_services.refresher.prove(grant, process=self._owner.key)
        tried = await table.ask(FindGrant(grant=grant.id))
        if tried is not None and tried.proven:
            return
        judge = CheckAdmission(presented=self._presented(verified_login), is_proof_due=False)
        if await table.ask(judge) is Refusal.INACTIVE:
            raise TokenRejected(
                Refusal.WRONGAUDIENCE,
                "the issuer does not refresh it for our client, wanted a refresh token of that: "
                "have the program sign in as refresh_client_id",
            )
        raise IssuerUnavailable(
            f"issuer {issuer!r} has not refreshed the token yet, wanted that as proof whose it is: "
            "try again in a moment, see refresh put off in the log"
        )

    def _presented(self, verified_login: VerifiedLogin) -> PresentedTokens:
        access, refresh = verified_login.presented.access, verified_login.presented.refresh
        return PresentedTokens(
            verdict=verified_login.verdict,
            access=self._login_services.hashed(access),
            refresh=None if refresh is None else self._login_services.hashed(refresh),
            refresh_token=refresh,
            client=verified_login.client,
            draw=self._login_services.draw(),
            presented_at=self._presented_at,
        )

    def _took(self) -> float:
        return self._login_services.clock.monotonic() - self._began

    def _waited_for(self) -> str:
        timings = self._timings
        what = "its turn at" if timings.called is None and timings.queued else "an answer of"
        return f"{what} issuer {timings.issuer!r}"

    def _left(self) -> float:
        return max(0.0, self._answer_by - self._login_services.clock.monotonic())

    def _refuse(self, reason: Refusal, detail: str) -> None:
        self._refusal, self._detail = reason, detail

    def _tell(self, reason: Refusal) -> Refusal:
        issuer = self._timings.issuer
        self._log("refused", issuer=issuer, reason=reason.value, detail=self._detail)
        self._login_services.table.note_refusal(
            user=self._user(), issuer=issuer, process=self._owner.about, reason=reason
        )
        return reason

    def _log(self, outcome: str, **facts: str) -> None:
        """Tell and measure the answer, with what its time went to, as far as it came."""
        took, timings = self._took(), self._timings
        log.info(
            self._name,
            outcome=outcome,
            user=self._user(),
            process=self._owner.about.name,
            **facts,
            **_milliseconds(
                answer_ms=took,
                queue_ms=timings.queued,
                issuer_ms=timings.called,
                commit_ms=self._commit_took,
            ),
        )
        self._login_services.metrics.answered(self._call_name, outcome, took, timings)

    _name: str  # as the log calls it
    _call_name: str  # as q calls it

    @abstractmethod
    def _user(self) -> str:
        """Return the user's name, fit to be shown."""

    @abstractmethod
    async def _admit(self) -> VerifiedLogin: ...

    @abstractmethod
    def _change(self, presented: PresentedTokens) -> Change[ActiveSession | Refusal]: ...


class Login(Authentication):
    """A `connect`."""

    _name, _call_name = "login", "connect"

    def __init__(
        self,
        login_services: LoginServices,
        owner: Owner,
        call: Connect,
        *,
        began: float,
        answer_by: float,
    ) -> None:
        super().__init__(login_services, owner, began=began, answer_by=answer_by)
        self._call = call
        self.session = SessionId(login_services.new_id())

    def _user(self) -> str:
        return shown(self._call.user)

    async def _admit(self) -> VerifiedLogin:
        return await self._login_services.gate.admit(
            user=self._call.user,
            password=self._call.password.reveal(),
            owner=self._owner.key,
            timings=self._timings,
        )

    def _change(self, presented: PresentedTokens) -> Open:
        return Open(
            session=self.session,
            grant=GrantId(self._login_services.new_id()),
            process=self._owner.key,
            about=self._owner.about,
            handle=self._call.handle,
            address=self._call.address,
            presented=presented,
        )


class RenewalAuthentication(Authentication):
    """A `renew`: the same checks as a login, for the user that the session already has."""

    _name, _call_name = "renewal", "renew"

    def __init__(
        self,
        login_services: LoginServices,
        owner: Owner,
        call: Renewal,
        *,
        began: float,
        answer_by: float,
        push: bool,
    ) -> None:
        super().__init__(login_services, owner, began=began, answer_by=answer_by)
        self._call = call
        self._push = push
        self.session = call.session
        self._standing: ActiveSession | None = None

    @property
    def handle(self) -> int:
        """The session's handle, 0 when there is no such session."""
        return 0 if self._standing is None else self._standing.session.handle

    def _user(self) -> str:
        return "" if self._standing is None else self._standing.session.principal.name

    async def _admit(self) -> VerifiedLogin:
        find = FindSession(process=self._owner.key, session=self._call.session)
        self._standing = await self._login_services.table.ask(find)
        if self._standing is None:
            raise TokenRejected(
                Refusal.REVOKED,
                "no live session of this process has that id, wanted one to renew: log in anew",
            )
        return await self._login_services.gate.admit(
            user=self._standing.session.principal.name,
            password=self._call.password.reveal(),
            owner=self._owner.key,
            renews=self.session,
            timings=self._timings,
        )

    def _change(self, presented: PresentedTokens) -> Renew:
        return Renew(
            process=self._owner.key,
            session=self._call.session,
            grant=GrantId(self._login_services.new_id()),
            presented=presented,
            push=self._push,
        )


def _milliseconds(**seconds: float | None) -> dict[str, float]:
    """Return what happened, in the unit that the log has."""
    return {name: round(each * 1e3, 2) for name, each in seconds.items() if each is not None}
