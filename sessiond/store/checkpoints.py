"""Cuts SQLite's write-ahead log off where somebody's reading has made it long.

SQLite itself copies it into the database every 1,000 pages, inside a commit, and then writes the
same file from its beginning again (sqlite.org/wal.html, "Checkpointing"). But the file never
shrinks, and while somebody reads on and on it grows. To copy oftener, beside the commits, or to cut
off what is short, makes each commit dearer: a file that grows again has its size to sync, too.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiosqlite
import structlog

from sessiond.clock import Clock
from sessiond.notifier import Notifier

EVERY = 1.0  # seconds, where anything was written
LONG = 16 * 2**20  # bytes, several times what SQLite lets it have where nobody reads on
HELD = 64 * 2**20  # bytes: somebody reads on and on

log = structlog.get_logger()


class Checkpoints:
    """Keeps the log of one database short. It owns its connection to it."""

    def __init__(
        self, db: aiosqlite.Connection, path: Path, *, cut: Callable[[], Awaitable[None]]
    ) -> None:
        """Make it.

        Args:
            db: A connection of its own.
            path: The database.
            cut: Cuts the log off between two commits: by the connection that commits, or it would
                seldom find a moment where nobody writes.
        """
        self._db = db
        self._cut = cut
        self._log = path.with_name(f"{path.name}-wal")
        self._written = Notifier()
        self._is_held = self._is_failing = False

    def note_commit(self) -> None:
        """Have the log looked at soon."""
        self._written.notify()

    async def run(self, clock: Clock) -> None:
        """Look now and then, where something was written, for ever."""
        seen = 0
        while True:
            await self._written.wait_beyond(seen)
            await clock.sleep(EVERY)
            seen = self._written.count
            await self.make()

    async def make(self) -> None:
        """Copy what can be copied of a long log while others read and write; then cut it off.

        Only the latter holds up a commit, for the few pages that were written since the former.
        """
        try:
            size = self._log.stat().st_size
            pages, copied = await self._copy() if size > LONG else (0, 0)
            if pages == copied and size > LONG:
                await self._cut()
        except (sqlite3.Error, OSError) as error:
            if not self._is_failing:
                log.warning("checkpoint failed", error=str(error))
            self._is_failing = True
            return
        self._is_failing = False
        is_held = pages > copied and size > HELD
        if is_held and not self._is_held:
            log.warning("somebody reads the database without end", log_bytes=size)
        self._is_held = is_held

    async def _copy(self) -> tuple[int, int]:
        """Return the pages in the log, and how many of them are copied by now."""
        async with self._db.execute("PRAGMA wal_checkpoint(PASSIVE)") as cursor:
            row = await cursor.fetchone()
        _, pages, copied = (0, 0, 0) if row is None else row
        return int(pages), int(copied)
