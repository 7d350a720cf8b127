"""What `[tickets]` must fit: whose names no stranger can say, and an issuer that is nobody else."""

from collections.abc import Iterator, Sequence

from sessiond.config.access_tables import AccessConfig
from sessiond.config.guarded import problems_of_unguarded
from sessiond.config.patterns import overlap
from sessiond.config.tables import IssuerConfig
from sessiond.config.ticket_tables import TicketsConfig

MAX_AUDIENCES = 100  # patterns: each is compared with each [[access.process]]
MAX_EXCHANGERS = 1000


def problems_of_tickets(
    tickets: TicketsConfig | None, issuers: Sequence[IssuerConfig], access: AccessConfig
) -> Iterator[str]:
    """Find tickets that would be for anybody, or that could be taken for another issuer's."""
    if tickets is None:
        return
    if not tickets.audiences:
        yield (
            "tickets.audiences is empty, must match the names of the processes that tickets are "
            "for: shell patterns"
        )
    for key, most in (("audiences", MAX_AUDIENCES), ("exchangers", MAX_EXCHANGERS)):
        number = len(getattr(tickets, key))
        if number > most:
            yield f"tickets.{key} has {number} values, must have at most {most}"
    patterns = tickets.audiences[:MAX_AUDIENCES]
    for number, pattern in enumerate(patterns, start=1):
        if not overlap(pattern, "*"):
            yield f"tickets.audiences[{number}] matches nothing, must match some"
            return
    yield from problems_of_unguarded("tickets.audiences", patterns, access)
    for issuer in issuers:
        if tickets.issuer in (issuer.issuer, *issuer.also_issued_as):
            yield (
                f"tickets.issuer belongs to issuer[{issuer.name}] already, must be another: it is "
                "sessiond's own"
            )
