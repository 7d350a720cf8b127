"""A database with many sessions in it, made through the real store."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import starmap
from pathlib import Path
from uuid import UUID

import anyio

from sessiond.config.credentials import store_key
from sessiond.core.events import SessionOpened
from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.rows import NameOwner, Put, Write
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, ProcessKey, Session, SessionId, SessionState
from sessiond.store import opened
from sessiond.store.sealing import KeyRing

PROCESSES = 200
REFRESH_TOKEN = 1200  # characters, as Microsoft's have
AT_ONCE = 1000  # sessions in one commit


def refresh_token(number: int, size: int = REFRESH_TOKEN) -> str:
    """Return the refresh token that session `number` came with, of `size` characters."""
    return f"made-up-refresh-token-of-{number:06}-".ljust(size, "x")


def session_number(number: int) -> SessionId:
    return SessionId(UUID(int=1 + number))


def fill(
    database: Path,
    count: int,
    *,
    refresh_at: datetime,
    expires_at: datetime,
    spread: timedelta = timedelta(0),
    refresh_bytes: int = REFRESH_TOKEN,
) -> None:
    """Put so many open sessions into a new database, each with a grant and a refresh token.

    Args:
        database: Its key is made beside it.
        count: Sessions, and users.
        refresh_at: When the first of them is to be refreshed.
        expires_at: When their leases end.
        spread: Between the refreshes of the first and the last.
        refresh_bytes: Of each refresh token.
    """
    ring = KeyRing.from_text(store_key("", database=database, environ={}))
    begun = datetime.now(UTC) - timedelta(minutes=1)

    def lease_of(number: int) -> Lease:
        return Lease(issued_at=begun + timedelta(microseconds=number), expires_at=expires_at)

    def writes_of(number: int, lease: Lease) -> Iterator[Write]:
        token = Secret(refresh_token(number, refresh_bytes))
        return _writes(number, lease, refresh_at + spread * number / count, token)

    async def commit() -> None:
        async with opened(database, ring) as store:
            for start in range(0, count, AT_ONCE):
                numbers = range(start, min(start + AT_ONCE, count))
                leases = {number: lease_of(number) for number in numbers}
                writes = [each for one in leases.items() for each in writes_of(*one)]
                await store.commit(writes, list(starmap(_event, leases.items())))

    anyio.run(commit)


def _writes(number: int, lease: Lease, refresh_at: datetime, token: Secret) -> Iterator[Write]:
    user, grant = f"user{number:06}@contoso.test", GrantId(UUID(int=(1 << 64) + number))
    yield Put(NameOwner(name=user, issuer="corp", subject=f"subject {number}"))
    yield Put(
        Grant(
            id=grant,
            issuer="corp",
            subject=f"subject {number}",
            client="qstudio",
            lease=lease,
            has_refresh_token=True,
            refresh_at=refresh_at,
        ),
        token,
    )
    seen_at, keep_until = lease.issued_at, lease.expires_at
    access, refresh = _hash("access", number), _hash("refresh", number)
    yield Put(KnownToken(hash=refresh, grant=grant, seen_at=seen_at, keep_until=keep_until))
    yield Put(
        KnownToken(
            hash=access, grant=None, seen_at=seen_at, keep_until=keep_until, came_with=(refresh,)
        )
    )
    yield Put(_session(number, user, grant, lease))


def _hash(kind: str, number: int) -> TokenHash:
    return TokenHash(sha256(f"{kind} {number}".encode()).digest())


def _session(number: int, user: str, grant: GrantId, lease: Lease) -> Session:
    process = number % PROCESSES
    return Session(
        id=session_number(number),
        process=ProcessKey(uid=500, pid=10_000 + process, started=process),
        about=_about(process),
        principal=Principal(issuer="corp", subject=f"subject {number}", name=user),
        grant=grant,
        access=_hash("access", number),
        handle=5 + number // PROCESSES,
        address=0x7F000001,
        state=SessionState.OPEN,
        since=lease.issued_at,
        until=None,
        roles=("reader", "trading"),
        attributes={"desk": "rates"},
        typed=user,
        assigned={role: (f"claim roles: kdb.{role}",) for role in ("reader", "trading")},
        protected=(),
        told=("reader", "trading"),
    )


def _event(number: int, lease: Lease) -> SessionOpened:
    return SessionOpened(
        sequence=number + 1,
        at=lease.issued_at,
        session=session_number(number),
        user=f"user{number:06}@contoso.test",
        issuer="corp",
        process=_about(number % PROCESSES),
        handle=5 + number // PROCESSES,
        roles=("reader", "trading"),
        expires_at=lease.expires_at,
    )


def _about(process: int) -> ProcessAbout:
    return ProcessAbout(name=f"rdb{process}", type="rdb", host="tick.example.com", pid=process)
