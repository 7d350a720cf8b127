"""What operators see of the token stores, never a value, and what they do about it."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import structlog
from msgspec import Meta, Struct

from sessiond.control import bodies, pieces
from sessiond.control.problem import Problem
from sessiond.control.view import View
from sessiond.core.principal import shown
from sessiond.core.stored_value import ContextValues
from sessiond.system.peer import Peer
from sessiond.tokenstores.stores import LockSeen

CONTEXTS_AT_ONCE = 5  # with 64 values each: a millisecond

log = structlog.get_logger()

# On one line, and as it was sent: U+FFFD stands for bytes that were no UTF-8.
Label = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd]{1,256}\Z",
        description="1 to 256 characters on one line",
    ),
]


class StoresQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which contexts; `after`: a page's `next`."""

    limit: bodies.Limit = 100
    after: Label | None = None


class ContextQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which context."""

    context: Label


class StoredValue(Struct, frozen=True, kw_only=True):
    """A value, but not what it is."""

    name: str
    size: int  # bytes
    written_at: datetime


class HeldLock(Struct, frozen=True, kw_only=True):
    """A lock that somebody holds."""

    name: str
    uid: int
    pid: int
    since: datetime
    idle: float  # seconds since it was taken, or something was written under it
    waiting: int  # requests


class StoredContext(Struct, frozen=True, kw_only=True):
    """Whose tokens they are, in the words of who keeps them here."""

    context: str
    owner: int | None  # uid of who wrote it first; null: nothing is written yet
    made_at: datetime | None
    values: tuple[StoredValue, ...]
    locks: tuple[HeldLock, ...]


class Stores(Struct, frozen=True, kw_only=True):
    """One page."""

    stores: list[StoredContext]
    next: str | None  # for the page after it; null: this is the last


class Dropped(Struct, frozen=True, kw_only=True):
    """What was there."""

    values: int
    locks: int


async def listed(view: View, query: StoresQuery) -> Stores:
    """Return a page of contexts, in the order of their names."""
    after = query.after or ""
    found = await view.stores.listed(after=after, limit=query.limit + 1)
    kept = {each.context.context: each for each in found}
    names = sorted({*kept, *(name for name in view.stores.locked() if name > after)})
    page = names[: query.limit]
    locks: dict[str, list[LockSeen]] = {}
    for lock in view.stores.locks_seen(frozenset(page)):
        locks.setdefault(lock.context, []).append(lock)

    def render(name: str) -> StoredContext:
        return _context(name, kept.get(name), locks.get(name, []))

    return Stores(
        stores=await pieces.encoded(page, render, at_once=CONTEXTS_AT_ONCE),
        next=page[-1] if len(names) > query.limit else None,
    )


async def drop(view: View, context: str, peer: Peer) -> Dropped:
    """Break a context's locks and remove its values.

    Raises:
        Problem: There is neither.
        StoreError: Not everything could be removed.
    """
    found = await view.stores.drop(context)
    dropped = Dropped(values=found.values, locks=found.locks)
    if not dropped.values and not dropped.locks:
        raise Problem(HTTPStatus.NOT_FOUND, "nothing is kept, and no lock held, in this context")
    log.warning(
        "stored tokens dropped",
        uid=peer.uid,
        pid=peer.pid,
        context=shown(context),
        values=dropped.values,
        locks=dropped.locks,
    )
    return dropped


def _context(name: str, kept: ContextValues | None, locks: list[LockSeen]) -> StoredContext:
    return StoredContext(
        context=name,
        owner=None if kept is None else kept.context.owner,
        made_at=None if kept is None else kept.context.made_at,
        values=tuple(
            StoredValue(name=each.name, size=each.size, written_at=each.written_at)
            for each in (() if kept is None else kept.values)
        ),
        locks=tuple(
            HeldLock(
                name=each.name,
                uid=each.uid,
                pid=each.pid,
                since=each.since,
                idle=each.idle,
                waiting=each.waiting,
            )
            for each in sorted(locks, key=lambda each: each.name)
        ),
    )
