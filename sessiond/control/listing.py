"""Processes and names for operators, page by page."""

import re
from typing import Annotated

import anyio.lowlevel
from msgspec import Meta, Struct

from sessiond.control import bodies, pieces
from sessiond.control.pieces import AT_ONCE
from sessiond.control.view import View
from sessiond.core import listing
from sessiond.core.session import ProcessKey

_KEY = r"^([0-9]{1,10}):([0-9]{1,10}):([0-9]{1,20}):([^\x00-\x1f]{0,1024})\Z"


class Process(Struct, frozen=True, kw_only=True):
    """A q process that is connected, or whose sessions wait for it to come back."""

    name: str  # this and the next three as it says them of itself
    type: str
    host: str
    pid: int
    uid: int  # whose it is, by the kernel's word
    hook: str  # the version of its hook; empty: it does not say, or is not connected
    connected: bool
    sessions: int  # live ones

    @classmethod
    def of(cls, listed: listing.Process) -> "Process":
        about = listed.about
        return cls(
            name=about.name,
            type=about.type,
            host=about.host,
            pid=about.pid,
            uid=listed.key.uid,
            hook=listed.hook,
            connected=listed.is_connected,
            sessions=listed.sessions,
        )


class ProcessesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`after`: the last page's `next`."""

    limit: bodies.Limit = 100
    after: Annotated[str, Meta(pattern=_KEY)] | None = None


class Processes(Struct, frozen=True, kw_only=True):
    """A page of processes, by user and pid. `next` is null on the last one."""

    processes: list[Process]
    next: str | None


class Name(Struct, frozen=True, kw_only=True):
    """A user name, and whom it belongs to until it is forgotten."""

    name: str  # in lower case, as names are compared
    issuer: str
    subject: str
    sessions: int  # live ones under this name

    @classmethod
    def of(cls, listed: listing.Name) -> "Name":
        owner = listed.owner
        return cls(
            name=owner.name, issuer=owner.issuer, subject=owner.subject, sessions=listed.sessions
        )


class NamesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`begin`: only names that begin so, in any case; `after`: the last page's `next`."""

    begin: bodies.Text = ""
    limit: bodies.Limit = 100
    after: bodies.Text = ""


class Names(Struct, frozen=True, kw_only=True):
    """A page of names, in their order. `next` is null on the last one."""

    names: list[Name]
    next: str | None


async def processes(view: View, query: ProcessesQuery) -> Processes:
    """Return a page of the connected processes, and of those whose sessions wait for them."""
    found: list[listing.Process] = []
    after = None if query.after is None else _read_key(query.after)
    while (room := query.limit + 1 - len(found)) > 0:
        rows, connected = await view.table.rows(), view.connected.processes
        piece = listing.list_processes(rows, connected, after=after, limit=min(room, AT_ONCE))
        if not piece:
            break
        found += piece
        after = piece[-1].key
        await anyio.lowlevel.checkpoint()
    has_more, page = len(found) > query.limit, found[: query.limit]
    return Processes(
        processes=await pieces.encoded(page, Process.of),
        next=_written(page[-1].key) if has_more else None,
    )


async def names(view: View, query: NamesQuery) -> Names:
    """Return a page of the names that belong to somebody."""
    found: list[listing.Name] = []
    after = query.after
    while (room := query.limit + 1 - len(found)) > 0:
        rows = await view.table.rows()
        piece = listing.list_names(rows, query.begin, after=after, limit=min(room, AT_ONCE))
        if not piece:
            break
        found += piece
        after = piece[-1].owner.name
        await anyio.lowlevel.checkpoint()
    has_more, page = len(found) > query.limit, found[: query.limit]
    return Names(
        names=await pieces.encoded(page, Name.of),
        next=page[-1].owner.name if has_more else None,
    )


def _read_key(text: str) -> ProcessKey:
    """Return the key that a page has ended with; its form was checked when it was read."""
    uid, pid, started, label = re.fullmatch(_KEY, text).groups()  # type: ignore[union-attr]  # see above
    return ProcessKey(uid=int(uid), pid=int(pid), started=int(started), label=label)


def _written(key: ProcessKey) -> str:
    return f"{key.uid}:{key.pid}:{key.started}:{key.label}"
