"""Rows as SQLite parameters, and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.events import from_json, to_json
from sessiond.core.grant import Grant, KnownToken, TokenHash
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import NameOwner, Row
from sessiond.core.session import Session, SessionId
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import Epoch, StoredContext, StoredValue
from sessiond.core.ticket import SpentTicket, TicketId, TicketKey
from sessiond.core.web_login import UsedState, WebLogin

Parameters = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TableCodec:
    """One table: the queries it is known by, and how its rows are written and read."""

    name: str  # as in put_NAME, drop_NAME, all_NAMEs of queries.sql
    columns: tuple[str, ...]  # in the order of what `write` returns and `read` takes
    key: Callable[[Any], Parameters]
    write: Callable[[Any], Parameters]
    read: Callable[[Sequence[Any]], Row] | None = None  # None: see bulk_reading.py
    is_seldom: bool = False  # put and dropped

    @property
    def put(self) -> str:
        """The name of what puts its rows."""
        return f"seldom_put_{self.name}" if self.is_seldom else f"put_{self.name}"

    @property
    def drop(self) -> str:
        """The name of what drops them."""
        return f"seldom_drop_{self.name}" if self.is_seldom else f"drop_{self.name}"


def microseconds(at: datetime) -> int:
    """Return a time as the database keeps it."""
    return (at - _EPOCH) // _MICROSECOND


def _time(value: int) -> datetime:
    return _EPOCH + value * _MICROSECOND


def _maybe(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_SESSION = (
    "id",
    "process_uid",
    "process_pid",
    "process_started",
    "process_label",
    "about",
    "issuer",
    "subject",
    "name",
    "grant_id",
    "access",
    "handle",
    "address",
    "state",
    "since",
    "until",
    "roles",
    "attributes",
    "typed",
    "assigned",
    "protected",
    "told",
    "parent",
    "sign_in",
)


def _sign_in(row: Session) -> str:
    if not row.hops and row.auth_time is None and not row.acr:  # as most
        return "[0,null,[]]"
    return _json((row.hops, _maybe(row.auth_time), row.acr))


def _write_session(row: Session) -> Parameters:
    return (
        row.id.bytes,
        row.process.uid,
        row.process.pid,
        row.process.started,
        row.process.label,
        _json(row.about),
        row.principal.issuer,
        row.principal.subject,
        row.principal.name,
        row.grant.bytes,
        row.access,
        row.handle,
        row.address,
        row.state.value,
        microseconds(row.since),
        _maybe(row.until),
        _json(row.roles),
        _json(dict(row.attributes)),
        row.typed,
        _json(dict(row.assigned)),
        _json(row.protected),
        _json(row.told),
        None if row.parent is None else row.parent.bytes,
        _sign_in(row),
    )


_GRANT = (
    "id",
    "issuer",
    "subject",
    "client",
    "issued_at",
    "expires_at",
    "has_refresh_token",
    "refresh_at",
    "proven",
    "in_flight_since",
    "iss",
)


def _write_grant(row: Grant) -> Parameters:
    return (
        row.id.bytes,
        row.issuer,
        row.subject,
        row.client,
        microseconds(row.lease.issued_at),
        microseconds(row.lease.expires_at),
        int(row.has_refresh_token),
        _maybe(row.refresh_at),
        int(row.proven),
        _maybe(row.in_flight_since),
        row.iss,
    )


_TOKEN = ("hash", "grant_id", "seen_at", "keep_until", "is_refused", "came_with")


def _write_token(row: KnownToken) -> Parameters:
    grant = None if row.grant is None else row.grant.bytes
    seen_at, keep_until = microseconds(row.seen_at), microseconds(row.keep_until)
    return (row.hash, grant, seen_at, keep_until, int(row.is_refused), b"".join(row.came_with))


_WEB_LOGIN = ("session", "cookie", "base", "made_at", "used_at")


def _write_web_login(row: WebLogin) -> Parameters:
    made_at, used_at = microseconds(row.made_at), microseconds(row.used_at)
    return row.session.bytes, row.cookie, row.base, made_at, used_at


def _read_revocation(row: Sequence[Any]) -> Revocation:
    return Revocation(
        id=UUID(bytes=row[0]),
        scope=Scope(row[1]),
        value=row[2],
        at=_time(row[3]),
        reason=row[4],
    )


_SET_ASIDE = ("subscriber", "sequence", "body", "attempts", "error", "at")


def _write_set_aside(row: DeadLetter) -> Parameters:
    return (
        row.subscriber,
        row.event.sequence,
        to_json(row.event),
        row.attempts,
        row.error,
        microseconds(row.at),
    )


def _read_set_aside(row: Sequence[Any]) -> DeadLetter:
    return DeadLetter(
        subscriber=row[0],
        event=from_json(row[2]),
        attempts=row[3],
        error=row[4],
        at=_time(row[5]),
    )


def _read_spent_ticket(row: Sequence[Any]) -> SpentTicket:
    return SpentTicket(
        id=TicketId(UUID(bytes=row[0])),
        session=SessionId(UUID(bytes=row[1])),
        keep_until=_time(row[2]),
    )


_SOURCE_GRANT = ("name", "client", "seed", "kept_at", "in_flight_since", "is_refused")


def _write_source_grant(row: SourceGrant) -> Parameters:
    kept_at, in_flight_since = microseconds(row.kept_at), _maybe(row.in_flight_since)
    return (row.name, row.client, row.seed, kept_at, in_flight_since, int(row.is_refused))


def _read_source_grant(row: Sequence[Any]) -> SourceGrant:
    return SourceGrant(
        name=row[0],
        client=row[1],
        seed=None if row[2] is None else TokenHash(row[2]),
        kept_at=_time(row[3]),
        in_flight_since=None if row[4] is None else _time(row[4]),
        is_refused=bool(row[5]),
    )


def _read_stored_value(row: Sequence[Any]) -> StoredValue:
    return StoredValue(context=row[0], name=row[1], size=row[2], written_at=_time(row[3]))


CODECS: dict[type[Row], TableCodec] = {
    Session: TableCodec("session", _SESSION, lambda row: (row.id.bytes,), _write_session),
    Grant: TableCodec("grant", _GRANT, lambda row: (row.id.bytes,), _write_grant),
    KnownToken: TableCodec("token", _TOKEN, lambda row: (row.hash,), _write_token),
    NameOwner: TableCodec(
        "name",
        ("name", "issuer", "subject"),
        lambda row: (row.name,),
        lambda row: (row.name, row.issuer, row.subject),
    ),
    WebLogin: TableCodec(
        "web_login", _WEB_LOGIN, lambda row: (row.session.bytes,), _write_web_login
    ),
    UsedState: TableCodec(
        "used_state",
        ("hash", "keep_until"),
        lambda row: (row.hash,),
        lambda row: (row.hash, microseconds(row.keep_until)),
        lambda row: UsedState(hash=TokenHash(row[0]), keep_until=_time(row[1])),
        is_seldom=True,
    ),
    Revocation: TableCodec(
        "revocation",
        ("id", "scope", "value", "at", "reason"),
        lambda row: (row.id.bytes,),
        lambda row: (
            row.id.bytes,
            row.scope.value,
            row.value,
            microseconds(row.at),
            row.reason,
        ),
        _read_revocation,
        is_seldom=True,
    ),
    Cursor: TableCodec(
        "place",
        ("subscriber", "sequence", "at"),
        lambda row: (row.subscriber,),
        lambda row: (row.subscriber, row.sequence, microseconds(row.at)),
        lambda row: Cursor(subscriber=row[0], sequence=row[1], at=_time(row[2])),
    ),
    DeadLetter: TableCodec(
        "set_aside",
        _SET_ASIDE,
        lambda row: (row.subscriber, row.event.sequence),
        _write_set_aside,
        _read_set_aside,
        is_seldom=True,
    ),
    SpentTicket: TableCodec(
        "spent_ticket",
        ("id", "session", "keep_until"),
        lambda row: (row.id.bytes,),
        lambda row: (row.id.bytes, row.session.bytes, microseconds(row.keep_until)),
        _read_spent_ticket,
    ),
    TicketKey: TableCodec(
        "ticket_key",
        ("id", "public", "made_at"),
        lambda row: (row.id,),
        lambda row: (row.id, row.public, microseconds(row.made_at)),
        lambda row: TicketKey(id=row[0], public=row[1], made_at=_time(row[2])),
        is_seldom=True,
    ),
    SourceGrant: TableCodec(
        "source_grant",
        _SOURCE_GRANT,
        lambda row: (row.name,),
        _write_source_grant,
        _read_source_grant,
        is_seldom=True,
    ),
    StoredContext: TableCodec(
        "stored_context",
        ("context", "owner", "made_at"),
        lambda row: (row.context,),
        lambda row: (row.context, row.owner, microseconds(row.made_at)),
        lambda row: StoredContext(context=row[0], owner=row[1], made_at=_time(row[2])),
        is_seldom=True,
    ),
    StoredValue: TableCodec(
        "stored_value",
        ("context", "name", "size", "written_at"),
        lambda row: (row.context, row.name),
        lambda row: (row.context, row.name, row.size, microseconds(row.written_at)),
        _read_stored_value,
        is_seldom=True,
    ),
    Epoch: TableCodec(
        "epoch",
        ("name", "number"),
        lambda row: (row.name,),
        lambda row: (row.name, row.number),
        lambda row: Epoch(name=row[0], number=row[1]),
        is_seldom=True,
    ),
}
