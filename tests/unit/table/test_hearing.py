"""Who hears of what is on disk: all of them, in order, whatever another does with it."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from sessiond.containment import Containment
from sessiond.core.queries import Ping
from sessiond.table import hearing
from sessiond.table.agenda import Submission
from sessiond.table.hearing import Committed, Hearing
from tests.fakes import idle

pytestmark = pytest.mark.anyio

BATCH = Committed([], [])


@pytest.fixture(autouse=True)
def small_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "CROWDED", 4)
    monkeypatch.setattr(hearing, "ROOMY", 1)


@pytest.fixture
def containment() -> Containment:
    return Containment()


@pytest.fixture
def heard(containment: Containment) -> Hearing:
    return Hearing(containment)


def fail(_: object = None) -> None:
    raise RuntimeError("a bug")


def asked(then: Callable[[Any], object]) -> Submission[Any]:
    return Submission(Ping(), then)


def expect(heard: Hearing, number: int) -> None:
    for _ in range(number):
        heard.expect()


def answer(heard: Hearing, number: int) -> None:
    heard.answer([(asked(lambda _: None), None)] * number)


def test_each_who_asked_is_told_in_order_though_others_raise(
    heard: Hearing, containment: Containment
) -> None:
    said = list[Any]()
    expect(heard, 5)
    thens = [said.append, fail, said.append, fail, said.append]
    with capture_logs() as logs:
        heard.answer([(asked(then), number) for number, then in enumerate(thens)])
    assert said == [0, 2, 4]
    assert containment.failures == {("told by the table", "answer"): 2}
    assert [each["event"] for each in logs] == ["unexpected failure"] * 2  # once each


def test_each_reader_is_told_in_order_though_others_raise(
    heard: Hearing, containment: Containment
) -> None:
    told = list[str]()
    heard.attend(lambda _: told.append("log"), fail)
    batches = list[Committed]()
    heard.attend(lambda _: told.append("gate"), fail, batches.append)
    heard.tell(BATCH)
    assert told == ["log", "gate"]
    assert batches == [BATCH]
    assert containment.failures == {("told by the table", "reader"): 2}


def test_each_herald_is_told_though_others_raise_and_no_reader_by_it(
    heard: Hearing, containment: Containment
) -> None:
    heralded, told = list[Committed](), list[Committed]()
    heard.attend(told.append, heralds=(fail, heralded.append))
    heard.herald(BATCH)
    assert (heralded, told) == ([BATCH], [])
    assert containment.failures == {("told by the table", "herald"): 1}


def test_what_cancels_a_task_is_no_failure_of_who_is_told(heard: Hearing) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    heard.attend(interrupt)
    with pytest.raises(KeyboardInterrupt):
        heard.tell(BATCH)


def test_it_is_crowded_from_the_mark_on_until_some_are_answered(heard: Hearing) -> None:
    crowded = list[bool]()
    for change in (expect, expect, answer):
        change(heard, 2)
        crowded.append(heard.is_crowded)
    assert crowded == [False, True, False]


async def test_who_pauses_goes_on_once_in_turn_when_few_are_left(heard: Hearing) -> None:
    went_on = list[str]()
    expect(heard, 4)
    heard.when_room(lambda: went_on.append("first"))
    heard.when_room(lambda: went_on.append("second"))
    answer(heard, 2)
    await idle()
    assert went_on == []  # under the upper mark alone
    answer(heard, 1)
    assert went_on == ["first", "second"]
    answer(heard, 1)
    await idle()
    assert went_on == ["first", "second"]


async def test_who_pauses_although_there_is_room_goes_on_at_once_but_not_within_the_call(
    heard: Hearing,
) -> None:
    went_on = list[str]()
    heard.when_room(lambda: went_on.append("first"))
    assert went_on == []
    await idle()
    assert went_on == ["first"]


async def test_who_goes_on_may_crowd_it_again_and_the_next_waits_for_the_next_room(
    heard: Hearing,
) -> None:
    went_on = list[str]()

    def bring(name: str, number: int) -> None:
        went_on.append(name)
        expect(heard, number)

    expect(heard, 4)
    for name in ("first", "second", "third"):
        heard.when_room(lambda name=name: bring(name, 4))  # type: ignore[misc]
    answer(heard, 3)
    assert went_on == ["first"]
    answer(heard, 4)
    assert went_on == ["first", "second"]
    answer(heard, 4)
    assert went_on == ["first", "second", "third"]


async def test_who_raises_as_he_goes_on_keeps_nobody_else_waiting(
    heard: Hearing, containment: Containment
) -> None:
    went_on = list[str]()
    expect(heard, 4)
    heard.when_room(fail)
    heard.when_room(lambda: went_on.append("second"))
    answer(heard, 4)
    assert went_on == ["second"]
    assert containment.failures == {("told by the table", "reading again"): 1}


async def test_what_is_told_later_is_told_once_and_not_within_the_call(heard: Hearing) -> None:
    said = list[Any]()
    heard.answer_later(asked(said.append), "closed")
    assert said == []
    await idle()
    assert said == ["closed"]
    expect(heard, 3)
    assert not heard.is_crowded  # it is counted no more
