"""Where unexpected exceptions end, and which do not."""

from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.containment import LONG_RUN, LONGEST_PAUSE, MOST_TOLD, Containment
from tests.fakes import FakeClock
from tests.unit.tripwire import UNEXPECTED

pytestmark = pytest.mark.anyio


@UNEXPECTED
def test_an_exception_is_counted_and_told_and_what_follows_goes_on(error: Exception) -> None:
    containment = Containment()
    with capture_logs() as logs:
        for _ in range(2):
            with containment.around("login", "corp"):
                raise error
    assert containment.failures == {("login", "corp"): 2}
    assert [(each["event"], each["task"], each["name"]) for each in logs] == [
        ("unexpected failure", "login", "corp")
    ] * 2
    assert logs[0]["error"] == type(error).__name__


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_to_end_the_process_does(error: type[BaseException]) -> None:
    containment = Containment()
    with pytest.raises(error), containment.around("login", "corp"):
        raise error
    assert containment.failures == {}


async def test_a_task_that_is_cancelled_ends() -> None:
    containment = Containment()
    with anyio.CancelScope() as scope:
        scope.cancel()
        with containment.around("login", "corp"):
            await anyio.sleep_forever()
        raise AssertionError("it went on")
    assert containment.failures == {}


def test_the_log_has_the_places_and_nothing_of_the_texts() -> None:
    def fail() -> None:
        try:
            raise KeyError("first hunter2")
        except KeyError as first:
            group = [ValueError("third hunter2")] * (2 * MOST_TOLD)
            raise ExceptionGroup("second hunter2", group) from first

    with capture_logs() as logs, Containment().around("login", "corp"):
        fail()
    told = logs[0]["exception"]
    assert "in fail" in told
    source = Path(__file__).read_text()
    lines = {each for each in told.splitlines() if "hunter2" in each}
    assert all(each.strip() in source for each in lines)  # the program's lines, and no values
    assert told.count("\nValueError") == MOST_TOLD - 1


def test_where_one_exception_led_to_another_both_are_told() -> None:
    def fail() -> None:
        try:
            raise KeyError
        except KeyError:
            raise RuntimeError from None

    with capture_logs() as logs, Containment().around("login", "corp"):
        fail()
    told = [each for each in logs[0]["exception"].splitlines() if each.endswith("Error")]
    assert [each for each in told if " " not in each] == ["RuntimeError", "KeyError"]


async def test_work_that_fails_is_begun_again_after_longer_and_longer_pauses() -> None:
    clock, containment, begun = FakeClock(), Containment(), list[float]()
    start = clock.monotonic()

    async def work() -> None:
        begun.append(clock.monotonic() - start)
        if len(begun) == 10:
            await clock.sleep(LONG_RUN)
        if len(begun) < 12:
            raise RuntimeError

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: containment.keep_up(work, task="issuer", whose="corp", clock=clock)
        )
        await clock.advance(3600)
    pauses = [later - earlier for earlier, later in pairwise(begun)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]
    assert pauses[-2:] == [LONG_RUN + 1, 2]  # it had gone well for long
    assert containment.failures == {("issuer", "corp"): 11}


def test_one_block_may_stand_around_many_things_one_within_another() -> None:
    containment = Containment()
    contained = containment.around("login", "corp")
    reached = []
    with capture_logs(), contained:
        with contained:
            raise ValueError
        reached.append("the outer one")
        raise KeyError
    assert reached == ["the outer one"]
    assert containment.failures == {("login", "corp"): 2}
