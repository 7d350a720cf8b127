"""What plugin authors test with delivers as the daemon does."""

import threading
from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest

from sessiond.api import Event, Gap
from sessiond.testing.clock import FakeClock
from sessiond.testing.delivery import Delivery
from sessiond.testing.events import EventFactory

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def events() -> EventFactory:
    return EventFactory()


class Plain:
    """Takes what it is told to, in a thread."""

    def __init__(self, *, fails: int = 0) -> None:
        self.fails = fails
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def receive(self, event: Event) -> None:
        self.calls.append(event.kind)
        if self.fails:
            self.fails -= 1
            raise OSError("no route to the ticket system")

    def stop(self) -> None:
        self.calls.append("stop")


class Batches:
    """Refuses any batch with a revocation in it."""

    batch = 3

    async def receive_batch(self, events: Sequence[Event]) -> None:
        if any(event.kind == "session.revoked" for event in events):
            raise ValueError("not that one")


class Stuck:
    """Hangs at its first event, as long as the process lives."""

    is_stuck = True

    async def receive(self, event: Event) -> None:
        if Stuck.is_stuck:
            Stuck.is_stuck = False
            await anyio.sleep_forever()


async def test_events_are_received_in_order_between_start_and_stop(events: EventFactory) -> None:
    plain = Plain()
    async with Delivery(lambda: plain) as delivery:
        sent: list[Event] = [events.opened(), events.refreshed(), events.closed()]
        await delivery.send(*sent)
        assert delivery.received == sent
        assert delivery.state.state == "running"
        assert delivery.state.place == 3
    assert plain.calls == [
        "start",
        "session.opened",
        "session.refreshed",
        "session.closed",
        "stop",
    ]


async def test_what_fails_comes_again_after_one_and_two_seconds(events: EventFactory) -> None:
    async with Delivery(lambda: Plain(fails=2), clock=FakeClock()) as delivery:
        await delivery.send(events.opened(), events.closed())
        assert delivery.received == []
        await delivery.clock.advance(1)
        assert [event.sequence for (event,) in delivery.offered] == [1, 1]
        await delivery.clock.advance(1.9)
        assert delivery.received == []
        await delivery.clock.advance(0.1)
        assert [event.sequence for event in delivery.received] == [1, 2]
        assert delivery.set_aside == []
        assert "no route" in delivery.state.last_error


async def test_what_fails_too_often_is_set_aside_and_can_be_sent_again(
    events: EventFactory,
) -> None:
    async with Delivery(lambda: Plain(fails=3), max_attempts=3) as delivery:
        opened, closed = events.opened(), events.closed()
        await delivery.send(opened, closed)
        await delivery.clock.advance(10)
        (aside,) = delivery.set_aside
        assert (aside.event, aside.attempts) == (opened, 3)
        assert aside.error.startswith("OSError: no route to the ticket system")
        assert delivery.received == [closed]
        assert await delivery.retry() == 1
        assert delivery.received == [closed, opened]
        assert delivery.set_aside == []


async def test_of_a_batch_that_failed_each_comes_alone(events: EventFactory) -> None:
    async with Delivery(Batches, max_attempts=1) as delivery:
        await delivery.send(events.opened(), events.revoked(), events.refused(), events.refused())
        await delivery.clock.advance(60)
        assert [[event.sequence for event in each] for each in delivery.offered] == [
            [1, 2, 3],
            [1],
            [2],
            [3],
            [4],
        ]
        assert [each.event.sequence for each in delivery.set_aside] == [2]


async def test_who_takes_longer_than_the_deadline_is_killed_and_started_anew(
    events: EventFactory,
) -> None:
    Stuck.is_stuck = True
    async with Delivery(Stuck, clock=FakeClock(patience=0), deadline=7.0) as delivery:
        await delivery.send(events.opened())
        await delivery.clock.advance(6.9)
        assert (delivery.starts, delivery.received) == (1, [])
        await delivery.clock.advance(1.2)
        assert (delivery.starts, len(delivery.received)) == (2, 1)
        assert delivery.state.last_error == "it took longer than 7 s over event 1"


async def test_a_thread_that_takes_its_time_holds_the_clock(events: EventFactory) -> None:
    class Slow:
        def receive(self, event: Event) -> None:
            threading.Event().wait(0.05)

    async with Delivery(Slow, deadline=1.0) as delivery:
        await delivery.send(events.opened())
        await delivery.clock.advance(5)
        assert delivery.starts == 1
        assert len(delivery.received) == 1


async def test_a_daemon_whose_power_was_cut_sends_what_came_since_its_start_again(
    events: EventFactory,
) -> None:
    made: list[Plain] = []

    def make() -> Plain:
        made.append(Plain())
        return made[-1]

    async with Delivery(make) as delivery:
        await delivery.send(events.opened())
        await delivery.restart()
        await delivery.send(events.refreshed(), events.closed())
        assert delivery.kept_place == 3
        await delivery.kill_daemon()
        assert [event.sequence for event in delivery.received] == [1, 2, 3, 2, 3]
    assert [plain.calls.count("stop") for plain in made] == [1, 0, 1]


async def test_a_daemon_that_is_stopped_sends_nothing_again(events: EventFactory) -> None:
    async with Delivery(Plain) as delivery:
        await delivery.send(events.opened(), events.closed())
        await delivery.restart()
        await delivery.send(events.refused())
        assert [event.sequence for event in delivery.received] == [1, 2, 3]
        assert delivery.starts == 2


async def test_a_subscriber_that_is_killed_is_started_again(events: EventFactory) -> None:
    async with Delivery(Plain) as delivery:
        await delivery.kill_subscriber()
        await delivery.send(events.opened())
        assert delivery.received == []
        assert delivery.state.last_error == "it was ended by SIGKILL"
        await delivery.clock.advance(1)
        assert len(delivery.received) == 1


async def test_what_a_killed_process_held_is_released_and_its_stop_not_called(
    events: EventFactory,
) -> None:
    released: list[Plain] = []
    async with Delivery(Plain, release=released.append) as delivery:
        first = delivery.subscriber
        await delivery.send(events.opened())
        await delivery.kill_subscriber()
        assert released == [first]
        assert first.calls == ["start", "session.opened"]
        await delivery.restart()
    assert released == [first]


async def test_a_gap_is_told_with_what_was_missed(events: EventFactory) -> None:
    async with Delivery(Plain) as delivery:
        await delivery.send(events.opened(), gap := events.gap(missed=5), after := events.closed())
        assert [event.sequence for event in delivery.received] == [1, 6, 7]
        told = delivery.received[1]
        assert isinstance(told, Gap)
        assert (told.after, told.before) == (gap.after, gap.before) == (1, 7)
        assert delivery.received[2] == after


async def test_every_kind_of_event_can_be_sent(events: EventFactory) -> None:
    async with Delivery(Plain) as delivery:
        sent = events.each_kind()
        await delivery.send(*sent)
        assert [event.kind for event in delivery.received] == [event.kind for event in sent]


async def test_numbers_are_given_where_there_are_none_and_must_not_jump(
    events: EventFactory,
) -> None:
    async with Delivery(Plain) as delivery:
        opened, forgotten, closed = events.opened(), events.refreshed(), events.closed()
        await delivery.send(opened)
        with pytest.raises(ValueError, match="event 3 cannot come after 1"):
            await delivery.send(closed)
        with pytest.raises(ValueError, match="gap up to 1"):
            await delivery.send(EventFactory().gap(missed=1))
        await delivery.send(forgotten, closed)
        await delivery.send(EventFactory(first=0).refused())
        assert [event.sequence for event in delivery.received] == [1, 2, 3, 4]


async def test_a_subscriber_that_refuses_its_settings_or_receives_nothing_does_not_start() -> None:
    def refuse() -> object:
        raise ValueError("path is missing")

    with pytest.raises(ValueError, match="path is missing"):
        async with Delivery(refuse):
            pass
    with pytest.raises(TypeError, match="neither receive nor receive_batch"):
        async with Delivery(object):
            pass


async def test_what_a_test_raises_comes_out_as_it_is() -> None:
    with pytest.raises(AssertionError, match="the author's"):
        async with Delivery(Plain):
            raise AssertionError("the author's")


async def test_who_hangs_while_stopping_holds_the_end_for_a_few_seconds_of_the_clock(
    events: EventFactory,
) -> None:
    Stuck.is_stuck = True
    clock = FakeClock(patience=0)
    begun = clock.now()
    async with Delivery(Stuck, clock=clock) as delivery:
        await delivery.send(events.opened())
    assert clock.now() - begun == timedelta(seconds=5.5)
