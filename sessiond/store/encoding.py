"""A commit encoded in pieces, where it is large: others have their turn between two.

A value of a token store takes 0.2 ms to seal; a session with hundreds of roles, or an event of one,
nearly as long to encode; and a family of sessions that tickets opened changes as a whole.
"""

import asyncio  # noqa: TID251 - anyio's checkpoint takes a turn more
from collections.abc import Sequence

from sessiond.core.events import Event
from sessiond.core.rows import Write
from sessiond.store.one_statement import BatchRow, Statement, in_statements, rows_of, statements_of
from sessiond.store.refresh_tokens import Sealer

FEW = 16  # writes and events that are encoded at once, whatever their size: most commits are fewer
PIECE = 256  # rows and KiB in one go: 2 ms at most
KIB = 1024


async def encoded(
    writes: Sequence[Write], events: Sequence[Event], sealer: Sealer
) -> list[Statement]:
    """Return what `statements_of` returns."""
    if len(writes) + len(events) <= FEW:
        return statements_of(writes, events, sealer)
    rows, size = list[BatchRow](), 0
    for row in rows_of(writes, events, sealer):
        rows.append(row)
        size += 1 + _octets_of(row) // KIB
        if size >= PIECE:
            size = 0
            await asyncio.sleep(0)
    return in_statements(rows)


def _octets_of(row: BatchRow) -> int:
    _, columns = row
    return sum(len(each) for each in columns if isinstance(each, (str, bytes)))
