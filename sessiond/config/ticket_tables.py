"""What `[tickets]` holds: for whom tickets are made, and for how long."""

from msgspec import Struct

from sessiond.config.value_types import (
    Account,
    NamePattern,
    TicketDepth,
    TicketIssuer,
    TicketLifetime,
)


class TicketsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[tickets]` table; without one there are no tickets."""

    issuer: TicketIssuer = ""  # empty: a URN of the machine's name
    lifetime: TicketLifetime = 30.0  # seconds
    depth: TicketDepth = 1
    audiences: tuple[NamePattern, ...] = ()  # on the names of processes
    exchangers: tuple[Account, ...] = ()  # users or @groups
