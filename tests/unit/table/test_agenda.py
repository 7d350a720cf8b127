"""What the table decides next: nothing is lost, nothing passes what it must not pass."""

from typing import Any
from uuid import UUID

import anyio
import pytest

from sessiond.core.changes import Change, Close, LiftRevocation, ProcessLost
from sessiond.core.errors import StoreError
from sessiond.core.queries import ListOwnSessions, Ping
from sessiond.table import agenda
from sessiond.table.agenda import Agenda, Submission
from tests.fakes import idle, process_key

pytestmark = pytest.mark.anyio


def about(pid: int, handle: int = 1) -> Submission[None]:
    """A change that may be decided in pieces, about a process."""
    return Submission(Close(process=process_key(pid), handle=handle))


def rest_of(submission: Submission[Any]) -> Change[Any]:
    """What is left of it: more about the same."""
    assert isinstance(submission.request, Close)
    return ProcessLost(process=submission.request.process)


@pytest.fixture
def waiting() -> Agenda:
    return Agenda()


def enter(waiting: Agenda, *submissions: Submission[Any]) -> None:
    for each in submissions:
        waiting.enter(each)


async def begin(waiting: Agenda, *, pid: int) -> Submission[None]:
    """Return a change about a process, of which the first piece is decided."""
    large = about(pid)
    waiting.enter(large)
    assert await waiting.next() == [large]
    waiting.claim(large, rest_of(large))
    return large


async def test_what_waits_comes_together_and_in_its_order(waiting: Agenda) -> None:
    first, second, third = about(1), Submission(Ping()), about(2)
    enter(waiting, first, second, third)
    assert waiting.waiting == 3
    assert await waiting.next() == [first, second, third]
    assert waiting.waiting == 0


async def test_one_batch_takes_so_many_and_the_others_come_next(
    waiting: Agenda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "MAX_BATCH", 2)
    request = [about(pid) for pid in range(5)]
    enter(waiting, *request)
    assert [await waiting.next() for _ in range(3)] == [request[:2], request[2:4], request[4:]]


async def test_an_empty_agenda_is_waited_for(waiting: Agenda) -> None:
    taken, request = list[Submission[Any]](), about(1)

    async def take() -> None:
        taken.extend(await waiting.next())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await idle()
        assert taken == []
        waiting.enter(request)
    assert taken == [request]


async def test_all_that_comes_in_one_turn_of_the_loop_goes_together(waiting: Agenda) -> None:
    request, taken = [about(pid) for pid in range(3)], list[Submission[Any]]()

    async def take() -> None:
        taken.extend(await waiting.next())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await idle()
        enter(waiting, *request)
    assert taken == request


async def test_a_cancelled_wait_loses_nothing(waiting: Agenda) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waiting.next)
        await idle()
        tasks.cancel_scope.cancel()
    request = about(1)
    waiting.enter(request)
    assert await waiting.next() == [request]


async def test_a_closed_agenda_gives_what_is_left_and_then_nothing(waiting: Agenda) -> None:
    request = about(1)
    enter(waiting, request)
    waiting.close()
    assert waiting.is_closed
    assert await waiting.next() == [request]
    assert await waiting.next() == []


async def test_an_empty_agenda_that_closes_lets_go_of_who_waits(waiting: Agenda) -> None:
    taken = list[list[Submission[Any]]]()

    async def take() -> None:
        taken.append(await waiting.next())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await idle()
        waiting.close()
    assert taken == [[]]


async def test_what_has_no_turn_any_more_is_given_back_whole(waiting: Agenda) -> None:
    large = await begin(waiting, pid=1)
    held, ready = about(1, handle=2), about(2)
    assert waiting.holds_back(held)
    waiting.enter(ready)
    waiting.go_on(large, rest_of(large))
    assert waiting.take_all() == [ready, large, held]
    assert waiting.waiting == 0
    assert waiting.take_all() == []


async def test_what_there_was_no_room_for_comes_first_and_in_its_order(waiting: Agenda) -> None:
    first, second, third = about(1), about(2), about(3)
    enter(waiting, third)
    waiting.put_back(iter([first, second]))
    assert waiting.waiting == 3
    assert await waiting.next() == [first, second, third]


async def test_nothing_about_the_same_process_passes_an_unfinished_change(waiting: Agenda) -> None:
    large = await begin(waiting, pid=1)
    same, other, nobodys = about(1, handle=2), about(2), Submission(Ping())
    assert waiting.holds_back(same)
    assert not waiting.holds_back(other)
    assert not waiting.holds_back(nobodys)
    assert not waiting.holds_back(large)  # it does not wait for itself
    assert waiting.waiting == 1


async def test_what_was_held_back_goes_on_in_its_order_before_what_came_later(
    waiting: Agenda,
) -> None:
    large = await begin(waiting, pid=1)
    held, later = [about(1, handle=2), about(1, handle=3)], about(2)
    assert [waiting.holds_back(each) for each in held] == [True, True]
    waiting.enter(later)
    waiting.finish(large)
    assert await waiting.next() == [*held, later]
    assert not waiting.holds_back(about(1))


async def test_the_rest_is_decided_after_what_waits_by_then(waiting: Agenda) -> None:
    large = await begin(waiting, pid=1)
    rest, other = rest_of(large), about(2)
    waiting.go_on(large, rest)
    waiting.enter(other)
    assert await waiting.next() == [other, large]
    assert large.request is rest


async def test_of_several_unfinished_ones_each_has_its_turn(waiting: Agenda) -> None:
    one = await begin(waiting, pid=1)
    two = about(2)
    waiting.claim(two, rest_of(two))
    waiting.go_on(one, rest_of(one))
    waiting.go_on(two, rest_of(two))
    assert [await waiting.next() for _ in range(2)] == [[one], [two]]


async def test_between_two_pieces_others_have_a_turn(waiting: Agenda) -> None:
    large = await begin(waiting, pid=1)
    waiting.go_on(large, rest_of(large))
    turns: list[str] = []

    async def other() -> None:
        turns.append("another's")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        for _ in range(2):
            assert await waiting.next() == [large]
            waiting.go_on(large, large.request)
        assert turns == ["another's"]


async def test_a_rest_waits_for_an_earlier_unfinished_change_about_the_same(
    waiting: Agenda,
) -> None:
    first = await begin(waiting, pid=1)
    second = about(1, handle=2)  # decided in the same batch, and unfinished too
    waiting.claim(second, rest_of(second))
    waiting.go_on(first, rest_of(first))
    waiting.go_on(second, rest_of(second))
    assert await waiting.next() == [first]
    waiting.finish(first)
    assert await waiting.next() == [second]


async def test_what_is_about_nothing_in_particular_is_held_back_by_nothing(waiting: Agenda) -> None:
    one, two = Submission(Ping()), Submission(Ping())
    waiting.claim(one, Ping())
    waiting.go_on(one, Ping())
    assert not waiting.holds_back(two)
    assert await waiting.next() == [one]
    waiting.finish(one)
    assert waiting.waiting == 0


async def test_lifting_a_revocation_holds_back_only_what_is_about_it(waiting: Agenda) -> None:
    one = Submission(LiftRevocation(id=UUID(int=1)))
    waiting.claim(one, one.request)
    assert waiting.holds_back(Submission(LiftRevocation(id=UUID(int=1))))
    assert not waiting.holds_back(Submission(LiftRevocation(id=UUID(int=2))))


async def test_finishing_one_that_claimed_nothing_frees_nobody_elses(waiting: Agenda) -> None:
    await begin(waiting, pid=1)
    held = about(1, handle=2)
    assert waiting.holds_back(held)
    waiting.finish(about(1, handle=3))
    assert waiting.holds_back(about(1, handle=4))
    assert waiting.waiting == 2


def test_an_answer_is_told_to_whoever_asked() -> None:
    said = list[Any]()
    Submission(ListOwnSessions(process=process_key(1)), said.append).settle([])
    assert said == [[]]


def test_what_nobody_waits_for_is_answered_to_nobody() -> None:
    about(1).settle(None)


def test_a_piece_that_could_not_be_written_fails_the_whole_answer() -> None:
    said, error = list[Any](), StoreError("the disk is full")
    submission = Submission(Ping(), said.append)
    submission.fail(error)
    submission.settle(None)
    assert said == [error]
