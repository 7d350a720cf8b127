"""What logins and renewals have in common: verified, recorded and answered, each in its turn."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from sessiond.core.access import Denied
from sessiond.core.changes import Change
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.session import ActiveSession
from sessiond.gate import VerifiedLogin
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.telling import Refused, Told, tell
from sessiond.kdb.verification import Outcome, Verification
from sessiond.qipc import Value


class Authentication(ABC):
    """Tokens that were presented, until they are answered. What it does stands in its order."""

    def __init__(
        self, services: LoginServices, owner: Owner, slot: Slot, tasks: ConnectionTasks
    ) -> None:
        """Take the call's place; a kind's `begin` goes on with it.

        Args:
            services: What to work with.
            owner: Whose call it is.
            slot: Its place among the messages in hand, or apart from them.
            tasks: Where what has to wait runs.
        """
        self._services = services
        self._owner = owner
        self._slot = slot
        self._verification = Verification(services, owner, slot, tasks, self._verified)
        self._login: VerifiedLogin | None = None
        self._submitted_at: float | None = None  # monotonic moment
        self._commit_took: float | None = None  # seconds
        self._outcome: ActiveSession | Refused | None = None
        slot.late, slot.stopped = self._late, self._verification.leave

    @abstractmethod
    def _change(self, login: VerifiedLogin) -> Change[ActiveSession | Denied]:
        """Return what is to be recorded."""

    @abstractmethod
    def _answer(self) -> Value | Encoded:
        """Return the answer as it leaves, and what tells of it then."""

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
        self._services.table.submit(self._change(self._login), self._slot.guarded(self._committed))

    def _committed(self, answer: ActiveSession | Denied | StoreError) -> None:
        """Answer it: it is on disk, or will never be."""
        if self._slot.is_settled or self._login is None or self._submitted_at is None:
            return  # late; or the connection is over
        if isinstance(answer, StoreError):
            self._settle(Refused(Refusal.UNAVAILABLE, str(answer)))
            return
        self._commit_took = self._services.clock.monotonic() - self._submitted_at
        if isinstance(answer, Denied):
            self._settle(Refused(answer.reason, answer.detail))
            return
        self._verification.hold(self._login, answer)
        self._settle(answer)

    def _late(self) -> None:
        """Answer `deadline`."""
        self._verification.leave()
        is_submitted = self._submitted_at is not None
        self._settle(
            Refused.late(self._took(), self._verification.timings, is_submitted=is_submitted)
        )

    def _settle(self, outcome: ActiveSession | Refused) -> None:
        if not self._slot.is_settled:
            self._outcome = outcome
            self._verification.leave()
            self._slot.settle(self._answer)

    def _result(
        self, *, call: str, user: str
    ) -> tuple[ActiveSession | Refused, Callable[[], None]]:
        """Return what is answered, and what tells operators of it once that has left."""
        outcome = self._came_of_it()
        told = self._told(call=call, user=user)
        return outcome, partial(tell, self._services, self._owner, told, outcome)

    def _came_of_it(self) -> ActiveSession | Refused:
        return self._outcome or Refused(Refusal.UNAVAILABLE, "")

    def _told(self, *, call: str, user: str) -> Told:
        return Told(
            call=call,
            user=user,
            took=self._took(),
            commit=self._commit_took,
            timings=self._verification.timings,
        )

    def _took(self) -> float:
        return self._services.clock.monotonic() - self._slot.began
