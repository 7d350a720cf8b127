"""Keeps the table's rows and events in one SQLite file, durably."""

import base64
import re
import secrets
import sqlite3
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from datetime import datetime
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import anyio.to_thread
import msgspec
import structlog

from sessiond.core.cursor import Cursor
from sessiond.core.errors import ConfigError, StoreError
from sessiond.core.events import Event, from_json
from sessiond.core.grant import Grant, GrantId
from sessiond.core.rows import Put, Row, SecretRow, Write
from sessiond.core.secret import Secret
from sessiond.store import refresh_tokens, row_secrets
from sessiond.store.bulk_reading import rows_of
from sessiond.store.checkpoints import LONG, Checkpoints
from sessiond.store.codec import CODECS, Parameters, microseconds
from sessiond.store.encoding import encoded
from sessiond.store.hold import Hold, held
from sessiond.store.one_statement import Statement, execute, prepare, values
from sessiond.store.refresh_tokens import Sealer
from sessiond.store.sealing import SealError
from sessiond.table import Loaded

VERSION = 7
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "wal_autocheckpoint=0",  # checkpoints.py does it
    f"journal_size_limit={LONG}",
)
ROWS = 1000  # fetched at a time
DAMAGED = (msgspec.MsgspecError, ValueError, OverflowError)  # what was written reads otherwise
LOOKUP_KEY = {"table": "keys", "column": "sealed", "row": "lookup", "issuer": "", "subject": ""}

log = structlog.get_logger()


def _queries() -> dict[str, str]:
    """Return the statements by name, those of a table with its codec's columns."""
    text = resources.files(__package__).joinpath("queries.sql").read_text()
    found = dict(re.findall(r"-- name: (\w+)\n(.+?);", text, re.DOTALL))
    for codec in CODECS.values():
        columns, new = ", ".join(codec.columns), values(len(codec.columns))
        for name in {codec.put, f"all_{codec.name}s"} & found.keys():
            found[name] = found[name].format(columns=columns, values=new)
    return found


QUERIES = _queries()


class Database(aiosqlite.Connection):
    """aiosqlite's connection, with a whole commit, or one row, as one call to its thread."""

    async def prepare(self) -> None:
        """Make the connection ready for `write`."""
        await self._execute(prepare, self._conn, QUERIES)  # type: ignore[no-untyped-call]

    async def write(self, statements: Sequence[Statement], *, is_synced: bool = True) -> None:
        """Execute statements of `one_statement`, all or nothing.

        Args:
            statements: With their parameters.
            is_synced: Not before it is on the disk; else in the kernel, for a later one to sync.
        """
        write = execute if is_synced else _execute_unsynced
        await self._execute(write, self._conn, statements)  # type: ignore[no-untyped-call]

    async def one(self, query: str, parameters: Parameters) -> Any:
        """Return the first row that a query finds, or None."""
        return await self._execute(_one, self._conn, query, parameters)  # type: ignore[no-untyped-call]


def _one(db: sqlite3.Connection, query: str, parameters: Parameters) -> Any:
    return db.execute(query, parameters).fetchone()


def _execute_unsynced(db: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    db.execute("PRAGMA synchronous=NORMAL")
    try:
        execute(db, statements)
    finally:
        db.execute("PRAGMA synchronous=FULL")


class SqliteStore:
    """Fulfils `sessiond.table.Store`. Made by `opened`."""

    def __init__(
        self,
        db: Database,
        path: Path,
        sealer: Sealer,
        lookup_key: bytes,
        hold: Hold,
        checkpoints: Checkpoints,
        *,
        turn: anyio.Lock,
    ) -> None:
        self._db = db
        self._path = path
        self._turn = turn
        self.checkpoints = checkpoints
        self._sealer = sealer
        self._hold = hold
        self.lookup_key = lookup_key  # tokens are hashed with it; belongs to this database

    @property
    def sealer(self) -> Sealer:
        """What seals by now."""
        return self._sealer

    def seal_with(self, sealer: Sealer) -> None:
        """Seal with another sealer what is committed from now on."""
        self._sealer = sealer

    def tell_key(self) -> None:
        """Tell `sessiond rekey` with which key is sealed: once nothing older is under way.

        Raises:
            StoreError: It is not told, and waits.
        """
        self._hold.note_key(self._sealer.current)

    async def load(self) -> Loaded:
        """Return everything that is kept, once the whole database was found to be undamaged.

        Raises:
            ConfigError: It is damaged.
        """
        try:
            rows = await anyio.to_thread.run_sync(_whole_rows_of, self._path)
            for codec in CODECS.values():
                if codec.read is not None:
                    async with self._db.execute(QUERIES[f"all_{codec.name}s"]) as cursor:
                        rows += [codec.read(found) async for found in cursor]
            (sequence,) = await self._db.one(QUERIES["last_sequence"], ())
        except (sqlite3.Error, *DAMAGED) as error:
            raise ConfigError(
                f"store.path: {self._path} cannot be read: {error}, wanted all its rows: see the "
                "disk, or bring a backup back"
            ) from error
        return Loaded(rows, sequence)

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        """Make writes and events durable, all or nothing.

        One call to SQLite's thread: it is made or not, whenever the caller is cancelled. What is
        large is encoded in pieces before it.

        Raises:
            StoreError: Nothing of it is kept.
        """
        # What a power cut takes of places alone is received again, and kill -9 takes nothing from
        # the kernel: so no login's turn waits for the disk because of them.
        is_synced = bool(events) or not all(map(_is_place, writes))
        statements = await encoded(writes, events, self._sealer)
        try:
            async with self._turn:
                await self._db.write(statements, is_synced=is_synced)
        except sqlite3.Error as error:
            raise StoreError(
                f"the database refused a write: {error}, wanted it on disk: see sessionctl doctor "
                "(disk), and try again"
            ) from error
        self.checkpoints.note_commit(len(writes) + len(events))

    async def refresh_token(self, grant: GrantId) -> Secret | None:
        """Return a grant's refresh token: None, and an error in the log, where it does not open.

        A grant that is dropped to be given back has it until `DropRefreshToken`, or until the next
        start.

        Raises:
            StoreError: It could not be read.
        """
        row = await self._sealed("refresh_token", (grant.bytes,))
        return None if row is None else refresh_tokens.read(grant, row, self._sealer)

    async def secret(self, row: SecretRow) -> Secret | None:
        """Return what is sealed beside a row of this key; for a grant see `refresh_token`.

        Raises:
            StoreError: It could not be read.
        """
        if isinstance(row, Grant):
            return await self.refresh_token(row.id)
        found = await self._sealed("secret", row_secrets.key_of(row))
        return None if found is None else row_secrets.read(row, found[0], self._sealer)

    async def _sealed(self, query: str, key: Parameters) -> Any:
        try:
            return await self._db.one(QUERIES[query], key)
        except sqlite3.Error as error:
            raise StoreError(
                f"the database cannot be read: {error}, wanted what is sealed in it: see the disk"
            ) from error

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        """Return kept events in order, beginning after a sequence number.

        Raises:
            StoreError: None could be read. One that is damaged ends what is returned before it.
        """
        try:
            async with self._db.execute(QUERIES["events_after"], (sequence, limit)) as cursor:
                bodies = [body async for (body,) in cursor]
        except sqlite3.Error as error:
            raise StoreError(
                f"the database cannot be read: {error}, wanted its events: see the disk"
            ) from error
        events: list[Event] = []
        for body in bodies:
            try:
                events.append(from_json(body))
            except DAMAGED as error:
                if events:
                    break
                raise StoreError(
                    f"the database is damaged: an event after {sequence} cannot be read: {error}, "
                    "wanted it whole: bring a backup back"
                ) from error
        return events

    async def forget_events(self, *, before: datetime, up_to: int) -> None:
        """Drop the events of before a time, and those up to a sequence number."""
        try:
            await self._db.execute(QUERIES["forget_events"], (microseconds(before), up_to))
        except sqlite3.Error as error:
            raise StoreError(
                f"the database refused to drop old events: {error}, wanted room: see the disk"
            ) from error


def _is_place(write: Write) -> bool:
    return isinstance(write, Put) and isinstance(write.row, Cursor)


@asynccontextmanager
async def opened(path: Path, sealer: Sealer) -> AsyncIterator[SqliteStore]:
    """Open the database, made anew where there is none, for this process alone.

    Raises:
        AddressInUseError: Another sessiond has it.
        ConfigError: It cannot be opened, is damaged, is newer than this program, or was sealed
            with another key.
    """
    with held(path) as hold:
        try:
            hold.note_key(sealer.current)
        except StoreError as error:
            raise ConfigError(
                f"store.path: {path} cannot be used: {error}, wanted a database: see the disk, or "
                "name another file"
            ) from error
        db = Database(partial(sqlite3.connect, path, isolation_level=None), ROWS)
        async with db:
            try:
                await _prepare(db, path)
                lookup_key = await _lookup_key(db, sealer)
            except sqlite3.Error as error:
                raise ConfigError(
                    f"store.path: {path} cannot be used: {error}, wanted a database: see the disk, "
                    "or name another file"
                ) from error
            except SealError as error:
                raise ConfigError(
                    f"store.key_file: {path} was sealed with another key, wanted that: bring it "
                    f"back, or move the database away and let everybody log in again ({error})"
                ) from error
            async with aiosqlite.connect(path, isolation_level=None, timeout=0) as beside:
                turn = anyio.Lock(fast_acquire=True)
                checkpoints = Checkpoints(beside, path, commits=turn)
                yield SqliteStore(db, path, sealer, lookup_key, hold, checkpoints, turn=turn)


async def _prepare(db: Database, path: Path) -> None:
    version = await _number(db, "PRAGMA user_version")
    if version > VERSION:
        raise ConfigError(
            f"store.path: {path} has schema {version}, wanted {VERSION} at most: run the newer "
            "sessiond, or name another file"
        )
    if version == 0 and await _number(db, "SELECT count(*) FROM sqlite_master"):
        raise ConfigError(
            f"store.path: {path} is another program's database, wanted sessiond's: name another "
            "file"
        )
    for pragma in PRAGMAS:
        await db.execute(f"PRAGMA {pragma}")
    if version < VERSION:
        await anyio.to_thread.run_sync(_check_whole, path)  # before it is changed
    if version == 0:
        log.warning("database made", path=str(path))  # at a first start, or the old one is gone
    for number in range(version + 1, VERSION + 1):
        schema = resources.files(__package__).joinpath(f"schema/{number:04}.sql").read_text()
        await db.executescript(f"BEGIN; {schema}; PRAGMA user_version={number}; COMMIT;")
    await db.execute(QUERIES["forget_refresh_tokens"])  # that were still to be given back
    await db.prepare()


async def _number(db: aiosqlite.Connection, query: str) -> int:
    async with db.execute(query) as cursor:
        row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


def _whole_rows_of(path: Path) -> list[Row]:
    """Return the many rows; the database is looked through beside, on another processor."""
    with ThreadPoolExecutor(1, "quick_check") as beside:
        checked = beside.submit(_check_whole, path)
        try:
            return rows_of(path)
        finally:
            checked.result()  # what is damaged may not be read either: this says more


def _check_whole(path: Path) -> None:
    """Find damage now, in about a second per gigabyte, and not at some write of next week."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise ConfigError(
            f"store.path: {path} cannot be used: it is damaged, wanted it whole: bring a backup "
            f"back, or move it away and let everybody log in again ({' '.join(found.split())})"
        )


async def _lookup_key(db: aiosqlite.Connection, sealer: Sealer) -> bytes:
    """Return the key that tokens are hashed with, made when the database is new."""
    async with db.execute(QUERIES["key"], ("lookup",)) as cursor:
        row = await cursor.fetchone()
    if row is not None:
        return base64.b64decode(sealer.unseal(row[0], **LOOKUP_KEY).reveal())
    key = secrets.token_bytes(32)
    sealed = sealer.seal(Secret(base64.b64encode(key).decode()), **LOOKUP_KEY)
    await db.execute(QUERIES["put_key"], ("lookup", sealed))
    return key
