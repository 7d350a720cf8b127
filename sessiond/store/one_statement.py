"""A whole commit as one SQL statement, and so as one call into SQLite.

Python's threads hand the interpreter over at each step of each statement, and get it back when the
loop lets go of it. A statement alone is a transaction of its own, kept or not as a whole
(sqlite.org/lang_transaction.html), and one that inserts into a view has triggers put each row where
it belongs (sqlite.org/lang_createtrigger.html). What they do when a key is there already is what
their own statements say, since the one that fires them says nothing.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sessiond.core.events import Event, to_json
from sessiond.core.grant import Grant, GrantId
from sessiond.core.rows import Drop, Put, Write
from sessiond.store import refresh_tokens, row_secrets
from sessiond.store.codec import CODECS, Parameters, TableCodec, microseconds
from sessiond.store.refresh_tokens import Sealer

MOST = 512  # rows of one statement: SQLite takes 32,766 parameters
EXACT = 16  # so many rows have a text of their own; more are filled up: few texts stay prepared

Statement = tuple[str, list[Any]]  # and its parameters
BatchRow = tuple[str, Parameters]  # its kind, and its first columns

_WIDTH = max(len(codec.columns) for codec in CODECS.values())
_COLUMNS = ", ".join(["kind", *(f"c{number}" for number in range(_WIDTH))])
_FILLINGS = [(None,) * number for number in range(_WIDTH + 1)]
_ROW = f"({', '.join('?' * (_WIDTH + 1))})"


def values(number: int) -> str:
    """Return the first columns of a row of the batch, as its trigger knows them."""
    return ", ".join(f"NEW.c{each}" for each in range(number))


def prepare(db: sqlite3.Connection, queries: Mapping[str, str]) -> None:
    """Make the view and its triggers known to a connection, in its memory alone.

    Each row is shown to each trigger. So what is seldom put or dropped shares one, and so do the
    other drops: a login has none.

    Args:
        db: It may have them already.
        queries: Those of queries.sql by name.
    """
    db.execute("PRAGMA temp_store=MEMORY")
    nothing = ", ".join(["NULL"] * (_WIDTH + 1))
    db.execute(f"CREATE TEMP VIEW batch ({_COLUMNS}) AS SELECT {nothing}")
    trigger = "CREATE TEMP TRIGGER {} INSTEAD OF INSERT ON batch WHEN {} BEGIN {} END"
    drops, seldom = [], []
    for name, query in queries.items():
        if name.startswith("drop_"):
            drops.append(f"{query} AND NEW.kind = '{name}';")
        elif name.startswith("seldom_drop_"):
            seldom.append(f"{query} AND NEW.kind = '{name}';")
        elif name.startswith("seldom_"):
            seldom.append(f"{query};")
        elif "NEW." in query:
            db.execute(trigger.format(name, f"NEW.kind = '{name}'", f"{query};"))
    db.execute(trigger.format("drops", "NEW.kind < 'e'", " ".join(drops)))  # as 'drop_session'
    db.execute(trigger.format("seldom", "NEW.kind >= 'seldom'", " ".join(seldom)))


def statements_of(
    writes: Sequence[Write], events: Sequence[Event], sealer: Sealer
) -> list[Statement]:
    """Return what makes writes and events durable: one statement, seldom more."""
    return in_statements(list(rows_of(writes, events, sealer)))


def rows_of(writes: Sequence[Write], events: Sequence[Event], sealer: Sealer) -> Iterator[BatchRow]:
    """Yield the rows of a batch, each encoded when its turn is.

    Of several writes to one row only the last counts.
    """
    last: dict[tuple[str, Parameters], tuple[TableCodec, Write]] = {}
    tokens: dict[GrantId, tuple[Grant, Write]] = {}
    beside: dict[tuple[str, str], Write] = {}
    for write in writes:
        row = write.row
        codec = CODECS[type(row)]
        last[codec.name, codec.key(row)] = (codec, write)
        if isinstance(row, Grant) and _is_about_token(row, write):
            tokens[row.id] = (row, write)
        elif isinstance(row, row_secrets.KINDS) and _is_about_secret(write):
            beside[row_secrets.key_of(row)] = write
    for (_, key), (codec, write) in last.items():
        if isinstance(write, Put):
            yield codec.put, codec.write(write.row)
        else:
            yield codec.drop, key
    for grant, write in tokens.values():
        if isinstance(write, Put) and write.secret is not None:
            yield "put_refresh_token", refresh_tokens.write(grant, write.secret, sealer)
        else:
            yield "drop_refresh_token", (grant.id.bytes,)
    for key, write in beside.items():
        if isinstance(write, Put) and write.secret is not None:
            yield "seldom_put_secret", row_secrets.write(write.row, write.secret, sealer)
        else:
            yield "seldom_drop_secret", key
    for event in events:
        yield "put_event", (event.sequence, microseconds(event.at), to_json(event))


def in_statements(rows: Sequence[BatchRow]) -> list[Statement]:
    """Return the statements for encoded rows."""
    return [_statement(rows[start : start + MOST]) for start in range(0, len(rows), MOST)]


def _is_about_token(grant: Grant, write: Write) -> bool:
    """Say whether the refresh token is written or dropped too.

    Not where it is to be given back: that takes it from its row, and drops the row then.
    """
    if isinstance(write, Drop):
        return grant.has_refresh_token and not write.give_back
    return write.secret is not None


def _is_about_secret(write: Write) -> bool:
    return isinstance(write, Drop) or write.secret is not None


def _statement(rows: Sequence[BatchRow]) -> Statement:
    parameters: list[Any] = []
    for kind, row in rows:
        parameters.append(kind)
        parameters += row
        parameters += _FILLINGS[_WIDTH - len(row)]
    size = len(rows) if len(rows) <= EXACT else 1 << (len(rows) - 1).bit_length()
    parameters += (None,) * ((size - len(rows)) * (_WIDTH + 1))  # of no kind: no trigger takes it
    return _insert(size), parameters


@cache
def _insert(rows: int) -> str:
    return f"INSERT INTO batch ({_COLUMNS}) VALUES {', '.join([_ROW] * rows)}"  # noqa: S608 - its own names


def execute(db: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    """Execute statements, all or nothing.

    Raises:
        sqlite3.Error: Nothing of it is kept.
    """
    if len(statements) == 1:
        db.execute(*statements[0])
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            db.execute(*statement)
        db.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
