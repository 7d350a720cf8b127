"""Subscribers' places: how far each has received, and what was set aside for it."""

from sessiond.core.changes import DropDeadLetter, ForgetSubscriber, KeepCursor, KeepDeadLetters
from sessiond.core.cursor import MAX_DEAD_LETTERS, MAX_ERROR, Cursor, DeadLetter
from sessiond.core.decide.draft import Draft
from sessiond.core.rows import Row


def keep_cursor(draft: Draft, change: KeepCursor) -> None:
    """Move a place forward; one that comes late moves nothing."""
    _move(draft, change.subscriber, change.sequence)


def keep_dead_letters(draft: Draft, change: KeepDeadLetters) -> bool:
    """Keep events for later and move the place past them, while there is room."""
    there = {each.event.sequence for each in draft.rows.set_aside_of(change.subscriber)}
    fresh = {event.sequence for event in change.events} - there
    if len(there) + len(fresh) > MAX_DEAD_LETTERS:
        return False
    for event in change.events:
        draft.put(
            DeadLetter(
                subscriber=change.subscriber,
                event=event,
                attempts=change.attempts,
                error=change.error[:MAX_ERROR],
                at=draft.now,
            )
        )
    _move(draft, change.subscriber, max((each.sequence for each in change.events), default=0))
    return True


def drop_dead_letter(draft: Draft, change: DropDeadLetter) -> bool:
    """Drop an event that was set aside."""
    found = draft.rows.dead_letters.get((change.subscriber, change.sequence))
    if found is None:
        return False
    draft.drop(found)
    return True


def forget_subscriber(draft: Draft, change: ForgetSubscriber) -> bool:
    """Drop everything that is kept for a subscriber."""
    kept: list[Row] = [*draft.rows.set_aside_of(change.subscriber)]
    if change.subscriber in draft.rows.cursors:
        kept.append(draft.rows.cursors[change.subscriber])
    for row in kept:
        draft.drop(row)
    return bool(kept)


def _move(draft: Draft, subscriber: str, sequence: int) -> None:
    place = draft.rows.cursors.get(subscriber)
    if place is None or place.sequence < sequence:
        draft.put(Cursor(subscriber=subscriber, sequence=sequence, at=draft.now))
