"""Ends what nobody here answers for any more, and goes on with the rest."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog

from sessiond.core.changes import Change, Disown, ProcessLost, Reassess
from sessiond.core.decide import Rules
from sessiond.core.decide.presence import can_come_back
from sessiond.core.errors import StoreError
from sessiond.core.grant import Grant
from sessiond.kdb.subscriber_access import ProcessNames
from sessiond.refresher import Refresher
from sessiond.table import Table

AT_ONCE = 256  # grants in one change

log = structlog.get_logger()


def is_answered_for(grant: Grant, rules: Rules) -> bool:
    """Say whether its issuer is configured: the same one, not another that has got its name.

    A refresh token of one issuer is never sent to another.
    """
    return grant.issuer in rules.iss and grant.iss in ("", rules.iss[grant.issuer])


async def resume(table: Table, refresher: Refresher, rules: Rules, names: ProcessNames) -> None:
    """Go on with what an earlier run has left.

    What no configured issuer answers for ends, and so do sessions of processes that are known to
    nobody now. The others may do what the configuration of now says.
    """
    grants = table.resume()
    issuers = {(each.issuer, each.iss): each for each in grants}
    unknown = {of for of, grant in issuers.items() if not is_answered_for(grant, rules)}
    refresher.follow_all(each for each in grants if (each.issuer, each.iss) not in unknown)
    await disown(table, [each for each in grants if (each.issuer, each.iss) in unknown])
    await reassess(table)
    await _lose_unknown(table, names)


async def _lose_unknown(table: Table, names: ProcessNames) -> None:
    """End sessions of processes that an earlier run knew by their connection alone."""
    lost = list[Change[Any]]()
    for process, about in table.processes().items():
        if can_come_back(process):
            names.note(process.uid, about.name)
        else:
            log.warning("process cannot come back, sessions end", process=about.name)
            lost.append(ProcessLost(process=process))
    await _end(table, lost)


async def disown(table: Table, grants: Sequence[Grant]) -> None:
    """End grants whose issuer is gone, with their sessions; return when that is on disk."""
    for issuer, number in Counter(grant.issuer for grant in grants).items():
        log.warning("issuer gone, sessions end", issuer=issuer, grants=number)
    ids = [grant.id for grant in grants]
    starts = range(0, len(ids), AT_ONCE)
    await _end(table, [Disown(grants=tuple(ids[start : start + AT_ONCE])) for start in starts])


async def reassess(table: Table) -> bool:
    """Judge every session by the access rules that count now; return whether that is on disk."""
    if not table.sessions():
        return True
    try:
        found = await table.ask(Reassess())
    except StoreError as error:
        log.warning("sessions are not all judged anew", error=str(error))
        return False
    if found.changed or found.ended:
        log.info("sessions judged anew", changed=found.changed, ended=found.ended)
    return True


async def _end(table: Table, changes: Sequence[Change[Any]]) -> None:
    """Have changes made that end sessions; return when that is on disk."""
    for error in await table.ask_all(changes):
        if isinstance(error, StoreError):  # ended all the same, and written when it can be
            log.warning("their end is not on disk yet", error=str(error))
