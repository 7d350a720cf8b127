"""Tickets over the control socket: their keys, and the exchange of a token for one."""

from http import HTTPStatus

import msgspec
import structlog
from msgspec import Struct
from starlette.responses import Response

from sessiond.control.access import Right
from sessiond.control.operation import Asked, Operation
from sessiond.control.view import View
from sessiond.core.errors import StoreError
from sessiond.core.principal import shown
from sessiond.core.session import ProcessKey
from sessiond.system.peer import Peer
from sessiond.tickets.exchange import Exchanged, SubjectRefused
from sessiond.tickets.exchange_request import JWT, MAX_FORM, ExchangeError, ExchangeRefused
from sessiond.tickets.signing import jwk

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
LANE = "token"
AGAIN_IN = 1  # seconds
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}  # RFC 6749, 5.1
NOT_APPLICABLE = "N_A"  # RFC 8693, 2.2.1: it is no token to be sent as a Bearer

log = structlog.get_logger()


class TicketJwk(Struct, frozen=True, kw_only=True):
    """A public key that tickets are signed with (RFC 7517, RFC 8037)."""

    kty: str
    crv: str
    x: str
    use: str
    alg: str
    kid: str


class TicketJwks(Struct, frozen=True, kw_only=True):
    """The keys of now, and those that were or will be soon. Without `[tickets]` there are none."""

    keys: list[TicketJwk]


class TicketExchanged(Struct, frozen=True, kw_only=True):
    """A ticket, in place of a token (RFC 8693, 2.2.1)."""

    access_token: str  # without the mark that makes it a password
    issued_token_type: str = JWT
    token_type: str = NOT_APPLICABLE
    expires_in: int  # seconds

    def __repr__(self) -> str:
        return "TicketExchanged(***)"


class TokenError(Struct, frozen=True, kw_only=True):
    """Why there is no ticket (RFC 6749, 5.2; RFC 8693, 2.2.2)."""

    error: ExchangeError
    error_description: str


async def _keys(view: View, _: Asked) -> TicketJwks:
    public = view.tickets.keys.public.values()
    return TicketJwks(keys=[TicketJwk(**jwk(each)) for each in public])


async def _exchange(view: View, asked: Asked) -> Response:
    """Answer in the words of RFC 8693 alone, whatever comes of it."""
    began = view.clock.monotonic()
    try:
        _check_exchanger(view, asked.peer)
        exchanged = await view.tickets.exchange.exchange(asked.content, _asker(asked.peer))
    except ExchangeRefused as refused:
        _tell_refused(view, asked.peer, refused, began)
        return _refusal(refused.error, refused.description)
    except StoreError as error:
        unwritten = ExchangeRefused(ExchangeError.TEMPORARILY_UNAVAILABLE, "the table is not there")
        log.warning("exchange put off", error=str(error))
        return _refusal(unwritten.error, unwritten.description)
    _tell(view, asked.peer, exchanged, began)
    body = TicketExchanged(
        access_token=exchanged.issued.ticket.reveal(), expires_in=exchanged.expires_in
    )
    return Response(msgspec.json.encode(body), media_type=JSON, headers=NO_STORE)


def _check_exchanger(view: View, peer: Peer) -> None:
    exchangers = view.settings().exchangers
    if exchangers is None or not exchangers.admits(peer):
        raise ExchangeRefused(
            ExchangeError.UNAUTHORIZED_CLIENT,
            f"user {peer.uid} is not among tickets.exchangers, who may do that",
        )


def _asker(peer: Peer) -> ProcessKey:
    """Return whose places at the issuers it takes: the peer's own, apart from q's and `explain`."""
    return ProcessKey(uid=peer.uid, pid=peer.pid, started=peer.started, label="exchange")


def _refusal(error: ExchangeError, description: str) -> Response:
    body = TokenError(error=error, error_description=description)
    is_later = error is ExchangeError.TEMPORARILY_UNAVAILABLE
    headers = {**NO_STORE, "retry-after": str(AGAIN_IN)} if is_later else NO_STORE
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_later else HTTPStatus.BAD_REQUEST
    return Response(msgspec.json.encode(body), status, media_type=JSON, headers=headers)


def _tell(view: View, peer: Peer, exchanged: Exchanged, began: float) -> None:
    view.tickets.counts.issued["exchange"] += 1
    log.info(
        "exchange",
        outcome="issued",
        uid=peer.uid,
        pid=peer.pid,
        user=exchanged.user,
        issuer=exchanged.issuer,
        audience=shown(exchanged.audience),
        ticket=str(exchanged.issued.id),
        answer_ms=_milliseconds(view, began),
    )


def _tell_refused(view: View, peer: Peer, refused: ExchangeRefused, began: float) -> None:
    reason, detail = refused.error.value, refused.description
    if isinstance(refused, SubjectRefused):
        reason, detail = refused.reason.value, refused.detail
        view.table.note_refusal(user="", issuer=refused.issuer, process=None, reason=refused.reason)
    view.tickets.counts.refuse("exchange", reason)
    log.info(
        "exchange",
        outcome="refused",
        uid=peer.uid,
        pid=peer.pid,
        reason=reason,
        detail=detail,
        answer_ms=_milliseconds(view, began),
    )


def _milliseconds(view: View, began: float) -> float:
    return round((view.clock.monotonic() - began) * 1e3, 2)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/v1/keys",
        summary="The keys that tickets are signed with, for whoever checks them (a JWK Set)",
        carry_out=_keys,
        right=Right.CONNECT,
        answer=TicketJwks,
    ),
    Operation(
        method="POST",
        path="/v1/token",
        summary="Exchange an access token for a ticket (RFC 8693)",
        carry_out=_exchange,
        right=Right.CONNECT,
        only_for="tickets.exchangers",
        lane=LANE,
        is_brisk=True,
        content=frozenset({FORM}),
        content_limit=MAX_FORM,
        answer=TicketExchanged,
        refusals={HTTPStatus.BAD_REQUEST: TokenError, HTTPStatus.SERVICE_UNAVAILABLE: TokenError},
    ),
)
