"""A `renew`: the checks of a login, for the user that the session already has."""

from collections.abc import Callable

from sessiond.core.changes import Renew
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.grant import GrantId
from sessiond.core.queries import FindSession
from sessiond.core.refusal_words import why
from sessiond.core.session import ActiveSession
from sessiond.gate import VerifiedLogin
from sessiond.kdb import replies
from sessiond.kdb.calls import Renewal as RenewalCall
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.telling import Refused, Told, tell
from sessiond.kdb.verification import Outcome, Verification
from sessiond.qipc import NIL, Value

Pushing = Callable[[bytes], None]


class Renewal:
    """One of them. What it does stands here in its order.

    A sync one is answered in its turn; one that happens after its answer was `deadline` is told by
    a push. An async one is apart from the order, since its issuer may take long: when it happens
    that is pushed by what is committed, when it is refused from here.
    """

    def __init__(
        self,
        services: LoginServices,
        owner: Owner,
        call: RenewalCall,
        slot: Slot,
        tasks: ConnectionTasks,
        push: Pushing,
        over: Callable[[], None],
    ) -> None:
        """Take the call; `begin` goes on with it.

        Args:
            services: What to work with.
            owner: Whose call it is.
            call: The call.
            slot: Its place among the messages in hand, or apart from them.
            tasks: Where what has to wait runs.
            push: Tells the process.
            over: Called once when it is settled: another of the session may follow.
        """
        self._services = services
        self._owner = owner
        self._call = call
        self._slot = slot
        self._push = push
        self._over = over
        self._verification = Verification(services, owner, slot, tasks, self._verified)
        self._standing: ActiveSession | None = None
        self._login: VerifiedLogin | None = None
        self._submitted_at: float | None = None  # monotonic moment
        self._commit_took: float | None = None  # seconds
        self._outcome: ActiveSession | Refused | None = None

    def begin(self) -> None:
        """Look the session up: its user is the one who must be proved."""
        self._slot.late, self._slot.stopped = self._late, self._verification.leave
        find = FindSession(process=self._owner.key, session=self._call.session)
        self._services.table.submit(find, self._slot.guarded(self._found))

    def _found(self, standing: ActiveSession | StoreError | None) -> None:
        """Have the tokens verified, beside the other messages where that takes long."""
        if self._slot.is_settled:
            return
        if isinstance(standing, StoreError):
            self._settle(Refused(Refusal.UNAVAILABLE, str(standing)))
        elif standing is None:
            words = "no live session of this process has that id, wanted one to renew: log in anew"
            self._settle(Refused(Refusal.REVOKED, words))
        else:
            self._standing = standing
            user = standing.session.principal.name
            self._verification.begin(user, self._call.password, renews=self._call.session)

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
        change = Renew(
            process=self._owner.key,
            session=self._call.session,
            grant=GrantId(self._services.new_id()),
            presented=self._verification.presented(self._login),
            push=self._slot.is_apart,
        )
        self._services.table.submit(change, self._slot.guarded(self._committed))

    def _committed(self, answer: ActiveSession | Refusal | StoreError) -> None:
        """Answer it: it is on disk, or will never be."""
        if self._slot.is_settled:
            if isinstance(answer, ActiveSession) and not self._slot.is_apart:
                self._push(replies.renewed_late(answer))
            return
        if self._login is None or self._submitted_at is None:
            return
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
        """Answer `deadline`. The session goes on as before, or as it will be pushed."""
        self._verification.leave()
        is_submitted = self._submitted_at is not None
        self._settle(
            Refused.late(self._took(), self._verification.timings, is_submitted=is_submitted)
        )

    def _settle(self, outcome: ActiveSession | Refused) -> None:
        if not self._slot.is_settled:
            self._outcome = outcome
            self._verification.leave()
            self._over()
            self._slot.settle(self._answer)

    def _answer(self) -> Value | Encoded:
        """Return the answer as it leaves, and tell of it."""
        outcome = self._outcome or Refused(Refusal.UNAVAILABLE, "")
        session = None if self._standing is None else self._standing.session
        told = Told(
            call="renew",
            user="" if session is None else session.principal.name,
            took=self._took(),
            commit=self._commit_took,
            timings=self._verification.timings,
        )
        tell(self._services, self._owner, told, outcome)
        if isinstance(outcome, ActiveSession):
            return Encoded(replies.accepted(outcome))
        if self._slot.is_apart:
            handle = 0 if session is None else session.handle
            self._push(replies.renewal_refused(self._call.session, handle, outcome.reason))
            return NIL
        return Encoded(replies.refused(outcome.reason))

    def _took(self) -> float:
        return self._services.clock.monotonic() - self._slot.began
