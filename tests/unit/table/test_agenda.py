"""What the table decides next: nothing is lost, nothing passes what it must not pass."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import anyio
import pytest
from anyio import ClosedResourceError, EndOfStream

from sessiond.core.changes import Change, Close, LiftRevocation, ProcessLost
from sessiond.core.errors import StoreError
from sessiond.core.queries import ListOwnSessions, Ping
from sessiond.table import agenda
from sessiond.table.agenda import Agenda, Submission
from tests.fakes import idle, process_key

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def about(pid: int, handle: int = 1) -> Submission[None]:
    """A change that may be decided in pieces, about a process."""
    return Submission(Close(process=process_key(pid), handle=handle))


def rest_of(submission: Submission[Any]) -> Change[Any]:
    """What is left of it: more about the same."""
    assert isinstance(submission.request, Close)
    return ProcessLost(process=submission.request.process)


@pytest.fixture
def waiting() -> Iterator[Agenda]:
    made = Agenda()
    yield made
    made.close()
    made.end()


async def enter(waiting: Agenda, *submissions: Submission[Any]) -> None:
    for each in submissions:
        await waiting.enter(each)


async def begin(waiting: Agenda, *, pid: int) -> Submission[None]:
    """Return a change about a process, of which the first piece is decided."""
    large = about(pid)
    await waiting.enter(large)
    assert await waiting.next() == [large]
    waiting.claim(large, rest_of(large))
    return large


async def test_what_waits_comes_together_and_in_its_order(waiting: Agenda) -> None:
    first, second, third = about(1), Submission(Ping()), about(2)
    await enter(waiting, first, second, third)
    assert waiting.waiting == 3
    assert await waiting.next() == [first, second, third]
    assert waiting.waiting == 0


async def test_one_batch_takes_so_many_and_the_others_come_next(
    waiting: Agenda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "MAX_BATCH", 2)
    request = [about(pid) for pid in range(5)]
    await enter(waiting, *request)
    assert [await waiting.next() for _ in range(3)] == [request[:2], request[2:4], request[4:]]


async def test_who_asks_a_full_agenda_waits_until_something_is_taken(
    waiting: Agenda,
) -> None:
    request = [Submission(Ping()) for _ in range(agenda.INBOX)]
    await enter(waiting, *request)
    last = Submission(Ping())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waiting.enter, last)
        await idle()
        assert waiting.waiting == agenda.INBOX
        assert await waiting.next() == request[: agenda.MAX_BATCH]
    assert waiting.waiting == agenda.INBOX + 1 - agenda.MAX_BATCH


async def test_an_empty_agenda_is_waited_for(waiting: Agenda) -> None:
    taken, request = list[Submission[Any]](), about(1)

    async def take() -> None:
        taken.extend(await waiting.next())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await idle()
        assert taken == []
        await waiting.enter(request)
    assert taken == [request]


async def test_a_closed_agenda_gives_what_is_left_and_then_ends(waiting: Agenda) -> None:
    request = about(1)
    await enter(waiting, request)
    waiting.close()
    assert await waiting.next() == [request]
    with pytest.raises(EndOfStream):
        await waiting.next()


@pytest.mark.parametrize("end", [Agenda.close, Agenda.end])
async def test_who_asks_too_late_is_told(waiting: Agenda, end: Callable[[Agenda], None]) -> None:
    end(waiting)
    with pytest.raises((ClosedResourceError, anyio.BrokenResourceError)):
        await waiting.enter(about(1))


async def test_what_there_was_no_room_for_comes_first_and_in_its_order(waiting: Agenda) -> None:
    first, second, third = about(1), about(2), about(3)
    await enter(waiting, third)
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
    await waiting.enter(later)
    waiting.finish(large)
    assert await waiting.next() == [*held, later]
    assert not waiting.holds_back(about(1))


async def test_the_rest_is_decided_after_what_waits_by_then(waiting: Agenda) -> None:
    large = await begin(waiting, pid=1)
    rest, other = rest_of(large), about(2)
    waiting.go_on(large, rest)
    await waiting.enter(other)
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
        for _ in range(2):  # trio may let whoever has just begun wait once
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


async def test_an_answer_is_waited_for_by_whoever_asks() -> None:
    submission = Submission(ListOwnSessions(process=process_key(1)))
    answers: list[Any] = []

    async def wait(ask: Callable[[], Awaitable[Any]]) -> None:
        answers.append(await ask())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, submission.answer)
        tasks.start_soon(wait, submission.answer)
        await idle()
        assert answers == []
        submission.settle([])
    assert answers == [[], []]


async def test_a_piece_that_could_not_be_written_fails_the_whole_answer() -> None:
    submission = about(1)
    submission.fail(StoreError("the disk is full"))
    submission.settle()
    for _ in range(2):  # each asker has an error of his own
        with pytest.raises(StoreError, match="the disk is full"):
            await submission.answer()
