"""Ends what nobody here answers for any more, and goes on with the rest."""

from collections import Counter
from collections.abc import Sequence

import structlog

from sessiond.core.changes import Disown
from sessiond.core.decide import Rules
from sessiond.core.errors import StoreError
from sessiond.core.grant import Grant
from sessiond.refresher import Refresher
from sessiond.table import Table

AT_ONCE = 256  # grants in one change

log = structlog.get_logger()


def is_answered_for(grant: Grant, rules: Rules) -> bool:
    """Say whether its issuer is configured: the same one, not another that has got its name.

    A refresh token of one issuer is never sent to another.
    """
    return grant.issuer in rules.iss and grant.iss in ("", rules.iss[grant.issuer])


async def resume(table: Table, refresher: Refresher, rules: Rules) -> None:
    """Go on with what an earlier run has left; end what no configured issuer answers for."""
    gone: list[Grant] = []
    for grant in table.resume():
        if is_answered_for(grant, rules):
            refresher.follow(grant)
        else:
            gone.append(grant)
    await disown(table, gone)


async def disown(table: Table, grants: Sequence[Grant]) -> None:
    """End grants whose issuer is gone, with their sessions; return when that is on disk."""
    for issuer, number in Counter(grant.issuer for grant in grants).items():
        log.warning("issuer gone, sessions end", issuer=issuer, grants=number)
    ids = [grant.id for grant in grants]
    tickets = [
        await table.submit(Disown(grants=tuple(ids[start : start + AT_ONCE])))
        for start in range(0, len(ids), AT_ONCE)
    ]
    for ticket in tickets:
        try:
            await ticket.answer()
        except StoreError as error:  # ended all the same, and written when it can be
            log.warning("their end is not on disk yet", error=str(error))
