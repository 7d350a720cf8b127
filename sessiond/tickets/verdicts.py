"""What was verified about a token that was shown, sealed within the ticket that it was shown for.

So nothing is kept here for tickets that nobody spends. What is sealed has no token in it: it would
not open a session elsewhere. It opens for the one ticket that it was sealed for.
"""

import base64
import binascii
from datetime import datetime
from uuid import UUID

import msgspec

from sessiond.core.errors import SessiondError
from sessiond.core.grant import TokenHash
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret
from sessiond.core.ticket import TicketId
from sessiond.core.verdict import PresentedTokens, Verdict
from sessiond.tickets.needs import Sealing
from sessiond.tickets.settings import TicketSettings


class _Members(msgspec.Struct, frozen=True, array_like=True):
    """As it is sealed."""

    instance: UUID  # the run of the daemon that has verified it
    issuer: str  # the digest of the issuer's table, as it was then
    principal: Principal
    lease: tuple[datetime, datetime]
    roles: tuple[str, ...]
    reasons: dict[str, tuple[str, ...]]
    attributes: dict[str, str]
    stated_iat: datetime | None
    key_id: str | None
    states_end: bool
    generation: int
    auth_time: datetime | None
    acr: tuple[str, ...]
    overage: bool
    access: bytes
    client: str
    draw: float
    presented_at: datetime


def sealed(
    presented: PresentedTokens,
    ticket: TicketId,
    settings: TicketSettings,
    sealing: Sealing,
    *,
    instance: UUID,
) -> str:
    """Return what was verified, for one ticket. A refresh token is no part of it."""
    verdict = presented.verdict
    members = _Members(
        instance=instance,
        issuer=settings.issuers.get(verdict.principal.issuer, ""),
        principal=verdict.principal,
        lease=(verdict.lease.issued_at, verdict.lease.expires_at),
        roles=verdict.roles,
        reasons=dict(verdict.reasons),
        attributes=dict(verdict.attributes),
        stated_iat=verdict.stated_iat,
        key_id=verdict.key_id,
        states_end=verdict.states_end,
        generation=verdict.generation,
        auth_time=verdict.auth_time,
        acr=verdict.acr,
        overage=verdict.overage,
        access=presented.access,
        client=presented.client,
        draw=presented.draw,
        presented_at=presented.presented_at,
    )
    plain = Secret(msgspec.json.encode(members).decode())
    return (
        base64.urlsafe_b64encode(sealing.seal(plain, **_place(ticket))).decode("ascii").rstrip("=")
    )


def opened(
    text: str, ticket: TicketId, settings: TicketSettings, sealing: Sealing, *, instance: UUID
) -> PresentedTokens | None:
    """Return what was sealed for a ticket; None: it opens no more.

    A verdict counts under the issuer's configuration that it was found by. Those of an earlier run
    are numbered otherwise: theirs counts under that of now where the table is the same.
    """
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        plain = sealing.unseal(octets, **_place(ticket))
        members = msgspec.json.decode(plain.reveal(), type=_Members)
    except (binascii.Error, SessiondError, msgspec.DecodeError):  # or by another version
        return None
    name, generation = members.principal.issuer, members.generation
    if members.instance != instance:
        is_same = settings.issuers.get(name) == members.issuer
        generation = settings.generations.get(name, 0) if is_same else -1
    begin, end = members.lease
    verdict = Verdict(
        principal=members.principal,
        lease=Lease(issued_at=begin, expires_at=end),
        roles=members.roles,
        reasons=members.reasons,
        attributes=members.attributes,
        stated_iat=members.stated_iat,
        key_id=members.key_id,
        states_end=members.states_end,
        generation=generation,
        auth_time=members.auth_time,
        acr=members.acr,
        overage=members.overage,
    )
    return PresentedTokens(
        verdict=verdict,
        access=TokenHash(members.access),
        refresh=None,
        refresh_token=None,
        client=members.client,
        draw=members.draw,
        presented_at=members.presented_at,
    )


def _place(ticket: TicketId) -> dict[str, str]:
    return {
        "table": "tickets",
        "column": "verdict",
        "row": str(ticket),
        "issuer": "",
        "subject": "",
    }
