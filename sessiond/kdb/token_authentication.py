"""What logins and renewals by an issuer's tokens have in common: verified, then recorded."""

from abc import abstractmethod

from sessiond.core.access import Denied
from sessiond.core.changes import Change
from sessiond.core.session import ActiveSession
from sessiond.gate import VerifiedLogin
from sessiond.kdb.authentication import Authentication
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Slot
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.telling import Refused
from sessiond.kdb.verification import Outcome, Verification


class TokenAuthentication(Authentication):
    """Tokens that were presented, until they are answered."""

    def __init__(
        self, services: LoginServices, owner: Owner, slot: Slot, tasks: ConnectionTasks
    ) -> None:
        """Take the call's place; `tasks` is where what has to wait runs."""
        self._verification = Verification(services, owner, slot, tasks, self._verified)
        super().__init__(services, owner, slot, self._verification.timings)
        self._login: VerifiedLogin | None = None

    @abstractmethod
    def _change_by(self, login: VerifiedLogin) -> Change[ActiveSession | Denied]:
        """Return what is to be recorded of verified tokens."""

    def _change(self) -> Change[ActiveSession | Denied]:
        if self._login is None:
            raise RuntimeError("nothing is recorded before it is verified")
        return self._change_by(self._login)

    def _verified(self, outcome: Outcome) -> None:
        """Have it recorded, when the messages before it are."""
        if isinstance(outcome, VerifiedLogin):
            self._login = outcome
            self._slot.enter(self._submit)
        else:
            self._settle(Refused.by(outcome))

    def _accepted(self, active: ActiveSession) -> None:
        if self._login is not None:
            self._verification.hold(self._login, active)

    def _leave(self) -> None:
        self._verification.leave()
