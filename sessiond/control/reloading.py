"""Having the configuration read again on an operator's word, or only looked at."""

from http import HTTPStatus

import structlog
from msgspec import Struct

from sessiond.control.bodies import OptionalReason
from sessiond.control.operator import check_words, operator_of
from sessiond.control.problem import Problem
from sessiond.control.view import View
from sessiond.core.changes import RecordReload
from sessiond.core.errors import StoreError
from sessiond.system.peer import Peer

log = structlog.get_logger()


class ReloadRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the file is only to be looked at, and why it is applied."""

    dry_run: bool = False
    reason: OptionalReason = ""


class Reloaded(Struct, frozen=True, kw_only=True):
    """What came of the configuration file, or (`dry_run`) would come of it."""

    applied: bool
    errors: tuple[str, ...]  # why it is refused, one for each problem; empty: it is good
    needs_restart: tuple[str, ...]  # changed keys that count from the next start on
    would_end: dict[str, int]  # by issuer: live sessions, as it is gone or has changed
    ended: int  # live sessions


async def reload(view: View, request: ReloadRequest, peer: Peer) -> Reloaded:
    """Return what came of it, when it counts and what it ends is on disk.

    Raises:
        Problem: The daemon is only starting, or the reason cannot be shown.
    """
    check_words(request.reason)
    if view.reload is None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "sessiond is starting: ask again in a moment")
    outcome = await view.reload(dry_run=request.dry_run)
    if outcome.applied:
        await _record(view, request.reason, peer, ended=outcome.ended)
    return Reloaded(
        applied=outcome.applied,
        errors=outcome.errors,
        needs_restart=outcome.needs_restart,
        would_end=dict(outcome.would_end),
        ended=outcome.ended,
    )


async def _record(view: View, reason: str, peer: Peer, *, ended: int) -> None:
    by, generation = await operator_of(peer), view.configuration.generation
    log.warning("reloaded", uid=peer.uid, pid=peer.pid, generation=generation, ended=ended)
    told = RecordReload(generation=generation, by=by, reason=reason, ended=ended)
    try:
        await view.table.ask(told)
    except StoreError as error:  # it counts all the same
        log.error("event not written", kind="operator.reloaded", error=str(error))
