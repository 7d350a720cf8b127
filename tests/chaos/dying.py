"""The daemon, killed at one exact commit: `python -m tests.chaos.dying MOMENT N CONFIG`.

MOMENT is `torn` (the N-th transaction is written whole, and not committed) or `committed` (it is
on disk, and nobody has been told). The daemon is the real one; only its death is arranged.
"""

import os
import signal
import sqlite3
import sys
import time
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from sessiond.daemon import run
from tests.chaos.commit import is_commit

LINGER = 0.1  # seconds before a torn commit: whoever would tell of it too early has told


class DyingConnection(sqlite3.Connection):
    """A connection that kills its process at one commit."""

    moment, number = "", 0
    commits = count(1)

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        is_last = is_commit(self, sql) and next(self.commits) == self.number
        if is_last and self.moment == "torn":
            if sql != "COMMIT":
                super().execute("BEGIN IMMEDIATE")
                super().execute(sql, *arguments)
            time.sleep(LINGER)
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = super().execute(sql, *arguments)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor


def main() -> None:
    DyingConnection.moment, number, config = sys.argv[1:]
    DyingConnection.number = int(number)
    sqlite3.connect = partial(sqlite3.connect, factory=DyingConnection)  # type: ignore[assignment]
    run(Path(config))


if __name__ == "__main__":
    main()
