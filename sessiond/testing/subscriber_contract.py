"""What every subscriber owes the daemon."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from sessiond.api import Event
from sessiond.testing.calling import cancelled_at_each_step
from sessiond.testing.clock import PATIENCE, FakeClock
from sessiond.testing.delivery import Delivery
from sessiond.testing.events import EventFactory
from sessiond.testing.settings_contract import check_settings


async def check_subscriber(
    entry: Callable[..., Any],
    settings: Mapping[str, Any],
    *,
    patience: float = PATIENCE,
    release: Callable[[Any], Any] | None = None,
) -> None:
    """Check a subscriber: its settings, every kind of event, redelivery, cancellation.

    It is given real events, so what it talks to must be there, as a stand-in.

    Args:
        entry: Its entry point.
        settings: Good ones, every key that it knows if possible.
        patience: Real seconds after which a receive that has not returned is taken to hang.
        release: See `Delivery`.

    Raises:
        AssertionError: It breaks its contract; the text says how.
    """
    check_settings(entry, settings)
    events = EventFactory()
    *others, gap = events.each_kind()
    async with Delivery(
        lambda: entry(**settings), clock=FakeClock(patience=patience), release=release
    ) as delivery:
        await delivery.send(*others)
        _all_received(delivery, others)
        before = len(delivery.received)
        await delivery.kill_daemon()
        _all_received(delivery, others, since=before)
        await delivery.send(gap, events.refused())
        _all_received(delivery, [gap], since=before)
    subscriber = entry(**settings)
    await _check_cancellation(subscriber, events.opened())


def _all_received(delivery: Delivery, events: list[Event], *, since: int = 0) -> None:
    if delivery.state.last_error:
        raise AssertionError(
            f"event {delivery.offered[-1][0].kind} was not received: {delivery.state.last_error}"
        )
    received = [event.kind for event in delivery.received[since:]]
    missing = [event.kind for event in events if event.kind not in received]
    if missing:
        what = "sent again" if since else "sent"
        raise AssertionError(f"not received when {what}: {', '.join(missing)}")


async def _check_cancellation(subscriber: Any, event: Event) -> None:
    receive = getattr(subscriber, "receive_batch", None)
    argument: Any = [event]
    if receive is None:
        receive, argument = subscriber.receive, event
    if not inspect.iscoroutinefunction(receive):
        return  # a thread is not cancelled: its process is killed
    for name in ("start", "stop"):
        if name == "stop":
            await cancelled_at_each_step(lambda: receive(argument))
            await receive(argument)
        hook = getattr(subscriber, name, None)
        answer = hook() if hook is not None else None
        if inspect.isawaitable(answer):
            await answer
