"""The daemon, killed at one exact commit: `python -m tests.chaos.dying FILE MOMENT N`.

MOMENT is `torn` (the N-th transaction is written whole, its COMMIT not given) or `committed` (it is
on disk, and nobody has been told). The daemon is the real one; only its death is arranged.
"""

import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from sessiond.daemon import run
from tests.running_daemon import READY_WITHIN, RunningDaemon


class DyingConnection(sqlite3.Connection):
    """A connection that kills its process at one COMMIT."""

    moment, number = "", 0
    commits = count(1)

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        is_last = sql == "COMMIT" and next(self.commits) == self.number
        if is_last and self.moment == "torn":
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = super().execute(sql, *arguments)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor


class DyingDaemon(RunningDaemon):
    """A daemon that is killed at its `number`-th commit; started again, it lives."""

    def __init__(self, folder: Path, configuration: str, moment: str, number: int) -> None:
        self._death: tuple[str, ...] | None = (moment, str(number))
        super().__init__(folder, configuration)

    def start(self) -> None:
        """Start it: the first time as the program that dies."""
        if self._death is None:
            super().start()
            return
        program = [sys.executable, "-m", "tests.chaos.dying", str(self.folder / "config.toml")]
        self._process = subprocess.Popen(
            [*program, *self._death], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._death = None
        ready: queue.Queue[bool] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready), daemon=True)
        self._reader.start()
        assert ready.get(timeout=READY_WITHIN), "".join(self.lines)

    def wait_until_dead(self) -> None:
        """Return once it has been killed; fail where it ended otherwise."""
        assert self._process.wait(timeout=READY_WITHIN) == -signal.SIGKILL
        self._reader.join()


def main() -> None:
    config, DyingConnection.moment, number = sys.argv[1:]
    DyingConnection.number = int(number)
    sqlite3.connect = partial(sqlite3.connect, factory=DyingConnection)  # type: ignore[assignment]
    run(Path(config))


if __name__ == "__main__":
    main()
