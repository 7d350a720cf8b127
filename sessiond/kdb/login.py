"""A `connect`: verified beside other messages, recorded in its turn, answered in time."""

from sessiond.core.changes import Open, Withdraw
from sessiond.core.grant import GrantId
from sessiond.core.principal import shown
from sessiond.core.session import SessionId
from sessiond.gate import VerifiedLogin
from sessiond.kdb import replies
from sessiond.kdb.calls import Connect
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.telling import Refused
from sessiond.kdb.token_authentication import TokenAuthentication


class Login(TokenAuthentication):
    """One of them. No live session follows an answer that came late: it is withdrawn."""

    def __init__(
        self,
        services: LoginServices,
        owner: Owner,
        call: Connect,
        slot: Slot,
        tasks: ConnectionTasks,
    ) -> None:
        """Take the call; `begin` goes on with it. See `TokenAuthentication` for the others."""
        super().__init__(services, owner, slot, tasks)
        self._call = call
        self._session = SessionId(services.new_id())

    def begin(self) -> None:
        """Have it verified: at once where that needs nobody, else beside the other messages."""
        self._verification.begin(self._call.user, self._call.password)

    def _change_by(self, login: VerifiedLogin) -> Open:
        return Open(
            session=self._session,
            grant=GrantId(self._services.new_id()),
            process=self._owner.key,
            about=self._owner.about,
            typed=self._call.user,
            handle=self._call.handle,
            address=self._call.address,
            presented=self._verification.presented(login),
        )

    def _late(self) -> None:
        if self._submitted_at is not None:
            self._services.table.submit(Withdraw(session=self._session))
        super()._late()

    def _answer(self) -> Encoded:
        outcome, then = self._result(call="connect", user=shown(self._call.user))
        if isinstance(outcome, Refused):
            return Encoded(replies.refused(outcome.reason), then)
        return Encoded(replies.accepted(outcome), then)
