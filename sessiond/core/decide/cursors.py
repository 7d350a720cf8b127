"""Subscribers' places: how far each has received, and what was set aside for it."""

from sessiond.core.changes import (
    ForgetSubscriber,
    KeepPlace,
    ListPlaces,
    Places,
    SetEventsAside,
    TakeBack,
)
from sessiond.core.cursor import MAX_ERROR, MAX_SET_ASIDE, Place, SetAside
from sessiond.core.decide.draft import Draft
from sessiond.core.rows import Row, Rows


def keep_place(draft: Draft, change: KeepPlace) -> None:
    """Move a place forward; one that comes late moves nothing."""
    _move(draft, change.subscriber, change.sequence)


def set_events_aside(draft: Draft, change: SetEventsAside) -> bool:
    """Keep events for later and move the place past them, while there is room."""
    there = {each.event.sequence for each in draft.rows.set_aside_of(change.subscriber)}
    fresh = {event.sequence for event in change.events} - there
    if len(there) + len(fresh) > MAX_SET_ASIDE:
        return False
    for event in change.events:
        draft.put(
            SetAside(
                subscriber=change.subscriber,
                event=event,
                attempts=change.attempts,
                error=change.error[:MAX_ERROR],
                at=draft.now,
            )
        )
    _move(draft, change.subscriber, max((each.sequence for each in change.events), default=0))
    return True


def take_back(draft: Draft, change: TakeBack) -> bool:
    """Drop an event that was set aside."""
    found = draft.rows.set_aside.get((change.subscriber, change.sequence))
    if found is None:
        return False
    draft.drop(found)
    return True


def forget_subscriber(draft: Draft, change: ForgetSubscriber) -> bool:
    """Drop everything that is kept for a subscriber."""
    kept: list[Row] = [*draft.rows.set_aside_of(change.subscriber)]
    if change.subscriber in draft.rows.places:
        kept.append(draft.rows.places[change.subscriber])
    for row in kept:
        draft.drop(row)
    return bool(kept)


def list_places(draft: Draft, _: ListPlaces) -> Places:
    """Return what is kept for every subscriber."""
    return kept_places(draft.rows)


def kept_places(rows: Rows) -> Places:
    """Return the places and the set-aside events."""
    set_aside = rows.set_aside.values()
    return Places(
        places=tuple(sorted(rows.places.values(), key=lambda each: each.subscriber)),
        set_aside=tuple(sorted(set_aside, key=lambda each: (each.subscriber, each.event.sequence))),
    )


def _move(draft: Draft, subscriber: str, sequence: int) -> None:
    place = draft.rows.places.get(subscriber)
    if place is None or place.sequence < sequence:
        draft.put(Place(subscriber=subscriber, sequence=sequence, at=draft.now))
