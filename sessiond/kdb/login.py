"""A `connect`: verified beside other messages, recorded in its turn, answered in time."""

from sessiond.core.changes import Open, Withdraw
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.grant import GrantId
from sessiond.core.principal import shown
from sessiond.core.refusal_words import why
from sessiond.core.session import ActiveSession, SessionId
from sessiond.gate import VerifiedLogin
from sessiond.kdb import replies
from sessiond.kdb.calls import Connect
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.telling import Refused, Told, tell
from sessiond.kdb.verification import Outcome, Verification


class Login:
    """One of them. What it does stands here in its order."""

    def __init__(
        self,
        services: LoginServices,
        owner: Owner,
        call: Connect,
        slot: Slot,
        tasks: ConnectionTasks,
    ) -> None:
        """Take the call; `begin` goes on with it.

        Args:
            services: What to work with.
            owner: Whose call it is.
            call: The call.
            slot: Its place among the messages in hand.
            tasks: Where what has to wait runs.
        """
        self._services = services
        self._owner = owner
        self._call = call
        self._slot = slot
        self._verification = Verification(services, owner, slot, tasks, self._verified)
        self._session = SessionId(services.new_id())
        self._login: VerifiedLogin | None = None
        self._submitted_at: float | None = None  # monotonic moment
        self._commit_took: float | None = None  # seconds
        self._outcome: ActiveSession | Refused | None = None

    def begin(self) -> None:
        """Have it verified: at once where that needs nobody, else beside the other messages."""
        self._slot.late, self._slot.stopped = self._late, self._verification.leave
        self._verification.begin(self._call.user, self._call.password)

    def _verified(self, outcome: Outcome) -> None:
        """Have it recorded, when the messages before it are."""
        if isinstance(outcome, VerifiedLogin):
            self._login = outcome
            self._slot.enter(self._submit)
        else:
            self._settle(Refused.by(outcome))

    def _submit(self) -> None:
        """Put it in the table's queue: its turn among the messages has come."""
        if self._login is None:
            return
        self._submitted_at = self._services.clock.monotonic()
        opening = Open(
            session=self._session,
            grant=GrantId(self._services.new_id()),
            process=self._owner.key,
            about=self._owner.about,
            handle=self._call.handle,
            address=self._call.address,
            presented=self._verification.presented(self._login),
        )
        self._services.table.submit(opening, self._slot.guarded(self._committed))

    def _committed(self, answer: ActiveSession | Refusal | StoreError) -> None:
        """Answer it: it is on disk, or will never be."""
        if self._slot.is_settled or self._login is None or self._submitted_at is None:
            return  # late, and withdrawn; or the connection is over
        if isinstance(answer, StoreError):
            self._settle(Refused(Refusal.UNAVAILABLE, str(answer)))
            return
        self._commit_took = self._services.clock.monotonic() - self._submitted_at
        if isinstance(answer, Refusal):
            self._settle(Refused(answer, why(answer)))
            return
        self._verification.hold(self._login, answer)
        self._settle(answer)

    def _late(self) -> None:
        """Answer `deadline`, which no live session follows: what is under way is withdrawn."""
        self._verification.leave()
        is_submitted = self._submitted_at is not None
        if is_submitted:
            self._services.table.submit(Withdraw(session=self._session))
        self._settle(
            Refused.late(self._took(), self._verification.timings, is_submitted=is_submitted)
        )

    def _settle(self, outcome: ActiveSession | Refused) -> None:
        if not self._slot.is_settled:
            self._outcome = outcome
            self._verification.leave()
            self._slot.settle(self._answer)

    def _answer(self) -> Encoded:
        """Return the answer as it leaves, and tell of it."""
        outcome = self._outcome or Refused(Refusal.UNAVAILABLE, "")
        told = Told(
            call="connect",
            user=shown(self._call.user),
            took=self._took(),
            commit=self._commit_took,
            timings=self._verification.timings,
        )
        tell(self._services, self._owner, told, outcome)
        if isinstance(outcome, Refused):
            return Encoded(replies.refused(outcome.reason))
        return Encoded(replies.accepted(outcome))

    def _took(self) -> float:
        return self._services.clock.monotonic() - self._slot.began
