"""What logins and renewals have in common: recorded and answered, each in its turn and in time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from sessiond.core.access import Denied
from sessiond.core.changes import Change
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.session import ActiveSession
from sessiond.gate import LoginTimings
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.telling import Refused, Told, tell
from sessiond.qipc import Value

NO_FACTS: Mapping[str, str] = MappingProxyType({})


class Authentication(ABC):
    """What was presented, until it is answered. What it does stands in its order."""

    def __init__(
        self, services: LoginServices, owner: Owner, slot: Slot, timings: LoginTimings
    ) -> None:
        """Take the call's place; a kind's `begin` goes on with it.

        Args:
            services: What to work with.
            owner: Whose call it is.
            slot: Its place among the messages in hand, or apart from them.
            timings: Filled with what its time goes to.
        """
        self._services = services
        self._owner = owner
        self._slot = slot
        self._timings = timings
        self._submitted_at: float | None = None  # monotonic moment
        self._commit_took: float | None = None  # seconds
        self._outcome: ActiveSession | Refused | None = None
        slot.late, slot.stopped = self._late, self._leave

    @abstractmethod
    def _change(self) -> Change[ActiveSession | Denied]:
        """Return what is to be recorded."""

    @abstractmethod
    def _answer(self) -> Value | Encoded:
        """Return the answer as it leaves, and what tells of it then."""

    def _leave(self) -> None:  # noqa: B027 - not all ask somebody
        """Hear no more of what was asked."""

    def _accepted(self, active: ActiveSession) -> None:  # noqa: B027 - not all have more to do
        """Do what follows on its being on disk."""

    def _submit(self) -> None:
        """Put it in the table's queue: its turn among the messages has come."""
        self._submitted_at = self._services.clock.monotonic()
        self._services.table.submit(self._change(), self._slot.guarded(self._committed))

    def _committed(self, answer: ActiveSession | Denied | StoreError) -> None:
        """Answer it: it is on disk, or will never be."""
        if self._slot.is_settled or self._submitted_at is None:
            return  # late; or the connection is over
        if isinstance(answer, StoreError):
            self._settle(Refused(Refusal.UNAVAILABLE, str(answer)))
            return
        self._commit_took = self._services.clock.monotonic() - self._submitted_at
        if isinstance(answer, Denied):
            self._settle(Refused(answer.reason, answer.detail))
            return
        self._accepted(answer)
        self._settle(answer)

    def _late(self) -> None:
        """Answer `deadline`."""
        self._leave()
        is_submitted = self._submitted_at is not None
        self._settle(Refused.late(self._took(), self._timings, is_submitted=is_submitted))

    def _settle(self, outcome: ActiveSession | Refused) -> None:
        if not self._slot.is_settled:
            self._outcome = outcome
            self._leave()
            self._slot.settle(self._answer)

    def _result(
        self, *, call: str, user: str, facts: Mapping[str, str] = NO_FACTS
    ) -> tuple[ActiveSession | Refused, Callable[[], None]]:
        """Return what is answered, and what tells operators of it once that has left."""
        outcome = self._came_of_it()
        told = self._told(call=call, user=user, facts=facts)
        return outcome, partial(tell, self._services, self._owner, told, outcome)

    def _came_of_it(self) -> ActiveSession | Refused:
        return self._outcome or Refused(Refusal.UNAVAILABLE, "")

    def _told(self, *, call: str, user: str, facts: Mapping[str, str] = NO_FACTS) -> Told:
        return Told(
            call=call,
            user=user,
            took=self._took(),
            commit=self._commit_took,
            timings=self._timings,
            facts=facts,
        )

    def _took(self) -> float:
        return self._services.clock.monotonic() - self._slot.began
