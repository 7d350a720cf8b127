"""What processes are told, as kdb+ values."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never
from uuid import UUID

from sessiond.core.errors import Refusal
from sessiond.core.events import (
    Event,
    Gap,
    LoginRefused,
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
)
from sessiond.core.session import ActiveSession
from sessiond.qipc import (
    NULL_GUID,
    Dictionary,
    List,
    Value,
    boolean,
    call,
    dictionary,
    guid,
    int_,
    long,
    string,
    symbol,
    symbols,
    table,
    timestamp,
)
from sessiond.qipc.values import QType, Vector

PUSH = ".sessiond.upd"


def accepted(active: ActiveSession) -> dict[str, Value]:
    """Return the seven keys of an accepted login or renewal."""
    session = active.session
    return {
        "ok": boolean(True),
        "session": guid(session.id),
        "user": symbol(session.principal.name),
        "roles": symbols(session.roles),
        "attributes": _texts(session.attributes),
        "expires": timestamp(active.expires_at),
        "reason": symbol(""),
    }


def refused(reason: Refusal) -> dict[str, Value]:
    """Return the seven keys of a refused login or renewal; nothing that the caller sent."""
    return {
        "ok": boolean(False),
        "session": NULL_GUID,
        "user": symbol(""),
        "roles": symbols(()),
        "attributes": _texts({}),
        "expires": timestamp(None),
        "reason": symbol(reason.value),
    }


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


def push_of(event: Event) -> Value:
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
        case SessionOpened() | LoginRefused() | Gap():
            raise ValueError(f"no process is pushed {event.kind}")
        case OperatorRevoked() | OperatorForgave() | OperatorForgot() | OperatorReloaded():
            raise ValueError(f"no process is pushed {event.kind}")
        case _:
            assert_never(event)
    entries = _push(
        kind,
        session=event.session,
        handle=event.handle,
        user=event.user,
        roles=event.roles,
        expires_at=event.expires_at,
        reason=event.reason,
        sequence=event.sequence,
    )
    return call(PUSH, dictionary(entries))


def bye() -> Value:
    """Return the push that says the daemon is stopping."""
    return call(PUSH, dictionary(_push("bye")))


def unknown_session(session: UUID, handle: int) -> Value:
    """Return the push for a handle that was opened on a login which no longer stands."""
    entries = _push("revoked", session=session, handle=handle, reason="unbound")
    return call(PUSH, dictionary(entries))


def renewed_late(active: ActiveSession) -> Value:
    """Return the push for a renewal that happened after its answer was due."""
    session = active.session
    entries = _push(
        "renewed",
        session=session.id,
        handle=session.handle,
        user=session.principal.name,
        roles=session.roles,
        expires_at=active.expires_at,
    )
    return call(PUSH, dictionary(entries))


def renewal_refused(session: UUID, handle: int, reason: Refusal) -> Value:
    """Return the push that answers an async `renew`; the session goes on as before."""
    entries = _push("renewed", session=session, handle=handle, reason=reason.value)
    return call(PUSH, dictionary({**entries, "ok": boolean(False)}))


def _push(
    kind: str,
    *,
    session: UUID | None = None,
    handle: int = 0,
    user: str = "",
    roles: Sequence[str] = (),
    expires_at: datetime | None = None,
    reason: str = "",
    sequence: int = 0,
) -> dict[str, Value]:
    return {
        "event": symbol(kind),
        "session": NULL_GUID if session is None else guid(session),
        "handle": int_(handle),
        "user": symbol(user),
        "roles": symbols(roles),
        "expires": timestamp(expires_at),
        "reason": symbol(reason),
        "sequence": long(sequence),
    }


def _texts(entries: Mapping[str, str]) -> Dictionary:
    """Return symbols to strings; the values stay a general list when there is none."""
    return Dictionary(symbols(entries), List(tuple(string(text) for text in entries.values())))


def _timestamps(moments: Sequence[datetime]) -> Vector:
    return Vector(QType.TIMESTAMP, tuple(timestamp(moment).value for moment in moments))
