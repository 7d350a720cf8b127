"""Exchanges an access token for a ticket (RFC 8693): for programs that act for a user who is there.

Whoever asks was let in by the operator. The token is verified as at a login beside which nobody
typed a name, and nothing of it is kept here: what was found is sealed within the ticket.
"""

import math
from dataclasses import dataclass

import anyio

from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.password import MAX_PASSWORD_SIZE, TICKET_MARK
from sessiond.core.queries import CheckAdmission
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey
from sessiond.core.ticket import TicketId
from sessiond.core.verdict import PresentedTokens
from sessiond.gate import LoginTimings, VerifiedLogin
from sessiond.tickets import verdicts
from sessiond.tickets.claims import TicketClaims
from sessiond.tickets.exchange_request import (
    ExchangeError,
    ExchangeRefused,
    ExchangeRequest,
    read_request,
)
from sessiond.tickets.issuing import IssuedTicket, NoTicket, ends_at, not_for, signed_by
from sessiond.tickets.keys import TicketKeys
from sessiond.tickets.needs import TicketServices
from sessiond.tickets.settings import TicketSettings

_NOT_NOW = (Refusal.UNAVAILABLE, Refusal.THROTTLED, Refusal.DEADLINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """A ticket for who has shown a token."""

    issued: IssuedTicket
    user: str
    issuer: str
    audience: str
    expires_in: int  # seconds from now


class SubjectRefused(ExchangeRefused):
    """The token itself is not taken: why is for the log, and only a word of it for who asked."""

    def __init__(self, reason: Refusal, detail: str, issuer: str) -> None:
        is_later = reason in _NOT_NOW
        error = ExchangeError.TEMPORARILY_UNAVAILABLE if is_later else ExchangeError.INVALID_REQUEST
        super().__init__(error, f"the subject token is refused: {reason.value}")
        self.reason = reason
        self.detail = detail
        self.issuer = issuer  # whom it was taken to; empty: it did not come to that


class Exchange:
    """One for all who ask."""

    def __init__(self, services: TicketServices, keys: TicketKeys) -> None:
        self._services = services
        self._keys = keys

    async def exchange(self, form: bytes, asker: ProcessKey) -> Exchanged:
        """Return the ticket that a request is answered with.

        Args:
            form: The body, application/x-www-form-urlencoded.
            asker: Who asks: each has places of his own at the issuers.

        Raises:
            ExchangeRefused: There is none.
            StoreError: The table could not be asked.
        """
        settings = self._services.settings()
        if settings is None:
            raise ExchangeRefused(ExchangeError.UNAUTHORIZED_CLIENT, "tickets are off here")
        request = read_request(form)
        if not_for(request.audience, settings) is not None:
            raise ExchangeRefused(
                ExchangeError.INVALID_TARGET, "tickets.audiences does not match the audience"
            )
        verified, presented = await self._verified(request, settings, asker)
        issued = self._issued(settings, request.audience, presented)
        left = issued.expires_at - self._services.clock.now()
        return Exchanged(
            issued=issued,
            user=verified.verdict.principal.name,
            issuer=verified.verdict.principal.issuer,
            audience=request.audience,
            expires_in=math.floor(left.total_seconds()),
        )

    async def _verified(
        self, request: ExchangeRequest, settings: TicketSettings, asker: ProcessKey
    ) -> tuple[VerifiedLogin, PresentedTokens]:
        """Return what the token proves, if it would let its user in now."""
        services = self._services
        presented_at, timings = services.clock.now(), LoginTimings()
        try:
            password = services.gate.read_bearer(request.subject_token.reveal())
            if request.is_jwt and not password.is_jwt:
                raise TokenRejected(Refusal.MALFORMED, "said to be a JWT, wanted one: present it")
            with anyio.fail_after(settings.deadline):
                verified = await services.gate.admit(
                    user=None, password=password, owner=asker, timings=timings
                )
        except TokenRejected as rejected:
            raise SubjectRefused(rejected.reason, rejected.detail, timings.issuer) from None
        except IssuerUnavailable as unavailable:
            raise SubjectRefused(Refusal.UNAVAILABLE, str(unavailable), timings.issuer) from None
        except TimeoutError:
            raise SubjectRefused(
                Refusal.DEADLINE,
                f"the issuer took longer than {settings.deadline:g} s, wanted a verdict by then: "
                "see its trouble in sessionctl status, or raise login.deadline",
                timings.issuer,
            ) from None
        presented = PresentedTokens(
            verdict=verified.verdict,
            access=services.hashed(verified.presented.access),
            refresh=None,
            refresh_token=None,
            client=verified.client,
            draw=services.draw(),
            presented_at=presented_at,
        )
        is_proof_due = verified.verdict.principal.issuer in settings.proved
        denied = await services.table.ask(
            CheckAdmission(presented=presented, is_proof_due=is_proof_due)
        )
        if denied is not None:
            raise SubjectRefused(denied.reason, denied.detail, timings.issuer)
        return verified, presented

    def _issued(
        self, settings: TicketSettings, audience: str, presented: PresentedTokens
    ) -> IssuedTicket:
        services, verdict = self._services, presented.verdict
        now, ticket = services.clock.now(), TicketId(services.new_id())
        claims = TicketClaims(
            iss=settings.issuer,
            sub=verdict.principal.subject,
            name=verdict.principal.name,
            aud=audience,
            jti=ticket,
            iat=math.floor(now.timestamp()),
            exp=ends_at(settings, now=now, at_most=verdict.lease.expires_at),
            verdict=verdicts.sealed(
                presented, ticket, settings, services.sealing(), instance=services.instance
            ),
        )
        issued = signed_by(self._keys, claims)
        if isinstance(issued, NoTicket):
            raise ExchangeRefused(ExchangeError.TEMPORARILY_UNAVAILABLE, "no key signs yet")
        if _is_too_large(issued.ticket):
            raise ExchangeRefused(
                ExchangeError.INVALID_REQUEST,
                "the user has so many roles and attributes that no password could hold his ticket: "
                "have fewer put into the token",
            )
        return issued


def _is_too_large(ticket: Secret) -> bool:
    return len(TICKET_MARK) + len(ticket.reveal()) > MAX_PASSWORD_SIZE
