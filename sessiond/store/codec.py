"""Rows as SQLite parameters, and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from sys import intern
from typing import Any
from uuid import UUID

import msgspec

from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.events import from_json, to_json
from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import NameOwner, Row
from sessiond.core.session import ProcessAbout, ProcessKey, Session, SessionId, SessionState

Parameters = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
HASH_SIZE = 32  # bytes of a token's HMAC-SHA256
_SHARED = 4096  # values that many sessions have in common, read once and kept once
_about = lru_cache(_SHARED)(msgspec.json.Decoder(ProcessAbout).decode)
_roles = lru_cache(_SHARED)(msgspec.json.Decoder(tuple[str, ...]).decode)
_attributes = lru_cache(_SHARED)(msgspec.json.Decoder(dict[str, str]).decode)  # nobody writes there


@cache
def _grant_id(key: bytes) -> GrantId:
    """Return a grant's id, the same object for all rows that name it, until `forget`."""
    return GrantId(UUID(bytes=key))


def forget() -> None:
    """Let go of what was kept only while many rows were read."""
    _grant_id.cache_clear()


@lru_cache(_SHARED)
def _process(uid: int, pid: int, started: int, label: str) -> ProcessKey:
    return ProcessKey(uid=uid, pid=pid, started=started, label=label)


@dataclass(frozen=True, slots=True)
class TableCodec:
    """One table: the queries it is known by, and how its rows are written and read."""

    name: str  # as in put_NAME, drop_NAME, all_NAMEs of queries.sql
    columns: tuple[str, ...]  # in the order of what `write` returns and `read` takes
    key: Callable[[Any], Parameters]
    write: Callable[[Any], Parameters]
    read: Callable[[Sequence[Any]], Row]


def microseconds(at: datetime) -> int:
    """Return a time as the database keeps it."""
    return (at - _EPOCH) // _MICROSECOND


def _time(value: int) -> datetime:
    return _EPOCH + value * _MICROSECOND


def _maybe(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)


def _maybe_time(value: int | None) -> datetime | None:
    return None if value is None else _time(value)


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
)


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
    )


def _read_session(row: Sequence[Any]) -> Session:
    return Session(
        id=SessionId(UUID(bytes=row[0])),
        process=_process(*row[1:5]),
        about=_about(row[5]),
        principal=Principal(issuer=row[6], subject=row[7], name=row[8]),
        grant=_grant_id(row[9]),
        access=TokenHash(row[10]),
        handle=row[11],
        address=row[12],
        state=SessionState(row[13]),
        since=_time(row[14]),
        until=_maybe_time(row[15]),
        roles=_roles(row[16]),
        attributes=_attributes(row[17]),
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


def _read_grant(row: Sequence[Any]) -> Grant:
    return Grant(
        id=_grant_id(row[0]),
        issuer=row[1],
        subject=row[2],
        client=row[3],
        lease=Lease(issued_at=_time(row[4]), expires_at=_time(row[5])),
        has_refresh_token=bool(row[6]),
        refresh_at=_maybe_time(row[7]),
        proven=bool(row[8]),
        in_flight_since=_maybe_time(row[9]),
        iss=intern(row[10]),
    )


_TOKEN = ("hash", "grant_id", "seen_at", "keep_until", "is_refused", "came_with")


def _write_token(row: KnownToken) -> Parameters:
    grant = None if row.grant is None else row.grant.bytes
    seen_at, keep_until = microseconds(row.seen_at), microseconds(row.keep_until)
    return (row.hash, grant, seen_at, keep_until, int(row.is_refused), b"".join(row.came_with))


def _read_token(row: Sequence[Any]) -> KnownToken:
    return KnownToken(
        hash=TokenHash(row[0]),
        grant=None if row[1] is None else _grant_id(row[1]),
        seen_at=_time(row[2]),
        keep_until=_time(row[3]),
        is_refused=bool(row[4]),
        came_with=_hashes(row[5]),
    )


def _hashes(joined: bytes) -> tuple[TokenHash, ...]:
    if len(joined) % HASH_SIZE:
        raise ValueError(f"{len(joined)} bytes are no hashes of {HASH_SIZE}")
    return tuple(
        TokenHash(joined[start : start + HASH_SIZE]) for start in range(0, len(joined), HASH_SIZE)
    )


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


CODECS: dict[type[Row], TableCodec] = {
    Session: TableCodec(
        "session", _SESSION, lambda row: (row.id.bytes,), _write_session, _read_session
    ),
    Grant: TableCodec("grant", _GRANT, lambda row: (row.id.bytes,), _write_grant, _read_grant),
    KnownToken: TableCodec("token", _TOKEN, lambda row: (row.hash,), _write_token, _read_token),
    NameOwner: TableCodec(
        "name",
        ("name", "issuer", "subject"),
        lambda row: (row.name,),
        lambda row: (row.name, row.issuer, row.subject),
        lambda row: NameOwner(name=row[0], issuer=row[1], subject=row[2]),
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
    ),
}
