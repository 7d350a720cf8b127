"""One subscriber is fed from its place, whatever its process does."""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from sessiond.core.changes import RecordEvents
from sessiond.core.errors import StoreError
from sessiond.core.events import Event, to_json
from sessiond.extensions.subscribers import runner
from sessiond.extensions.subscribers.subprocesses import Gone
from sessiond.extensions.subscribers.wire import Failed, Ready, Received, Refused
from tests.fakes import MemoryStore, idle
from tests.unit.extensions.subscribers.fed import (
    AUDIT,
    KEEP,
    Answer,
    Children,
    event,
    fed,
    stored,
    takes_all,
)

pytestmark = pytest.mark.anyio


def fails(*sequences: int, error: str = "ValueError: no") -> Children:
    """Return processes that fail at these events, and take the others."""

    def answer(events: Sequence[Event]) -> Answer:
        bad = [each.sequence for each in events if each.sequence in sequences]
        return Failed(sequence=events[0].sequence, error=error) if bad else takes_all(events)

    return Children(answer)


def answering(wrong: Answer) -> Children:
    """Return processes that answer event 1 with this, and take the others."""
    return Children(lambda events: wrong if events[0].sequence == 1 else takes_all(events))


# From its place


async def test_a_new_subscriber_begins_with_now_and_its_place_is_kept_at_once() -> None:
    async with fed(store=await stored(1, 2, 3, place=None)) as running:
        assert running.cursors == [3]
        await running.happen(2)
        assert running.children.offered == [[4], [5]]


async def test_a_known_subscriber_goes_on_from_its_place() -> None:
    async with fed(store=await stored(1, 2, 3, place=1)) as running:
        assert running.children.offered == [[2], [3]]
        assert running.subscribers.states()[0].place == 3


async def test_a_plugin_that_takes_many_gets_what_there_is_in_one_go() -> None:
    children = Children(batch=4)
    async with fed(store=await stored(*range(1, 7)), children=children):
        assert children.offered == [[1, 2, 3, 4], [5, 6]]


async def test_events_that_are_long_go_in_several_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_BATCH_BYTES", 2 * len(to_json(event(1))))
    children = Children(batch=9)
    async with fed(store=await stored(*range(1, 6)), children=children):
        assert children.offered == [[1, 2], [3, 4], [5]]


async def test_what_is_no_longer_kept_is_told_as_a_gap() -> None:
    async with fed(store=await stored(5, 6, place=2)) as running:
        assert running.children.offered == [[4], [5], [6]]
        assert running.children.kinds == ["gap", "login.refused", "login.refused"]


async def test_one_that_has_missed_everything_since_the_first_event_is_told_so() -> None:
    async with fed(store=await stored(5, 6, place=0)) as running:
        assert running.children.offered == [[4], [5], [6]]
        assert running.children.kinds[0] == "gap"


async def test_where_nothing_at_all_is_kept_it_is_told_and_waits_for_what_comes() -> None:
    store = await stored(*range(1, 6), place=0)
    store.events.clear()
    async with fed(store=store) as running:
        assert (running.children.offered, running.children.kinds) == ([[5]], ["gap"])
        await running.happen(1)
        assert running.children.offered == [[5], [6]]


async def test_a_gap_and_as_many_events_as_the_plugin_takes_never_make_one_too_many() -> None:
    children = Children(batch=2)
    async with fed(store=await stored(5, 6, place=2), children=children):
        assert children.offered == [[4, 5], [6]]


# Its place is kept


async def test_the_place_is_written_before_more_is_sent_and_only_when_it_has_changed() -> None:
    async with fed() as running:
        assert running.cursors == [0]  # as it was new
        await running.happen(2)
        assert (running.children.offered, running.cursors) == ([[1], [2]], [0, 1, 2])
        await running.clock.advance(5)
        assert running.cursors == [0, 1, 2]  # nothing has changed


async def test_the_place_is_written_before_the_stop_is_over() -> None:
    async with fed() as running:
        await running.happen(4)
        await running.subscribers.stop()
        assert running.cursors[-1] == 4
        assert running.children.stopped == [1]
        assert running.children.alive == []
        assert running.subscribers.states()[0].state == "stopped"


async def test_a_place_that_could_not_be_written_is_written_later() -> None:
    children = Children()
    async with fed(children=children) as running:

        def take_and_fill_the_disk(events: Sequence[Event]) -> Answer:
            running.store.failing, children.answer = 1, takes_all
            return takes_all(events)

        children.answer = take_and_fill_the_disk
        await running.happen(1)
        await running.clock.advance(0.9)
        assert (children.offered, running.cursors) == ([[1]], [0])
        await running.clock.advance(0.2)
        assert running.cursors == [0, 1]


# Failures


async def test_an_event_that_failed_comes_again_later_and_none_before_it() -> None:
    children = fails(1)
    async with fed(children=children) as running:
        await running.happen(2)
        assert children.offered == [[1]]
        (state,) = running.subscribers.states()
        assert (state.state, state.last_error, state.lag) == ("waiting", "ValueError: no", 2)
        await running.clock.advance(0.9)
        assert children.offered == [[1]]
        await running.clock.advance(0.2)
        assert children.offered == [[1], [1]]
        children.answer = takes_all
        await running.clock.advance(1.8)
        assert children.offered == [[1], [1]]
        await running.clock.advance(0.2)
        assert children.offered == [[1], [1], [1], [2]]
        (state,) = running.subscribers.states()
        assert (state.state, state.lag, state.restarts) == ("running", 0, 0)
        assert state.last_received_at is not None


async def test_an_event_that_failed_too_often_is_set_aside_and_the_next_goes_on() -> None:
    children = fails(1, error="ValueError: no\x1b[2J")
    async with fed(children=children) as running:
        await running.happen(2)
        await running.clock.advance(60)
        assert children.offered == [[1], [1], [1], [2]]
        (aside,) = running.set_aside
        assert (aside.subscriber, aside.event.sequence, aside.attempts) == ("audit", 1, 3)
        assert aside.error == "ValueError: no?[2J"
        (state,) = running.subscribers.states()
        assert (state.set_aside, state.place) == (1, 2)


async def test_while_what_it_needs_is_away_no_event_is_set_aside_and_batches_stay_whole() -> None:
    children = Children(
        lambda _: Failed(sequence=1, error="TryLater: disk full", is_outage=True), batch=10
    )
    async with fed(store=await stored(1, 2), children=children) as running:
        await running.clock.advance(600)
        assert len(children.offered) > 10
        children.answer = takes_all
        await running.clock.advance(61)
        assert children.offered[-1] == [1, 2]
        assert all(offer == [1, 2] for offer in children.offered)
        assert running.set_aside == []
        assert running.subscribers.states()[0].last_error == "TryLater: disk full"


async def test_an_event_that_cannot_be_set_aside_is_tried_on() -> None:
    children = fails(1)
    async with fed(children=children) as running:
        await running.happen(1)
        await running.clock.advance(2)
        running.store.failing = 1
        await running.clock.advance(2)
        assert (len(children.offered), running.set_aside) == (3, [])
        await running.clock.advance(10)
        assert len(children.offered) == 4
        assert len(running.set_aside) == 1


async def test_of_a_batch_that_failed_only_the_bad_event_is_set_aside() -> None:
    children = fails(2)
    children.ready = Ready(batch=10)
    async with fed(store=await stored(1, 2, 3, 4), children=children) as running:
        await running.clock.advance(60)
        assert children.offered == [[1, 2, 3, 4], [1], [2], [2], [2], [3], [4]]
        assert [each.event.sequence for each in running.set_aside] == [2]
        await running.happen(2)
        assert children.offered[-1] == [5, 6]  # nobody is careful for ever


async def test_events_of_a_batch_before_the_one_that_failed_are_done_with() -> None:
    children = Children(
        lambda events: (
            Failed(sequence=3, error="no") if events[0].sequence == 1 else takes_all(events)
        ),
        batch=10,
    )
    async with fed(store=await stored(1, 2, 3, 4), children=children) as running:
        assert running.subscribers.states()[0].place == 2
        await running.clock.advance(1)
        assert children.offered == [[1, 2, 3, 4], [3], [4]]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (Gone("it ended with exit code 3"), "it ended with exit code 3"),
        (Received(sequence=9), "it talks nonsense"),
        (Failed(sequence=9, error="no"), "it talks nonsense"),
        (Ready(), "it talks nonsense"),
        (Refused(problems=("no",), are_keys=False), "it talks nonsense"),
    ],
)
async def test_a_process_that_dies_or_talks_nonsense_is_ended_and_started_anew(
    wrong: Answer, error: str
) -> None:
    children = answering(wrong)
    async with fed(children=children) as running:
        await running.happen(2)
        assert (children.alive, len(children.setups)) == ([], 1)
        (state,) = running.subscribers.states()
        assert (state.state, state.last_error, state.pid) == ("waiting", error, None)
        await running.clock.advance(1)
        assert len(children.setups) == 2
        await running.clock.advance(60)
        assert children.offered == [[1], [1], [1], [2]]
        assert [each.error for each in running.set_aside] == [error]
        assert running.subscribers.states()[0].restarts == 3


async def test_one_that_is_slower_than_its_deadline_is_ended_and_started_anew() -> None:
    children = answering(None)
    async with fed(children=children) as running:
        await running.happen(1)
        await running.clock.advance(4.9)
        assert len(children.alive) == 1
        await running.clock.advance(0.2)
        assert children.alive == []
        assert running.subscribers.states()[0].last_error == "it took longer than 5 s over event 1"
        await running.clock.advance(60)
        assert len(running.set_aside) == 1


async def test_one_that_speaks_without_being_asked_is_ended() -> None:
    async with fed() as running:
        running.children.alive[0].say(Received(sequence=0))
        await idle()
        assert running.children.alive == []
        assert running.subscribers.states()[0].last_error == "it spoke without being asked"
        await running.clock.advance(1)
        await running.happen(1)
        assert running.children.offered == [[1]]


async def test_one_that_dies_while_it_waits_for_its_next_attempt_is_started_anew() -> None:
    children = fails(1)
    async with fed(children=children) as running:
        await running.happen(1)
        children.alive[0].say(Gone("it was ended by SIGKILL"))
        await idle()
        assert running.subscribers.states()[0].last_error == "it was ended by SIGKILL"
        children.answer = takes_all
        await running.clock.advance(2)
        assert children.offered == [[1], [1]]


@pytest.mark.parametrize(
    ("ready", "error"),
    [
        (Refused(problems=("path is missing", "no"), are_keys=True), "path is missing; no"),
        (Gone("it ended with exit code 1"), "it ended with exit code 1"),
        (Received(sequence=0), "it talks nonsense before it is ready"),
        (None, "it was not ready within 30 s"),
    ],
)
async def test_one_that_does_not_get_ready_is_tried_again_and_again(
    ready: Answer, error: str
) -> None:
    children = Children()
    children.ready = ready
    async with fed(children=children) as running:
        await running.happen(1)
        await running.clock.advance(runner.START_WITHIN)
        assert running.subscribers.states()[0].last_error == error
        children.ready = Ready()
        await running.clock.advance(60)
        assert children.offered == [[1]]  # no attempt was counted against it


async def test_one_that_cannot_even_be_started_is_tried_again() -> None:
    async with fed(store=await stored(place=None)) as running:
        running.children.alive[0].say(Gone("it was ended by SIGKILL"))
        running.children.is_full = True
        await running.clock.advance(1)
        assert running.subscribers.states()[0].last_error == "it cannot be started: no memory"
        running.children.is_full = False
        await running.clock.advance(2)
        await running.happen(1)
        assert running.children.offered == [[1]]


class UnreadableStore(MemoryStore):
    """Refuses to be read so many times."""

    unreadable = 2

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        if self.unreadable:
            self.unreadable -= 1
            raise StoreError("the disk is gone")
        return await super().events_after(sequence, limit=limit)


async def test_events_that_cannot_be_read_are_read_later() -> None:
    store = UnreadableStore()
    store.rows = (await stored()).rows
    await store.commit([], [event(1)])
    async with fed(store=store) as running:
        (state,) = running.subscribers.states()
        assert state.last_error == "events cannot be read: the disk is gone"
        await running.clock.advance(60)
        assert running.children.offered == [[1]]


async def test_whoever_is_late_is_warned_of_and_not_more_often_than_needed() -> None:
    children = fails(1)
    store = await stored(1)
    with capture_logs() as logs:
        async with fed(store=store, children=children) as running:
            rules = runner.DeliveryRules(max_attempts=10_000, keep=KEEP)
            running.settings.now = replace(running.settings.now, rules=rules)
            await running.clock.advance(0.75 * KEEP)
            assert not late(logs)
            await running.clock.advance(0.06 * KEEP)
            assert len(late(logs)) == 1
            assert late(logs)[0]["subscriber"] == "audit"
            assert late(logs)[0]["lag"] == 1
            await running.clock.advance(timedelta(minutes=8))
            assert len(late(logs)) == 1
            await running.clock.advance(timedelta(minutes=4))
            assert len(late(logs)) == 2


async def test_one_whose_process_never_lives_is_warned_of_too() -> None:
    children = Children()
    children.ready = Gone("it ended with exit code 1")
    with capture_logs() as logs:
        async with fed(store=await stored(1), children=children) as running:
            await running.clock.advance(0.85 * KEEP)
    assert late(logs)


def late(logs: Iterable[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [each for each in logs if "is late" in each["event"]]


# The end


async def test_the_last_events_are_offered_for_a_short_while_when_it_stops() -> None:
    children = Children(lambda events: None)
    config = msgspec.structs.replace(AUDIT, deadline=100.0)
    async with fed(config, children=children) as running:
        await running.happen(3)
        assert children.offered == [[1]]

        async def answer_later() -> None:
            await running.clock.sleep(1)
            children.answer = takes_all
            children.alive[0].say(Received(sequence=1))

        running.tasks.start_soon(running.subscribers.stop)
        running.tasks.start_soon(answer_later)
        await running.clock.advance(1.5)
        assert children.offered == [[1], [2], [3]]
        assert running.cursors[-1] == 3
        assert children.stopped == [1]


async def test_what_is_written_at_the_very_stop_is_offered_too() -> None:
    async with fed() as running:
        held = running.store.hold()
        running.table.submit(RecordEvents(events=(event(),)))
        await idle()
        running.table.submit(RecordEvents(events=(event(),)))  # such as a session that closes
        running.tasks.start_soon(running.subscribers.stop)
        await idle()
        held.set()
        await idle()
        assert running.children.offered == [[1], [2]]
        assert running.cursors[-1] == 2


async def test_one_that_does_not_answer_is_cut_off_when_it_stops() -> None:
    children = Children(lambda events: None)
    async with fed(children=children) as running:
        await running.happen(3)
        running.tasks.start_soon(running.subscribers.stop)
        await running.clock.advance(1.9)
        assert len(children.alive) == 1
        await running.clock.advance(0.2)
        assert children.offered == [[1]]
        assert (running.cursors[-1], running.set_aside) == (0, [])
        assert children.stopped == [1]


async def test_what_failed_is_not_tried_again_when_it_stops() -> None:
    children = fails(1)
    async with fed(children=children) as running:
        await running.happen(2)
        await running.subscribers.stop()
        assert children.offered == [[1]]
        assert running.set_aside == []


async def test_one_that_is_not_ready_yet_does_not_hold_up_the_stop() -> None:
    children = Children()
    children.ready = None
    async with fed(children=children) as running:
        await running.subscribers.stop()
        assert children.alive == []
        assert running.subscribers.states()[0].last_error == ""
