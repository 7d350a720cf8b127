from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from sessiond.notifier import Notifier

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


async def settled() -> None:
    for _ in range(5):
        await checkpoint()


async def test_what_is_so_already_is_waited_for_by_nobody() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()  # any wait would end here
        await Notifier().wait_for(lambda: True)
    assert not scope.cancelled_caught


async def test_all_who_wait_are_woken_and_wait_on_until_it_is_so_for_them() -> None:
    notifier, place, woken = Notifier(), 0, set[int]()

    async def wait(beyond: int) -> None:
        await notifier.wait_for(lambda: place > beyond)
        woken.add(beyond)

    async with anyio.create_task_group() as tasks:
        for beyond in (0, 0, 1, 2):
            tasks.start_soon(wait, beyond)
        await settled()
        place = 2
        notifier.notify()
        await settled()
        assert woken == {0, 1}
        place = 3
        notifier.notify()
    assert woken == {0, 1, 2}


async def test_a_notification_between_looking_and_waiting_is_not_missed() -> None:
    notifier = Notifier()
    seen = notifier.count
    notifier.notify()  # as if it came while something else was awaited
    with anyio.fail_after(1):
        await notifier.wait_beyond(seen)


async def test_a_waiter_that_is_cancelled_leaves_the_others_waiting_and_woken() -> None:
    notifier, is_so, woken = Notifier(), False, []

    async def wait(name: str) -> None:
        await notifier.wait_for(lambda: is_so)
        woken.append(name)

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as given_up:
                given_up.start_soon(wait, "one")
                tasks.start_soon(wait, "another")
                await settled()
                scope.cancel()
        is_so = True
        notifier.notify()
    assert woken == ["another"]


async def test_what_another_waiter_has_undone_is_waited_for_again() -> None:
    notifier, room, taken = Notifier(), 0, 0

    async def take() -> None:
        nonlocal room, taken
        await notifier.wait_for(lambda: room > 0)
        room, taken = room - 1, taken + 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        tasks.start_soon(take)
        await settled()
        room = 1
        notifier.notify()
        await settled()
        assert taken == 1
        room = 1
        notifier.notify()
    assert taken == 2


async def test_what_is_raised_while_looking_reaches_the_waiter() -> None:
    def fails() -> bool:
        raise LookupError("gone")

    with pytest.raises(LookupError):
        await Notifier().wait_for(fails)


def test_it_can_be_made_and_notified_where_no_event_loop_runs() -> None:
    notifier = Notifier()
    notifier.notify()
    assert notifier.count == 1
