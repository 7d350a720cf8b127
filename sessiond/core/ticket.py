"""Tickets: passwords for one login of somebody who has signed in elsewhere, signed by this host."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NewType
from uuid import UUID

from msgspec import Struct

from sessiond.core.session import SessionId

TicketId = NewType("TicketId", UUID)  # the `jti` (RFC 7519, 4.1.7)

# How much longer than a ticket lasts it is known to be spent. Whether it has run out is judged by
# the wall clock: set back by less than this, also while the daemon was down, it brings none back.
SPENT_KEPT = timedelta(minutes=10)
MAX_SPENT = 250_000  # that are known to be spent, of all users: some 400 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket whose signature holds: what it says."""

    id: TicketId
    name: str  # the verified name of whom it lets in
    parent: SessionId | None  # the session that it was made for; None: for a token that was shown
    expires_at: datetime


class SpentTicket(Struct, frozen=True, gc=False):
    """The trace of a ticket that has opened its session: it opens no other."""

    id: TicketId
    session: SessionId
    keep_until: datetime  # after this the ticket has long run out


class TicketKey(Struct, frozen=True, gc=False):
    """A key that tickets are signed with. The private half is sealed beside it."""

    id: str  # `kid`: its thumbprint (RFC 7638)
    public: bytes  # 32: Ed25519 (RFC 8032)
    made_at: datetime
