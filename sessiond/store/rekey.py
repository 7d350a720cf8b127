"""Seals what the database keeps anew with the ring's current key."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sessiond.core.errors import ConfigError, StoreError
from sessiond.store import row_secrets
from sessiond.store.refresh_tokens import Sealer, sealed_place
from sessiond.store.sqlite import LOOKUP_KEY, QUERIES, VERSION

SOME = 100  # values at a time: each may have 64 KiB
PATIENCE = 10.0  # seconds to wait for a daemon that is writing


class Ring(Sealer, Protocol):
    """A sealer that knows which of its keys is the current one."""

    def is_current(self, sealed: bytes) -> bool: ...


def rekey(path: Path, ring: Ring) -> int:
    """Seal every value that an older key has sealed anew; return how many there were.

    A daemon may be running on the database: a value that it replaces meanwhile is left to it,
    so run this again once the daemon has been restarted with the new key.

    Raises:
        ConfigError: There is no such database, or it is another version's.
        StoreError: It could not be written; what was sealed before that is whole.
        SealError: A value is sealed with a key that is not in the ring.
    """
    if not path.is_file():
        raise ConfigError(f"store.path: there is no database {path}, wanted one: name it")
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise ConfigError(
                    f"store.path: {path} has schema {version}, wanted {VERSION}: start this "
                    "version's daemon once, and run this again"
                )
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA secure_delete=ON")
            count = _refresh_tokens(db, ring) + _secrets(db, ring) + _keys(db, ring)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # where nobody reads: the older go, too
            return count
    except sqlite3.Error as error:
        raise StoreError(
            f"{path}: {error}, wanted it sealed anew: see the disk, and run this again"
        ) from error


def _refresh_tokens(db: sqlite3.Connection, ring: Ring) -> int:
    count = 0
    for key, issuer, subject, sealed in db.execute(QUERIES["sealed_refresh_tokens"]).fetchall():
        if not ring.is_current(sealed):
            place = sealed_place(UUID(bytes=key), issuer, subject)
            fresh = ring.seal(ring.unseal(sealed, **place), **place)
            count += db.execute(QUERIES["reseal_refresh_token"], (fresh, key, sealed)).rowcount
    return count


def _secrets(db: sqlite3.Connection, ring: Ring) -> int:
    count, last = 0, 0
    while some := db.execute(QUERIES["sealed_secrets"], (last, SOME)).fetchall():
        last = some[-1][0]
        for _, kind, name, sealed in some:
            if not ring.is_current(sealed):
                place = row_secrets.sealed_place(kind, name)
                fresh = ring.seal(ring.unseal(sealed, **place), **place)
                count += db.execute(QUERIES["reseal_secret"], (fresh, kind, name, sealed)).rowcount
    return count


def _keys(db: sqlite3.Connection, ring: Ring) -> int:
    count = 0
    for name, sealed in db.execute(QUERIES["sealed_keys"]).fetchall():
        if not ring.is_current(sealed):
            place = {**LOOKUP_KEY, "row": name}
            fresh = ring.seal(ring.unseal(sealed, **place), **place)
            count += db.execute(QUERIES["reseal_key"], (fresh, name, sealed)).rowcount
    return count
