"""One change, judged against the rows as they stand: a pure function.

Every race is settled here, because the table asks for one decision at a time. What would take long
comes to a piece of it, and the rest as a change of its own, to be decided after others.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessiond.core import changes
from sessiond.core.decide import cursors, ending, listing, login, presence, refresh, tokens
from sessiond.core.decide.draft import Draft, Notice, Rules
from sessiond.core.rows import Rows, Write

__all__ = ["Decision", "Notice", "Rules", "decide", "turn_of", "unfinished"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a change comes to. The answer's type is the change's own."""

    answer: Any
    writes: list[Write]
    notices: list[Notice]
    rest: changes.Change[Any] | None = None  # whose decision will have the answer


def decide(rows: Rows, change: changes.Change[Any], now: datetime, rules: Rules) -> Decision:
    """Return what is to be written, told and answered. Reads the rows, changes nothing."""
    draft = Draft(rows, now, rules)
    answer = _DECIDERS[type(change)](draft, change)
    draft.forget_left()
    return Decision(answer, draft.writes, draft.notices, draft.rest)


def unfinished(rows: Rows) -> list[changes.Change[Any]]:
    """Return what an earlier run had begun to end, by the rows that it has left."""
    return [*ending.unfinished(rows), *refresh.refused(rows)]


def turn_of(change: changes.Change[Any]) -> Hashable:
    """Return what a change is about, if others about the same must not pass it while it lasts."""
    match change:
        case changes.EndCovered():
            return change.revocation.id
        case changes.LiftRevocation():
            return change.id
        case _:
            return getattr(change, "process", None)


def _record_events(draft: Draft, change: changes.RecordEvents) -> None:
    for event in change.events:
        draft.tell(event)


def _pass(_: Draft, __: changes.Ping) -> None:
    pass


_DECIDERS: dict[type[changes.Change[Any]], Any] = {
    changes.Open: login.open_session,
    changes.KeepGrant: tokens.keep_grant,
    changes.Withdraw: login.withdraw,
    changes.Bind: login.bind,
    changes.Renew: login.renew,
    changes.Close: presence.close,
    changes.ProcessLost: presence.process_lost,
    changes.Reconcile: presence.reconcile,
    changes.ListOwnSessions: presence.list_own_sessions,
    changes.Find: presence.find,
    changes.BeginRefresh: refresh.begin,
    changes.FindGrant: refresh.find_grant,
    changes.Recheckable: refresh.recheckable,
    changes.Rotate: refresh.rotate,
    changes.Refresh: refresh.refresh,
    changes.Recheck: refresh.recheck,
    changes.UpdateSessions: refresh.update_sessions,
    changes.Refuse: refresh.refuse,
    changes.Forsake: refresh.forsake,
    changes.Revoke: ending.revoke,
    changes.EndCovered: ending.end_covered,
    changes.LiftRevocation: ending.lift_revocation,
    changes.ReleaseName: ending.release_name,
    changes.EndSessions: ending.end_sessions,
    changes.Disown: ending.disown,
    changes.Expire: ending.expire,
    changes.RecordEvents: _record_events,
    changes.Ping: _pass,
    changes.KnownNames: listing.known_names,
    changes.CheckAdmission: listing.check_admission,
    changes.KeepCursor: cursors.keep_cursor,
    changes.KeepDeadLetters: cursors.keep_dead_letters,
    changes.DropDeadLetter: cursors.drop_dead_letter,
    changes.ForgetSubscriber: cursors.forget_subscriber,
    changes.ListCursors: cursors.list_cursors,
}
