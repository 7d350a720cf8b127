"""Whose sessions another configuration ends, found out before it counts."""

from dataclasses import replace
from itertools import chain

import anyio.lowlevel

from sessiond.core.access import Denied, cost_of
from sessiond.core.passing_on import access_anew
from sessiond.core.rows import RowsView
from sessiond.core.session import Session
from sessiond.daemon.resuming import is_answered_for
from sessiond.daemon.services import Endpoints, Services
from sessiond.daemon.snapshot import Snapshot

A_TURN = 500  # sessions judged in one turn of the loop; fewer with very many roles


def has_other_access(before: Snapshot, now: Snapshot) -> bool:
    """Say whether somebody may be allowed something else, whatever the file is by its digest."""
    was, becomes = before.table.rules.access, now.table.rules.access
    return replace(was, configuration="") != replace(becomes, configuration="")


async def ending_by(
    snapshot: Snapshot, current: Snapshot, services: Services, endpoints: Endpoints
) -> list[Session]:
    """Return the sessions whose issuer, process or user would not be served there any more."""
    table, rules = services.table, snapshot.table.rules
    gone = {each.id for each in table.grants() if not is_answered_for(each, rules)}
    cut = {
        (peer.uid, peer.pid, peer.started)
        for peer in endpoints.listener.disallowed(snapshot.listen.allowed)
    }
    misnamed = set(services.connected.misnamed(snapshot.names))
    is_judged = has_other_access(current, snapshot)
    if not (gone or cut or misnamed or is_judged):
        return []
    ending, looked_at = list[Session](), 0
    live = (await table.rows()).sessions  # as it is at each look, and looked at alone
    for each in table.sessions():
        process = each.process
        is_cut = process in misnamed or (process.uid, process.pid, process.started) in cut
        access = access_anew(rules.access, each, live.get)
        if each.grant in gone or is_cut or (is_judged and isinstance(access, Denied)):
            ending.append(each)
        looked_at += cost_of(each.assigned)
        if looked_at >= A_TURN:
            looked_at = 0
            await anyio.lowlevel.checkpoint()
    ending += await _with_them(ending, await table.rows())
    await anyio.lowlevel.checkpoint()
    return ending


async def _with_them(ending: list[Session], rows: RowsView) -> list[Session]:
    """Return the sessions that end with others, and are not found to end for themselves."""
    known, found = {each.id for each in ending}, list[Session]()
    for number, each in enumerate(chain(ending, found), start=1):
        new = [key for key in rows.children_of(each.id) if key not in known]
        known.update(new)
        found += [rows.sessions[key] for key in new]
        if number % A_TURN == 0:
            await anyio.lowlevel.checkpoint()
    return found
