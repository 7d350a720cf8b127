"""One change, judged against the rows as they stand: a pure function.

Every race is settled here, because the table asks for one decision at a time. What would take long
comes to a piece of it, and the rest as a change of its own, to be decided after others.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessiond.core import changes
from sessiond.core.decide import (
    access,
    cursors,
    ending,
    keeping,
    login,
    orders,
    presence,
    refresh,
    tickets,
    tokens,
    web,
)
from sessiond.core.decide.draft import Draft, Notice
from sessiond.core.queries import Request
from sessiond.core.rows import RowsView, Write
from sessiond.core.rules import Rules

__all__ = ["Decision", "Notice", "Rules", "decide", "turn_of", "unfinished"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a change comes to. The answer's type is the change's own."""

    answer: Any
    writes: list[Write]
    notices: list[Notice]
    rest: changes.Change[Any] | None = None  # whose decision will have the answer


def decide(rows: RowsView, change: changes.Change[Any], now: datetime, rules: Rules) -> Decision:
    """Return what is to be written, told and answered. Reads the rows, changes nothing."""
    draft = Draft(rows, now, rules)
    answer = _DECIDERS[type(change)](draft, change)
    draft.forget_left()
    return Decision(answer, draft.writes, draft.notices, draft.rest)


def unfinished(rows: RowsView) -> list[changes.Change[Any]]:
    """Return what an earlier run had begun to end, by the rows that it has left."""
    return [*ending.unfinished(rows), *refresh.unfinished(rows), *tickets.unfinished(rows)]


def turn_of(asked: Request[Any]) -> Hashable:
    """Return what is asked about, if others about the same must not pass it while it lasts."""
    match asked:
        case changes.EndCovered():
            return asked.revocation.id
        case changes.LiftRevocation():
            return asked.id
        case _:
            return getattr(asked, "process", None)


def _record_events(draft: Draft, change: changes.RecordEvents) -> None:
    for event in change.events:
        draft.tell(event)


_DECIDERS: dict[type[changes.Change[Any]], Any] = {
    changes.Open: login.open_session,
    changes.OpenTicket: tickets.open_ticket,
    changes.EndOrphans: tickets.end_orphans,
    changes.KeepGrant: tokens.keep_grant,
    changes.Withdraw: login.withdraw,
    changes.Bind: login.bind,
    changes.Renew: login.renew,
    changes.OpenWeb: web.open_web,
    changes.TouchWeb: web.touch_web,
    changes.SignOut: web.sign_out,
    changes.Close: presence.close,
    changes.ProcessLost: presence.process_lost,
    changes.ProcessMet: presence.process_met,
    changes.Reconcile: presence.reconcile,
    changes.BeginRefresh: refresh.begin_refresh,
    changes.Rotate: refresh.rotate,
    changes.Refresh: refresh.refresh,
    changes.Recheck: refresh.recheck,
    changes.UpdateSessions: refresh.update_sessions,
    changes.Reassess: access.reassess,
    changes.Refuse: refresh.refuse,
    changes.Forsake: refresh.forsake,
    changes.StopRefreshing: refresh.stop_refreshing,
    changes.DropRefreshToken: refresh.drop_refresh_token,
    changes.Revoke: ending.revoke,
    changes.EndCovered: ending.end_covered,
    changes.LiftRevocation: ending.lift_revocation,
    changes.ReleaseName: ending.release_name,
    changes.EndSessions: ending.end_sessions,
    changes.Disown: ending.disown,
    changes.Expire: ending.expire,
    changes.KeepTicketKey: keeping.keep_ticket_key,
    changes.DropTicketKey: keeping.drop_ticket_key,
    changes.KeepSourceGrant: keeping.keep_source_grant,
    changes.BeginSourceRefresh: keeping.begin_source_refresh,
    changes.RotateSource: keeping.rotate_source,
    changes.RefuseSource: keeping.refuse_source,
    changes.DropSourceGrant: keeping.drop_source_grant,
    changes.WriteValue: keeping.write_value,
    changes.NextEpoch: keeping.next_epoch,
    changes.RecordEvents: _record_events,
    changes.RecordReload: orders.record_reload,
    changes.KeepCursor: cursors.keep_cursor,
    changes.KeepDeadLetters: cursors.keep_dead_letters,
    changes.DropDeadLetter: cursors.drop_dead_letter,
    changes.ForgetSubscriber: cursors.forget_subscriber,
}
