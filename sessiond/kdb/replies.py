"""What processes are told: whole messages of the kinds that are sent often, else kdb+ values."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from sessiond.core.errors import Refusal
from sessiond.core.events import (
    Event,
    Gap,
    LoginRefused,
    OperatorAuthorized,
    OperatorForgave,
    OperatorForgot,
    OperatorReloaded,
    OperatorRevoked,
    SessionClosed,
    SessionExpired,
    SessionOpened,
    SessionRefreshed,
    SessionRenewed,
    SessionRevoked,
    SessionRolesChanged,
    SourceIssued,
)
from sessiond.core.password import TICKET_MARK
from sessiond.core.session import ActiveSession
from sessiond.core.standing import Standing
from sessiond.qipc import (
    List,
    MessageKind,
    TableInPieces,
    Template,
    Value,
    boolean,
    guid,
    int_,
    long,
    string,
    strings,
    symbol,
    symbols,
    table,
    timespan,
    timestamp,
)
from sessiond.qipc.values import QType, Vector
from sessiond.sources.answer import Reason
from sessiond.sources.kept_token import KeptToken
from sessiond.tickets.issuing import IssuedTicket, TicketRefusal
from sessiond.web.answer import Answer

PUSH = ".sessiond.upd"
NO_SESSION = UUID(int=0)


def accepted(active: ActiveSession) -> bytes:
    """Return the seven keys of an accepted login or renewal."""
    session = active.session
    return _ANSWER.message(
        True,
        session.id,
        session.principal.name,
        session.roles,
        session.attributes,
        active.expires_at,
        "",
    )


def refused(reason: Refusal) -> bytes:
    """Return the seven keys of a refused login or renewal; nothing that the caller sent."""
    return _ANSWER.message(False, NO_SESSION, "", (), {}, None, reason.value)


def ticket(issued: IssuedTicket) -> bytes:
    """Return the four keys of the answer with a ticket, as the password that it is."""
    password = TICKET_MARK + issued.ticket.reveal()
    return _TICKET.message(True, password, issued.expires_at, "")


def no_ticket(reason: TicketRefusal) -> bytes:
    """Return the four keys of the answer without one."""
    return _TICKET.message(False, "", None, reason.value)


def token(given: KeptToken) -> bytes:
    """Return the five keys of a data source's token."""
    return _TOKEN.message(True, given.token.reveal(), given.kind, given.expires_at, "")


def no_token(reason: Reason) -> bytes:
    """Return the five keys of the answer without one."""
    return _TOKEN.message(False, "", "", None, reason.value)


def web(answer: Answer) -> bytes:
    """Return the twelve keys of the answer about a request over HTTP."""
    who: tuple[Any, ...] = "", NO_SESSION, (), {}, None
    if answer.active is not None:
        session, expires_at = answer.active.session, answer.active.expires_at
        who = session.principal.name, session.id, session.roles, session.attributes, expires_at
    return _WEB.message(
        answer.action,
        *who,
        answer.status,
        answer.headers,
        answer.body,
        answer.signout,
        answer.reason,
        answer.keep,
    )


def sessions(active_sessions: Sequence[ActiveSession]) -> Value:
    """Return a process's live sessions as a table."""
    held = [active.session for active in active_sessions]
    return table(
        {
            "session": Vector(QType.GUID, tuple(each.id for each in held)),
            "handle": Vector(QType.INT, tuple(each.handle for each in held)),
            "user": symbols(each.principal.name for each in held),
            "issuer": symbols(each.principal.issuer for each in held),
            "roles": List(tuple(symbols(each.roles) for each in held)),
            "opened": _timestamps([each.since for each in held]),
            "expires": _timestamps([each.expires_at for each in active_sessions]),
        }
    )


def push_of(event: Event) -> bytes:
    """Return an event as the push that tells a process of it."""
    match event:
        case SessionRefreshed():
            kind = "refreshed"
        case SessionRenewed():
            kind = "renewed"
        case SessionRolesChanged():
            kind = "roles"
        case SessionRevoked() | SessionClosed():  # closed: it is back, but has not reconciled
            kind = "revoked"
        case SessionExpired():
            kind = "expired"
        case SessionOpened() | LoginRefused() | SourceIssued() | Gap():
            raise ValueError(f"no process is pushed {event.kind}")
        case OperatorRevoked() | OperatorForgave() | OperatorForgot():
            raise ValueError(f"no process is pushed {event.kind}")
        case OperatorReloaded() | OperatorAuthorized():
            raise ValueError(f"no process is pushed {event.kind}")
        case _:
            assert_never(event)
    return _push(
        kind,
        session=event.session or NO_SESSION,
        handle=event.handle,
        user=event.user,
        roles=event.roles,
        expires_at=event.expires_at,
        reason=event.reason,
        sequence=event.sequence,
    )


def bye() -> bytes:
    """Return the push that says the daemon is stopping."""
    return _push("bye")


def unknown_session(session: UUID, handle: int) -> bytes:
    """Return the push for a handle that was opened on a login which no longer stands."""
    return _push("revoked", session=session, handle=handle, reason="unbound")


def renewed_late(active: ActiveSession) -> bytes:
    """Return the push for a renewal that happened after its answer was due."""
    session = active.session
    return _push(
        "renewed",
        session=session.id,
        handle=session.handle,
        user=session.principal.name,
        roles=session.roles,
        expires_at=active.expires_at,
    )


def renewal_refused(session: UUID, handle: int, reason: Refusal) -> bytes:
    """Return the push that answers an async `renew`; the session goes on as before."""
    nobody, nothing = "", ()
    return _REFUSED_RENEWAL.message(
        "renewed", session, handle, nobody, nothing, None, reason.value, 0, False
    )


def standing(user: str, of: Standing) -> bytes:
    """Return the push that tells a process that follows what somebody may do there by now."""
    return _standing(user, of.name, of.roles, of.attributes, is_gone=False)


def gone(user: str, name: str) -> bytes:
    """Return the push that tells a process that follows that somebody has no session any more.

    Or none that the process is told of: its ceiling keeps the user out.
    """
    return _standing(user, name, (), {}, is_gone=True)


def standings() -> TableInPieces:
    """Return the answer to `follow`, with nobody in it yet: user, and what `standing` has of it."""
    return TableInPieces({"user": symbol, "name": symbol, "roles": symbols, "attributes": strings})


def _standing(
    user: str, name: str, roles: Sequence[str], attributes: Mapping[str, str], *, is_gone: bool
) -> bytes:
    return _STANDING.message(
        "standing", NO_SESSION, 0, user, roles, None, "", 0, name, attributes, is_gone
    )


def _push(
    kind: str,
    *,
    session: UUID = NO_SESSION,
    handle: int = 0,
    user: str = "",
    roles: Sequence[str] = (),
    expires_at: datetime | None = None,
    reason: str = "",
    sequence: int = 0,
) -> bytes:
    return _PUSH.message(kind, session, handle, user, roles, expires_at, reason, sequence)


def _timestamps(moments: Sequence[datetime]) -> Vector:
    return Vector(QType.TIMESTAMP, tuple(timestamp(moment).value for moment in moments))


_ANSWER = Template(
    MessageKind.RESPONSE,
    {
        "ok": boolean,
        "session": guid,
        "user": symbol,
        "roles": symbols,
        "attributes": strings,
        "expires": timestamp,
        "reason": symbol,
    },
)
_TICKET = Template(
    MessageKind.RESPONSE,
    {"ok": boolean, "ticket": string, "expires": timestamp, "reason": symbol},
)
_TOKEN = Template(
    MessageKind.RESPONSE,
    {"ok": boolean, "token": string, "type": string, "expires": timestamp, "reason": symbol},
)
_WEB = Template(
    MessageKind.RESPONSE,
    {
        "action": symbol,
        "user": symbol,
        "session": guid,
        "roles": symbols,
        "attributes": strings,
        "expires": timestamp,
        "status": int_,
        "headers": string,
        "body": string,
        "signout": string,
        "reason": symbol,
        "keep": timespan,
    },
)
_TOLD: dict[str, Callable[[Any], Value]] = {
    "event": symbol,
    "session": guid,
    "handle": int_,
    "user": symbol,
    "roles": symbols,
    "expires": timestamp,
    "reason": symbol,
    "sequence": long,
}
_PUSH = Template(MessageKind.ASYNC, _TOLD, PUSH)
_REFUSED_RENEWAL = Template(MessageKind.ASYNC, {**_TOLD, "ok": boolean}, PUSH)
_STANDING = Template(
    MessageKind.ASYNC, {**_TOLD, "name": symbol, "attributes": strings, "gone": boolean}, PUSH
)
