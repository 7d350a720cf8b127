"""What a presented ticket comes to, as far as it can be said without the table."""

from dataclasses import dataclass

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import read_ticket
from sessiond.core.secret import Secret
from sessiond.core.ticket import Ticket
from sessiond.core.verdict import PresentedTokens
from sessiond.tickets import verdicts
from sessiond.tickets.claims import TicketClaims
from sessiond.tickets.keys import TicketKeys
from sessiond.tickets.needs import TicketServices
from sessiond.tickets.pace import A_SECOND, AT_ONCE, Pace
from sessiond.tickets.reading import PresentedAt, TicketCheck, TicketReading

Progress = list[TicketCheck]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTicket:
    """A ticket of ours, for this process and user. The table says whether it still counts."""

    ticket: Ticket
    presented: PresentedTokens | None  # of an exchanged one: whose token was shown


class Checking:
    """One for all processes. It spends nothing."""

    def __init__(self, services: TicketServices, keys: TicketKeys) -> None:
        self._services = services
        self._keys = keys
        self._pace = Pace()

    def check(
        self, password: Secret, *, process: str | None, typed: str, passed: Progress | None = None
    ) -> CheckedTicket:
        """Return what a ticket says, once all of it was checked that it can show itself.

        Args:
            password: As it was presented, with its mark.
            process: The name of the process that it was presented at; None: of none yet.
            typed: The name that was typed beside it.
            passed: Filled with the checks that it has passed, however this ends.

        Raises:
            TokenRejected: It is refused.
        """
        reading = TicketReading(
            read_ticket(password.reveal()),
            self._services.settings(),
            self._keys.public,
            PresentedAt(process=process, typed=typed, now=self._services.clock.now()),
            passed,
        )
        claims = reading.read()
        return CheckedTicket(
            ticket=Ticket(
                id=claims.jti, name=claims.name, parent=claims.sid, expires_at=claims.expires_at
            ),
            presented=None if claims.verdict is None else self._presented(claims, claims.verdict),
        )

    def check_pace(self, checked: CheckedTicket) -> None:
        """Count a ticket that is about to be spent.

        Raises:
            TokenRejected: THROTTLED: its user has spent too many lately.
        """
        if not self._pace.take(checked.ticket.name, now=self._services.clock.monotonic()):
            raise TokenRejected(
                Refusal.THROTTLED,
                f"the user has spent {AT_ONCE} tickets and goes on, wanted at most {A_SECOND} a "
                "second: keep handles open that are used again",
            )

    def count(self, refused: Refusal | None) -> None:
        """Count a login with a ticket; None: it was let in."""
        if refused is None:
            self._services.counts.spent += 1
        else:
            self._services.counts.refuse("login", refused.value)

    def _presented(self, claims: TicketClaims, verdict: str) -> PresentedTokens:
        services, settings = self._services, self._services.settings()
        presented = None
        if settings is not None:
            presented = verdicts.opened(
                verdict, claims.jti, settings, services.sealing(), instance=services.instance
            )
        if presented is None:
            raise TokenRejected(
                Refusal.MALFORMED,
                "what the ticket holds does not open with the store's keys, wanted one that was "
                "made since they were changed: exchange the token again",
            )
        return presented
