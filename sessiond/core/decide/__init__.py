"""One change, judged against the rows as they stand: a pure function.

Every race is settled here, because the table asks for one decision at a time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessiond.core import changes
from sessiond.core.decide import ending, listing, login, places, presence, refresh, tokens
from sessiond.core.decide.draft import Draft, Notice, Rules
from sessiond.core.rows import Rows, Write

__all__ = ["Decision", "Notice", "Rules", "decide"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a change comes to. The answer's type is the change's own."""

    answer: Any
    writes: list[Write]
    notices: list[Notice]


def decide(rows: Rows, change: changes.Change[Any], now: datetime, rules: Rules) -> Decision:
    """Return what is to be written, told and answered. Reads the rows, changes nothing."""
    draft = Draft(rows, now, rules)
    answer = _DECIDERS[type(change)](draft, change)
    draft.forget_left()
    return Decision(answer, draft.writes, draft.notices)


def _tell(draft: Draft, change: changes.Tell) -> None:
    for event in change.events:
        draft.tell(event)


_DECIDERS: dict[type[changes.Change[Any]], Any] = {
    changes.Open: login.open_session,
    changes.Adopt: tokens.adopt,
    changes.Withdraw: login.withdraw,
    changes.Bind: login.bind,
    changes.Renew: login.renew,
    changes.Close: presence.close,
    changes.Lose: presence.lose,
    changes.Reconcile: presence.reconcile,
    changes.Look: presence.look,
    changes.Find: presence.find,
    changes.BeginRefresh: refresh.begin,
    changes.FindGrant: refresh.find_grant,
    changes.Recheckable: refresh.recheckable,
    changes.Rotate: refresh.rotate,
    changes.Refresh: refresh.refresh,
    changes.Recheck: refresh.recheck,
    changes.Refuse: refresh.refuse,
    changes.Forsake: refresh.forsake,
    changes.Revoke: ending.revoke,
    changes.Forgive: ending.forgive,
    changes.Forget: ending.forget,
    changes.End: ending.end,
    changes.Disown: ending.disown,
    changes.Expire: ending.expire,
    changes.Tell: _tell,
    changes.ListSessions: listing.list_sessions,
    changes.FindSession: listing.find_session,
    changes.FindProcesses: listing.find_processes,
    changes.KnownNames: listing.known_names,
    changes.ListRevocations: listing.list_revocations,
    changes.Count: listing.count,
    changes.Judge: listing.judge,
    changes.KeepPlace: places.keep_place,
    changes.SetEventsAside: places.set_events_aside,
    changes.TakeBack: places.take_back,
    changes.ForgetSubscriber: places.forget_subscriber,
    changes.ListPlaces: places.list_places,
}
