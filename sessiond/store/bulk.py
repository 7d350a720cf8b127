"""Many rows with one statement: Python's interpreter changes hands at each that SQLite executes."""

import re
import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

AT_ONCE = (128, 16, 1)  # rows of one statement, the most first: few texts, so all stay prepared

Parameters = tuple[Any, ...]

_ROW = re.compile(r"VALUES (\([?, ]+\))")


def execute_all(db: sqlite3.Connection, statement: str, rows: Sequence[Parameters]) -> None:
    """Execute a statement for all rows, in their order.

    Args:
        db: In a transaction of the caller's.
        statement: With one row, as `VALUES (?, …)`.
        rows: The parameters of each.
    """
    start = 0
    for size in AT_ONCE:
        while len(rows) - start >= size:
            some = rows[start : start + size]
            db.execute(widened(statement, size), tuple(chain.from_iterable(some)))
            start += size


@cache
def widened(statement: str, rows: int) -> str:
    """Return the statement for so many rows at once."""
    return _ROW.sub(lambda found: "VALUES " + ", ".join([found[1]] * rows), statement)
