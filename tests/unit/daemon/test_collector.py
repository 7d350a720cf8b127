"""How much a collection looks at, and what it still finds. In a process of its own each time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from sessiond.daemon.collector import YOUNG, Collector
from tests.unit.forked import in_its_own_process
from tests.unit.issuers.fake import HandClock

LASTING = 50 * YOUNG  # containers, as a table of some thousand sessions has them
MOST = 4 * YOUNG  # the young, what two rounds left, and what the test makes


class Knot:
    """A cycle by itself."""

    alive = 0

    def __init__(self) -> None:
        self.itself = self
        Knot.alive += 1

    def __del__(self) -> None:
        Knot.alive -= 1


class EndOfTimeError(Exception):
    """All has been replaced, and more."""


class Changing(HandClock):
    """A clock during whose sleeps other objects take the place of those that were there."""

    def __init__(self, lasting: list[list[int]]) -> None:
        super().__init__()
        self._lasting = lasting

    async def sleep(self, seconds: float) -> None:
        if len(self.slept) * YOUNG > 2 * LASTING:
            raise EndOfTimeError
        for number in range(len(self.slept) * YOUNG, (len(self.slept) + 1) * YOUNG):
            self._lasting[number % LASTING] = [number]
        await super().sleep(seconds)


@contextmanager
def looked_at() -> Iterator[list[int]]:
    """How many objects each collection looks at, at most."""
    found = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            found.append(len(gc.get_objects()))

    gc.callbacks.append(note)
    try:
        yield found
    finally:
        gc.callbacks.remove(note)


def test_no_collection_looks_at_more_for_what_lasts() -> None:
    def check() -> None:
        collector = Collector()
        collector.rest()
        collector.calm()
        with looked_at() as found:
            lasting = [[number] for number in range(LASTING)]
        assert len(lasting) == LASTING
        assert len(found) > LASTING // YOUNG // 2
        assert max(found) <= MOST
        assert gc.get_freeze_count() >= LASTING - MOST

    in_its_own_process(check)


def test_what_is_built_at_the_start_is_looked_at_once() -> None:
    def check() -> None:
        collector = Collector()
        collector.rest()
        with looked_at() as found:
            lasting = [[number] for number in range(LASTING)]
            collector.calm()
            [[number] for number in range(10 * YOUNG)]
        assert len(lasting) == LASTING
        assert max(found) <= MOST

    in_its_own_process(check)


def test_cycles_are_found_among_what_lasts_and_what_does_not() -> None:
    def check() -> None:
        collector = Collector()
        collector.rest()
        collector.calm()
        lasting = []
        for number in range(10 * YOUNG):
            Knot()
            lasting.append([number])
        assert Knot.alive <= MOST

    in_its_own_process(check)


def test_what_was_set_aside_goes_with_its_last_reference() -> None:
    def check() -> None:
        collector = Collector()
        collector.rest()
        collector.calm()
        before = gc.get_freeze_count()
        lasting = [[number] for number in range(LASTING)]
        lasting.clear()
        assert gc.get_freeze_count() <= before + MOST

    in_its_own_process(check)


def test_sessions_that_come_as_others_go_do_not_stay_young() -> None:
    def check() -> None:
        collector = Collector()
        collector.rest()
        lasting = [[number] for number in range(LASTING)]
        collector.calm()
        clock = Changing(lasting)
        with looked_at() as found, pytest.raises(EndOfTimeError):
            anyio.run(collector.run, clock)
        assert len(found) > LASTING // YOUNG
        assert max(found) <= MOST

    in_its_own_process(check)


def test_what_cycles_take_is_bounded_also_where_they_outlive_two_collections() -> None:
    class Leaving(HandClock):
        def __init__(self) -> None:
            super().__init__()
            self.most = 0

        async def sleep(self, seconds: float) -> None:
            if len(self.slept) > 500:
                raise EndOfTimeError
            long_lived = [Knot() for _ in range(YOUNG)]
            gc.collect(1)  # so they are set aside, and then left to their cycles
            del long_lived
            self.most = max(self.most, Knot.alive)
            await super().sleep(seconds)

    def check() -> None:
        collector = Collector()
        collector.rest()
        collector.calm()
        before, clock = gc.get_freeze_count(), Leaving()
        with pytest.raises(EndOfTimeError):
            anyio.run(collector.run, clock)
        assert before / 4 < clock.most < 3 * before  # more are made

    in_its_own_process(check)
