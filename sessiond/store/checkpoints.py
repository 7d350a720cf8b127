"""Copies SQLite's write-ahead log into the database beside the commits: no commit does it.

A log that is copied to its end, and that nobody reads, is begun anew by the next commit
(sqlite.org/wal.html, "Checkpointing"), which cuts the file where it was long. To copy needs no lock
that a commit wants, and any moment in which nothing is written meanwhile is enough. Where one
commit follows upon the other there is none: there the log may become long, and only then are the
last few pages of it copied while a commit waits, for the sync of the database too. That is seldom:
once in some thousand commits, not in a hundred.
"""

import sqlite3
from functools import partial
from pathlib import Path

import aiosqlite
import anyio
import structlog

from sessiond.clock import Clock
from sessiond.notifier import Notifier
from sessiond.racing import first

MANY = 500  # rows and events, some 1,000 pages of log, to copy at once
LATE = 30.0  # seconds after which fewer are copied as well
LONG = 32 * 2**20  # bytes, from which a commit may wait. The file is cut to it, and by no less:
# one that grows has its size to sync with each commit.
HELD = 128 * 2**20  # bytes: somebody reads on and on

log = structlog.get_logger()


class Checkpoints:
    """Keeps the log of one database short. It owns its connection to it."""

    def __init__(self, db: aiosqlite.Connection, path: Path, *, commits: anyio.Lock) -> None:
        """Make it.

        Args:
            db: A connection of its own.
            path: The database.
            commits: Held by each commit while it lasts.
        """
        self._db = db
        self._commits = commits
        self._log = path.with_name(f"{path.name}-wal")
        self._written = 0  # rows and events since the last copy
        self._changed = Notifier()
        self._is_held = self._is_failing = False

    def note_commit(self, rows: int) -> None:
        """Have what was written copied: soon or late, as there is much or little of it."""
        before, self._written = self._written, self._written + rows
        if not before or before < MANY <= self._written:  # no commit wakes anybody to look in vain
            self._changed.notify()

    async def run(self, clock: Clock) -> None:
        """Copy in this rhythm for ever."""
        while True:
            await self._changed.wait_for(lambda: self._written > 0)
            much = partial(self._changed.wait_for, lambda: self._written >= MANY)
            await first(much, partial(clock.sleep, LATE))
            await self.make()

    async def make(self) -> None:
        """Copy what can be copied: what a reader still needs, and what follows on it, cannot."""
        self._written = 0
        try:
            pages, copied = await self._copy()
            size = self._log.stat().st_size
            if self._written and pages == copied and size >= LONG:  # and nobody reads it
                async with self._commits:
                    self._written = 0
                    pages, copied = await self._copy()
        except (sqlite3.Error, OSError) as error:
            if not self._is_failing:
                log.warning("checkpoint failed", error=str(error))
            self._is_failing = True
            return
        self._is_failing = False
        if pages > copied:  # also where nothing is written any more
            self.note_commit(1)
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
