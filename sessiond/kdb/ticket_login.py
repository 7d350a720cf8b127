"""A `connect` with a ticket: judged at once, recorded in its turn, answered in time.

No issuer is asked. Whether the ticket was spent, and whether its parent lives, the table says as it
lets its bearer in.
"""

from sessiond.core.access import Denied
from sessiond.core.changes import Change, OpenTicket, Withdraw
from sessiond.core.errors import TokenRejected
from sessiond.core.grant import GrantId
from sessiond.core.principal import shown
from sessiond.core.session import ActiveSession, SessionId
from sessiond.gate import LoginTimings
from sessiond.kdb import replies
from sessiond.kdb.authentication import Authentication
from sessiond.kdb.calls import Connect
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.kdb.telling import Refused
from sessiond.tickets.checking import CheckedTicket, Checking


class TicketLogin(Authentication):
    """One of them. No live session follows an answer that came late: it is withdrawn."""

    def __init__(
        self,
        checking: Checking,
        services: LoginServices,
        owner: Owner,
        call: Connect,
        slot: Slot,
    ) -> None:
        """Take the call; `begin` goes on with it. See `Authentication` for the others."""
        super().__init__(services, owner, slot, LoginTimings())
        self._checking = checking
        self._call = call
        self._session = SessionId(services.new_id())
        self._checked: CheckedTicket | None = None

    def begin(self) -> None:
        """Judge it, and have it recorded when the messages before it are."""
        try:
            self._checked = self._checking.check(
                self._call.password, process=self._owner.about.name, typed=self._call.user
            )
            self._checking.check_pace(self._checked)
        except TokenRejected as rejected:
            self._settle(Refused.by(rejected))
        else:
            self._slot.enter(self._submit)

    def _change(self) -> Change[ActiveSession | Denied]:
        if self._checked is None:
            raise RuntimeError("nothing is recorded before it is judged")
        return OpenTicket(
            session=self._session,
            grant=GrantId(self._services.new_id()),
            process=self._owner.key,
            about=self._owner.about,
            typed=self._call.user,
            handle=self._call.handle,
            address=self._call.address,
            ticket=self._checked.ticket,
            presented=self._checked.presented,
        )

    def _late(self) -> None:
        if self._submitted_at is not None:
            self._services.table.submit(Withdraw(session=self._session))
        super()._late()

    def _answer(self) -> Encoded:
        outcome, then = self._result(
            call="connect", user=shown(self._call.user), facts=self._facts()
        )
        if isinstance(outcome, Refused):
            self._checking.count(outcome.reason)
            return Encoded(replies.refused(outcome.reason), then)
        self._checking.count(None)
        return Encoded(replies.accepted(outcome), then)

    def _facts(self) -> dict[str, str]:
        """Return what the log has of the ticket, once its signature was seen to hold."""
        if self._checked is None:
            return {}
        ticket = self._checked.ticket
        of_parent = {} if ticket.parent is None else {"parent": str(ticket.parent)}
        return {"ticket": str(ticket.id), **of_parent}
