"""Tickets as they stand, for operators."""

from datetime import datetime

from msgspec import Struct

from sessiond.tickets.rotation import signs_since
from sessiond.tickets.tickets import Tickets


class TicketKeyStatus(Struct, frozen=True, kw_only=True):
    """A key that tickets are signed with, or were, or will be."""

    kid: str
    published_at: datetime
    signs_at: datetime  # when it begins to
    is_signing: bool


class TicketsStatus(Struct, frozen=True, kw_only=True):
    """Tickets, by one who makes them. The numbers are since the start."""

    issuer: str
    keys: list[TicketKeyStatus]
    next_key_at: datetime | None  # when the next is made; null: there is none yet
    issued: int
    exchanged: int  # those of them that were given for a token
    spent: int
    refused: int  # that were asked for, or presented


def tickets_status(tickets: Tickets) -> TicketsStatus | None:
    """Return them as they stand; None: they are off."""
    settings = tickets.settings()
    if settings is None:
        return None
    signing = tickets.keys.signing
    return TicketsStatus(
        issuer=settings.issuer,
        keys=[
            TicketKeyStatus(
                kid=each.id,
                published_at=each.made_at,
                signs_at=signs_since(each),
                is_signing=signing is not None and signing.id == each.id,
            )
            for each in tickets.keys.published
        ],
        next_key_at=tickets.keys.next_due_at,
        issued=tickets.counts.issued.total(),
        exchanged=tickets.counts.issued["exchange"],
        spent=tickets.counts.spent,
        refused=tickets.counts.refused.total(),
    )
