"""Which of the calls to SQLite make a transaction durable."""

import sqlite3


def is_commit(db: sqlite3.Connection, sql: str) -> bool:
    """Say whether it is a commit's one statement, or the end of several."""
    return sql == "COMMIT" or (sql.startswith("INSERT INTO batch ") and not db.in_transaction)
