"""`sessiond rekey --new`, killed at its N-th step: `python -m tests.chaos.dying_rekey N CONFIG`.

A step is what Python's audit hooks see of the files in the configuration's folder: one is opened,
renamed, removed, locked, given a mode; and each statement that SQLite is given.
"""

import importlib
import os
import signal
import sqlite3
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from sessiond import cli

BY_PATH = ("open", "os.rename", "os.remove")
BY_DESCRIPTOR = ("os.chmod", "os.chown", "fcntl.flock")


def main() -> None:
    number, config = sys.argv[1:]
    folder, steps = str(Path(config).parent), count(1)

    def step() -> None:
        if next(steps) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event in BY_DESCRIPTOR or (event in BY_PATH and folder in str(arguments[0])):
            step()

    class DyingConnection(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            step()
            return super().execute(sql, *arguments)

    sqlite3.connect = partial(sqlite3.connect, factory=DyingConnection)  # type: ignore[assignment]
    importlib.import_module("sessiond.store.rotation")  # what it imports is no step
    sys.addaudithook(look)
    cli.main(["rekey", "--new", "--config", config])


if __name__ == "__main__":
    main()
