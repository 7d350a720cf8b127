"""The daemon on a disk that hangs while a file is there.

`python -m tests.integration.stuck CONFIG` is the real daemon but for that; the file is called
`stuck`, beside the configuration.
"""

import sqlite3
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from sessiond.daemon import run
from tests.chaos.commit import is_commit

STUCK = ("-m", "tests.integration.stuck")


class StuckConnection(sqlite3.Connection):
    """A connection whose COMMIT waits as long as the file is there."""

    file = Path()

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        while is_commit(self, sql) and self.file.exists():
            time.sleep(0.01)
        return super().execute(sql, *arguments)


def main() -> None:
    config = Path(sys.argv[1])
    StuckConnection.file = config.with_name("stuck")
    sqlite3.connect = partial(sqlite3.connect, factory=StuckConnection)  # type: ignore[assignment]
    run(config)


if __name__ == "__main__":
    main()
