"""The daemon on a slow disk: `python -m tests.chaos.slow SEED CONFIG`.

Each COMMIT takes its time, so that a kill often finds one that is not given yet. What is told
before it is on disk is then lost, where a fast disk would hide that.
"""

import random
import sqlite3
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from sessiond.daemon import run
from tests.chaos.commit import is_commit

SLOWEST = 0.03  # seconds


class SlowConnection(sqlite3.Connection):
    """A connection whose COMMIT waits for a while."""

    random = random.Random()

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if is_commit(self, sql):
            time.sleep(self.random.random() * SLOWEST)
        return super().execute(sql, *arguments)


def main() -> None:
    seed, config = sys.argv[1:]
    SlowConnection.random.seed(seed)
    sqlite3.connect = partial(sqlite3.connect, factory=SlowConnection)  # type: ignore[assignment]
    run(Path(config))


if __name__ == "__main__":
    main()
