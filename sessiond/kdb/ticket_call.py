"""A `ticket`: a process asks for one, for one of its sessions and one other process."""

from functools import partial

import structlog

from sessiond.core.errors import StoreError
from sessiond.core.principal import shown
from sessiond.core.queries import FindSession
from sessiond.core.session import ActiveSession
from sessiond.gate import LoginTimings
from sessiond.kdb import replies
from sessiond.kdb.calls import TicketCall
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.slots import Encoded, Slot
from sessiond.tickets.issuing import Issuing, NoTicket, TicketRefusal

log = structlog.get_logger()


class TicketRequest:
    """One of them. It changes nothing: what the table is asked is what the session is by then."""

    def __init__(
        self, issuing: Issuing, services: LoginServices, owner: Owner, call: TicketCall, slot: Slot
    ) -> None:
        """Take the call; `begin` goes on with it.

        Args:
            issuing: Makes tickets.
            services: The table that knows the session, and a clock.
            owner: Whose call it is.
            call: The call.
            slot: Its place among the messages in hand.
        """
        self._issuing = issuing
        self._services = services
        self._owner = owner
        self._call = call
        self._slot = slot
        self._found: ActiveSession | None = None
        late = NoTicket(
            TicketRefusal.DEADLINE,
            "it was not its turn in time, wanted that by login.deadline: see whether the disk is "
            "slow",
        )
        slot.late = partial(self._settle, late)

    def begin(self) -> None:
        """Look the session up, once the messages before have entered the table."""
        self._slot.enter(self._submit)

    def _submit(self) -> None:
        find = FindSession(process=self._owner.key, session=self._call.session)
        self._services.table.submit(find, self._slot.guarded(self._answered))

    def _answered(self, found: ActiveSession | StoreError | None) -> None:
        if isinstance(found, StoreError):
            self._settle(NoTicket(TicketRefusal.UNAVAILABLE, found.args[0]))
            return
        self._found = found
        self._slot.settle(self._ticket)

    def _ticket(self) -> Encoded:
        """Make it as the answer leaves: its time begins then."""
        made = self._issuing.issue(self._found, self._call.audience)
        if isinstance(made, NoTicket):
            return Encoded(replies.no_ticket(made.reason), partial(self._tell_refused, made))
        self._issuing.count()
        return Encoded(
            replies.ticket(made), partial(self._tell, outcome="issued", ticket=str(made.id))
        )

    def _settle(self, refused: NoTicket) -> None:
        told = partial(self._tell_refused, refused)
        self._slot.settle(partial(Encoded, replies.no_ticket(refused.reason), told))

    def _tell_refused(self, refused: NoTicket) -> None:
        self._issuing.count(refused.reason)
        self._tell(outcome="refused", reason=refused.reason.value, detail=refused.detail)

    def _tell(self, **facts: str) -> None:
        """Log what came of it, never the ticket."""
        session = None if self._found is None else self._found.session
        took = self._services.clock.monotonic() - self._slot.began
        self._services.metrics.answered("ticket", facts["outcome"], took, LoginTimings())
        log.info(
            "ticket",
            process=self._owner.about.name,
            audience=shown(self._call.audience),
            session=str(self._call.session),
            user="" if session is None else session.principal.name,
            issuer="" if session is None else session.principal.issuer,
            **facts,
            answer_ms=round(took * 1e3, 2),
        )
