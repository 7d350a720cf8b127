"""The tables that grow with the sessions, read some thousand rows at a time, column by column.

SQLite makes one JSON text of them, msgspec lists of that, and those become rows without a line of
Python for each. SQLite works beside Python, on what comes next. Row by row a start with very many
sessions takes ten times as long. What many rows have in common is one object for all of them.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import repeat
from operator import add, mul
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.rows import NameOwner, Row
from sessiond.core.session import ProcessAbout, ProcessKey, Session, SessionState
from sessiond.core.web_login import WebLogin
from sessiond.store.codec import CODECS

PIECE = 5000  # rows of one text at most
FIRST_PIECE = 100  # rows of a table's first text, however large they are
TEXT = 8 << 20  # bytes that a text is to have at most; SQLite makes none beyond a billion
HASH_SIZE = 32  # bytes of a token's HMAC-SHA256
DIGITS = 2 * HASH_SIZE  # hexadecimal ones of a hash

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SHARED = 4096  # values that many sessions have in common
_about = lru_cache(_SHARED)(msgspec.json.Decoder(ProcessAbout).decode)
_roles = lru_cache(_SHARED)(msgspec.json.Decoder(tuple[str, ...]).decode)
_told = lru_cache(_SHARED)(msgspec.json.Decoder(tuple[str, ...] | None).decode)
_attributes = lru_cache(_SHARED)(msgspec.json.Decoder(dict[str, str]).decode)  # nobody writes there
_assigned = lru_cache(_SHARED)(msgspec.json.Decoder(dict[str, tuple[str, ...]]).decode)  # nor there

_sign_in = lru_cache(_SHARED)(msgspec.json.Decoder(tuple[int, int | None, tuple[str, ...]]).decode)


class _Ids(dict[str, Any]):
    """Ids by their hexadecimal digits: one object each, so that finding it compares nothing."""

    def __missing__(self, key: str) -> UUID:
        self[key] = found = UUID(key)
        return found


_hash: Callable[[str], TokenHash] = bytes.fromhex  # type: ignore[assignment]  # a NewType
_lease: Callable[[Any, Any], Lease] = Lease
_web_login: Callable[[Any, Any, str, Any, Any], WebLogin] = WebLogin


class Shared:
    """What rows have in common, while they are read."""

    def __init__(self) -> None:
        self.grant_ids = _Ids({"": None})
        self.parents = _Ids({"": None})
        self.process = lru_cache(_SHARED)(ProcessKey)
        self._texts: dict[str, str] = {}
        self._hashes: dict[str, TokenHash] = {}
        self._times: dict[int | None, datetime | None] = {None: None}

    def texts(self, found: list[str]) -> Iterator[str]:
        """Return texts that stand in other rows too."""
        return map(self._texts.setdefault, found, found)

    def times(self, found: Sequence[int | None]) -> Iterator[datetime | None]:
        """Return times by their microseconds."""
        new = set(found).difference(self._times)
        made = map(add, repeat(_EPOCH), map(mul, new, repeat(_MICROSECOND)))
        self._times.update(zip(new, made, strict=True))
        return map(self._times.__getitem__, found)

    def hashes(self, digits: list[str]) -> Iterator[TokenHash]:
        """Return hashes of tokens: one object each, in whatever rows it stands."""
        return map(self._hashes.setdefault, digits, map(_hash, digits))

    def joined(self, found: list[str]) -> Iterator[tuple[TokenHash, ...]]:
        """Return the hashes of all tokens that stand in one place; mostly one does."""
        one, split = self._hashes.setdefault, self._split
        return ((one(each, _hash(each)),) if len(each) == DIGITS else split(each) for each in found)

    def _split(self, digits: str) -> tuple[TokenHash, ...]:
        if len(digits) % DIGITS:
            raise ValueError(f"{digits[:DIGITS]}...: no hashes of {HASH_SIZE} bytes")
        starts = range(0, len(digits), DIGITS)
        return tuple(self.hashes([digits[start : start + DIGITS] for start in starts]))


def _sessions(text: bytes, shared: Shared) -> Iterator[Row]:
    ids, uids, pids, starts, labels, abouts, *more = _session_columns(text)
    issuers, subjects, names, grants, accesses, *more = more
    handles, addresses, states, since, until, roles, attributes, *more = more
    typed, assigned, protected, told, parents, sign_ins = more
    hops, auth_times, acrs = zip(*map(_sign_in, sign_ins), strict=True)
    texts, times = shared.texts, shared.times
    return map(
        Session,
        ids,
        map(shared.process, uids, pids, starts, labels),
        map(_about, abouts),
        map(Principal, texts(issuers), texts(subjects), texts(names)),
        map(shared.grant_ids.__getitem__, grants),
        shared.hashes(accesses),
        handles,
        addresses,
        states,
        times(since),
        times(until),
        map(_roles, roles),
        map(_attributes, attributes),
        texts(typed),
        map(_assigned, assigned),
        map(_roles, protected),
        map(_told, told),
        map(shared.parents.__getitem__, parents),
        hops,
        times(auth_times),
        acrs,
    )


def _grants(text: bytes, shared: Shared) -> Iterator[Row]:
    digits, issuers, subjects, clients, begins, ends, *more = _grant_columns(text)
    has_refresh_token, refresh_at, proven, in_flight_since, iss = more
    ids = msgspec.convert(digits, list[UUID])  # in C, too
    shared.grant_ids.update(zip(digits, map(GrantId, ids), strict=True))
    texts, times = shared.texts, shared.times
    return map(
        Grant,
        ids,
        texts(issuers),
        texts(subjects),
        texts(clients),
        map(_lease, times(begins), times(ends)),
        has_refresh_token,
        times(refresh_at),
        proven,
        times(in_flight_since),
        texts(iss),
    )


def _tokens(text: bytes, shared: Shared) -> Iterator[Row]:
    hashes, grants, seen_at, keep_until, is_refused, came_with = _token_columns(text)
    times = shared.times
    return map(
        KnownToken,
        shared.hashes(hashes),
        map(shared.grant_ids.__getitem__, grants),
        times(seen_at),
        times(keep_until),
        is_refused,
        shared.joined(came_with),
    )


def _names(text: bytes, shared: Shared) -> Iterator[Row]:
    return map(NameOwner, *map(shared.texts, _name_columns(text)))


def _web_logins(text: bytes, shared: Shared) -> Iterator[Row]:
    sessions, cookies, bases, made_at, used_at = _web_login_columns(text)
    times = shared.times
    return map(
        _web_login,
        sessions,
        (_hash(each) if each else None for each in cookies),
        shared.texts(bases),
        times(made_at),
        times(used_at),
    )


def _decoder(*kinds: Any) -> Callable[[bytes], Any]:
    columns = tuple[tuple(list[kind] for kind in kinds)]  # type: ignore[misc,valid-type]
    return msgspec.json.Decoder(columns, strict=False).decode


_session_columns = _decoder(
    *(UUID, int, int, int, str, str),
    *(str, str, str, str, str),
    *(int, int, SessionState, int, int | None, str, str, str, str, str, str, str, str),
)
_grant_columns = _decoder(
    *(str, str, str, str, int, int), *(bool, int | None, bool, int | None, str)
)
_token_columns = _decoder(str, str, int, int, bool, str)
_name_columns = _decoder(str, str, str)
_web_login_columns = _decoder(UUID, str, str, int, int)


@dataclass(frozen=True, slots=True)
class BulkTable:
    """One table: what its rows are, and how they are read."""

    kind: type[Row]
    name: str
    blobs: frozenset[str]  # columns that come as hexadecimal digits; JSON has no bytes
    read: Callable[[bytes, Shared], Iterator[Row]]

    def query(self, rows: int, *, is_first: bool) -> str:
        """Return the statement for a text of the next rows, beyond a key, and the last's key."""
        columns = CODECS[self.kind].columns
        key = columns[0]
        lists = (
            f"json_group_array({f'hex({each})' if each in self.blobs else each})"
            for each in columns
        )
        beyond = "" if is_first else f"WHERE {key} > ?"
        return (
            f"SELECT CAST(json_array({', '.join(lists)}) AS BLOB), max({key}) FROM"  # noqa: S608 - our own names
            f" (SELECT {', '.join(columns)} FROM {self.name} {beyond} ORDER BY {key} LIMIT {rows})"
        )


TABLES = (  # grants first: others have their ids
    BulkTable(Grant, "grants", frozenset({"id"}), _grants),
    BulkTable(Session, "sessions", frozenset({"id", "grant_id", "access", "parent"}), _sessions),
    BulkTable(KnownToken, "tokens", frozenset({"hash", "grant_id", "came_with"}), _tokens),
    BulkTable(NameOwner, "names", frozenset(), _names),
    BulkTable(WebLogin, "web_logins", frozenset({"session", "cookie"}), _web_logins),
)


def rows_of(path: Path) -> list[Row]:
    """Return the rows of these tables, each table in the order of its key.

    Raises:
        sqlite3.Error: They cannot be read.
        MsgspecError, ValueError, OverflowError: One is not as it was written.
    """
    rows: list[Row] = []
    shared = Shared()
    connect = partial(sqlite3.connect, path, isolation_level=None, check_same_thread=False)
    with closing(connect()) as db, ThreadPoolExecutor(1, "sqlite") as beside:
        for table, text in _ahead(_texts(db), beside):
            rows.extend(table.read(text, shared))
    return rows


def _ahead(
    texts: Iterator[tuple[BulkTable, bytes]], beside: Executor
) -> Iterator[tuple[BulkTable, bytes]]:
    """Yield what an iterator does, while another thread makes what comes next."""
    coming = beside.submit(next, texts, None)
    while (found := coming.result()) is not None:
        coming = beside.submit(next, texts, None)
        yield found


def _texts(db: sqlite3.Connection) -> Iterator[tuple[BulkTable, bytes]]:
    for table in TABLES:
        rows = min(FIRST_PIECE, PIECE)
        text, last = db.execute(table.query(rows, is_first=True)).fetchone()
        while last is not None:
            yield table, text
            rows = max(1, min(PIECE, rows * TEXT // len(text)))  # as large as these were
            text, last = db.execute(table.query(rows, is_first=False), (last,)).fetchone()
