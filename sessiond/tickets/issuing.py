"""Makes tickets for sessions, at the word of the process that holds them."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sessiond.core.printable import seen
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, SessionState
from sessiond.core.ticket import TicketId
from sessiond.tickets.audience import name_of
from sessiond.tickets.claims import TicketClaims
from sessiond.tickets.keys import TicketKeys
from sessiond.tickets.needs import TicketServices
from sessiond.tickets.settings import TicketSettings

_IN_USE = (SessionState.OPEN, SessionState.WEB)


class TicketRefusal(StrEnum):
    """Why there is no ticket: the `reason` that q gets."""

    NOSESSION = "nosession"  # none that is live and open, of the process that asks
    DEPTH = "depth"  # one too many tickets would lie between it and its user's sign-in
    NOTALLOWED = "notallowed"  # not for that audience; or tickets are off
    UNAVAILABLE = "unavailable"  # nothing signs, or the table cannot be asked
    DEADLINE = "deadline"  # the answer would have come too late


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedTicket:
    """A ticket, and what may be told of it."""

    id: TicketId
    ticket: Secret  # without a mark
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NoTicket:
    """Why there is none, and what to do."""

    reason: TicketRefusal
    detail: str  # for the log


class Issuing:
    """One for all processes."""

    def __init__(self, services: TicketServices, keys: TicketKeys) -> None:
        self._services = services
        self._keys = keys

    def issue(self, parent: ActiveSession | None, audience: str) -> IssuedTicket | NoTicket:
        """Return a ticket for a session and one process, or why there is none.

        Args:
            parent: A session of the process that asks; None: that has no such session.
            audience: NAME, or NAME@HOST, of the process that is to be logged in at.
        """
        settings = self._services.settings()
        if settings is None:
            return NoTicket(
                TicketRefusal.NOTALLOWED,
                "tickets are off, wanted them on: configure [tickets], with its audiences",
            )
        if parent is None or not self._is_in_use(parent):
            return _no_session(parent)
        return _refusal(parent, audience, settings) or self._signed(settings, parent, audience)

    def count(self, refused: TicketRefusal | None = None) -> None:
        """Count a ticket that was asked for; None: there is one."""
        if refused is None:
            self._services.counts.issued["call"] += 1
        else:
            self._services.counts.refuse("call", refused.value)

    def _is_in_use(self, parent: ActiveSession) -> bool:
        return parent.session.state in _IN_USE and parent.expires_at > self._services.clock.now()

    def _signed(
        self, settings: TicketSettings, parent: ActiveSession, audience: str
    ) -> IssuedTicket | NoTicket:
        principal = parent.session.principal
        now = self._services.clock.now()
        claims = TicketClaims(
            iss=settings.issuer,
            sub=principal.subject,
            name=principal.name,
            aud=audience,
            jti=TicketId(self._services.new_id()),
            iat=math.floor(now.timestamp()),
            exp=ends_at(settings, now=now, at_most=parent.expires_at),
            sid=parent.session.id,
        )
        return signed_by(self._keys, claims)


def _no_session(found: ActiveSession | None) -> NoTicket:
    saw = "no live session of this process has that id" if found is None else "it is not open"
    return NoTicket(
        TicketRefusal.NOSESSION,
        f"{saw}, wanted one that is: ask with the id that connect has given, once it is opened",
    )


def _refusal(parent: ActiveSession, audience: str, settings: TicketSettings) -> NoTicket | None:
    hops = parent.session.hops
    if hops >= settings.depth:
        return NoTicket(
            TicketRefusal.DEPTH,
            f"the session was brought by {hops} tickets one after the other, wanted fewer than "
            f"{settings.depth}: have the user log in there, or raise tickets.depth",
        )
    return not_for(audience, settings)


def not_for(audience: str, settings: TicketSettings) -> NoTicket | None:
    """Return why nobody gets a ticket for an audience; None: somebody may."""
    name = name_of(audience, settings.host)
    if name is None:
        return NoTicket(
            TicketRefusal.NOTALLOWED,
            f"the audience is {seen(audience)}, of another host than {seen(settings.host)}, wanted "
            "a process of this one: a ticket is spent where it was made",
        )
    if not settings.may_be_for(name):
        return NoTicket(
            TicketRefusal.NOTALLOWED,
            f"the audience is {seen(audience)}, which tickets.audiences does not match, wanted one "
            "that it does: add it there, with the users that it runs as in [[access.process]]",
        )
    return None


def ends_at(settings: TicketSettings, *, now: datetime, at_most: datetime) -> int:
    """Return when a ticket that is made now ends, and no later than its user may: the second begun.

    A JWT's times are whole here. Who spends one in that last second is judged by his own end.
    """
    return math.ceil(min(now + settings.lifetime, at_most).timestamp())


def signed_by(keys: TicketKeys, claims: TicketClaims) -> IssuedTicket | NoTicket:
    """Return the ticket that says this."""
    signing = keys.signing
    if signing is None:
        return NoTicket(
            TicketRefusal.UNAVAILABLE,
            "there is no key to sign with yet, wanted one: see ticket keys put off in the log",
        )
    return IssuedTicket(
        id=claims.jti,
        ticket=signing.sign(claims),
        expires_at=claims.expires_at,
    )
