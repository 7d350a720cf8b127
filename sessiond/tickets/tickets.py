"""The parts of the room, as others are given them."""

from collections.abc import Callable
from dataclasses import dataclass

from sessiond.tickets.checking import Checking
from sessiond.tickets.counts import TicketCounts
from sessiond.tickets.exchange import Exchange
from sessiond.tickets.issuing import Issuing
from sessiond.tickets.keys import TicketKeys
from sessiond.tickets.needs import TicketServices
from sessiond.tickets.settings import TicketSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Tickets:
    """One for the daemon."""

    settings: Callable[[], TicketSettings | None]  # those of now; None: there are no tickets
    keys: TicketKeys
    issuing: Issuing
    checking: Checking
    exchange: Exchange
    counts: TicketCounts

    @classmethod
    def of(cls, services: TicketServices) -> "Tickets":
        """Make them."""
        keys = TicketKeys(services)
        return cls(
            settings=services.settings,
            keys=keys,
            issuing=Issuing(services, keys),
            checking=Checking(services, keys),
            exchange=Exchange(services, keys),
            counts=services.counts,
        )
