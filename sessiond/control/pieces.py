"""Long answers in pieces: what else the daemon has to do goes between."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import anyio.lowlevel
import msgspec
from msgspec import Struct

from sessiond.core.listing import Filter, Listed, list_sessions
from sessiond.core.session import SessionId
from sessiond.table import Table

AT_ONCE = 100  # rows: less than a millisecond

R = TypeVar("R")


async def sessions(
    table: Table, asked: Filter, *, after: SessionId | None = None, limit: int | None = None
) -> list[Listed]:
    """Return live sessions in the order of their ids, at most `limit` of them (None: all)."""
    found: list[Listed] = []
    while limit is None or len(found) < limit:
        stretch = list_sessions(await table.rows(), asked, after=after, look_at=AT_ONCE)
        found += stretch.sessions
        after = stretch.after
        if after is None:
            break
        await anyio.lowlevel.checkpoint()
    return found if limit is None else found[:limit]


async def encoded(
    rows: Sequence[R], render: Callable[[R], Struct], *, at_once: int | None = None
) -> list[Any]:
    """Return rows as the JSON that they are in a body, so many in one go where they are long."""
    found: list[msgspec.Raw] = []
    step = at_once or AT_ONCE
    for start in range(0, len(rows), step):
        found += [
            msgspec.Raw(msgspec.json.encode(render(row))) for row in rows[start : start + step]
        ]
        await anyio.lowlevel.checkpoint()
    return found
