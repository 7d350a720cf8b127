"""Moves what SQLite's write-ahead log holds into the database, beside the commits.

Left to itself SQLite does that inside the commit that makes the log long, which a login waits for;
and the log's file never shrinks again, however long somebody's reading has made it. Here another
connection does it, on a thread of its own (sqlite.org/wal.html, "Checkpointing").
"""

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiosqlite
import structlog

from sessiond.clock import Clock
from sessiond.notifier import Notifier

EVERY = 1.0  # seconds, where anything was written
LONG = 8 * 2**20  # bytes of the log, beyond which it is cut off where nobody reads it
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
        """Checkpoint now and then, where something was written, for ever."""
        seen = 0
        while True:
            await self._written.wait_beyond(seen)
            await clock.sleep(EVERY)
            seen = self._written.count
            await self.make()

    async def make(self) -> None:
        """Copy what can be copied while others read and write; then cut a long log off.

        Only the latter holds up a commit, for the few pages that were written since the former.
        """
        try:
            pages, copied = await self._copy()
            size = self._log.stat().st_size
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
