"""One read of a user at a time: the others wait, to a bound, and nobody else does."""

from typing import Any

import anyio
import pytest

from sessiond.control.problem import Problem
from sessiond.control.turns import (
    AGAIN_IN,
    AT_ONCE,
    FEW,
    LONGEST_PAUSE,
    LONGEST_WAIT,
    MAX_STREAMS,
    MAX_WAITING,
    REFUSALS,
    Turns,
)
from tests.fakes import FakeClock, idle, login, presented, verdict
from tests.unit.control.viewing import STRANGER, Viewing, problem, viewing

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Readers:
    """Reads under way, each until it is let go."""

    def __init__(self, clock: FakeClock) -> None:
        self.turns = Turns(clock)
        self.begun: list[str] = []
        self.refused: list[Problem] = []
        self.over: dict[str, anyio.Event] = {}

    async def read(self, name: str, uid: int = 1000, lane: str = "reads") -> None:
        self.over[name] = anyio.Event()
        try:
            async with self.turns.turn(uid, lane):
                self.begun.append(name)
                await self.over[name].wait()
        except Problem as refused:
            self.refused.append(refused)


async def test_a_user_s_reads_go_one_at_a_time_and_others_at_once(clock: FakeClock) -> None:
    readers = Readers(clock)
    async with anyio.create_task_group() as tasks:
        for name in ("first", "second", "third"):
            tasks.start_soon(readers.read, name)
        tasks.start_soon(readers.read, "another's", 2000)
        tasks.start_soon(readers.read, "in another lane", 1000, "metrics")
        await idle()
        assert readers.begun == ["first", "another's", "in another lane"]
        readers.over["first"].set()
        await idle()
        assert readers.begun[3:] == ["second"]
        tasks.cancel_scope.cancel()


async def test_a_user_rests_as_long_as_his_read_took_up_to_a_bound(clock: FakeClock) -> None:
    readers = Readers(clock)
    async with anyio.create_task_group() as tasks:
        for number, (took, rest) in enumerate([(0.01, 0.01), (60.0, LONGEST_PAUSE)]):
            tasks.start_soon(readers.read, f"long {number}")
            await idle()
            await clock.advance(took)
            tasks.start_soon(readers.read, f"next {number}")
            readers.over[f"long {number}"].set()
            await clock.advance(rest * 0.9)
            assert readers.begun[-1] == f"long {number}"
            await clock.advance(rest * 0.2)
            assert readers.begun[-1] == f"next {number}"
            readers.over[f"next {number}"].set()
            await clock.advance(1)


async def test_reads_beyond_the_bound_are_told_to_come_again(clock: FakeClock) -> None:
    readers = Readers(clock)
    async with anyio.create_task_group() as tasks:
        for number in range(MAX_WAITING + 1):
            tasks.start_soon(readers.read, str(number))
        await idle()
        (refused,) = readers.refused
        assert (refused.status, refused.headers) == (429, {"retry-after": str(AGAIN_IN)})
        tasks.cancel_scope.cancel()


async def test_a_read_that_is_given_up_makes_room(clock: FakeClock) -> None:
    readers = Readers(clock)
    for _ in range(MAX_WAITING + 1):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers.read, "given up")
            await idle()
            tasks.cancel_scope.cancel()
    assert readers.refused == []
    assert len(readers.begun) == MAX_WAITING + 1


async def test_users_who_read_long_ago_are_forgotten(clock: FakeClock) -> None:
    turns = Turns(clock)
    for uid in range(3 * FEW):
        async with turns.turn(uid, "reads"):
            pass
    assert len(turns._lanes) <= FEW


# By the control API


async def _refused(v: Viewing, path: str) -> None:
    response = await v.ask("GET", path)
    assert "too many" in problem(response, 429)
    assert response.headers["retry-after"] == str(AGAIN_IN)


@pytest.mark.parametrize(
    ("one", "other"),
    [("/v1/sessions", "/v1/status"), ("/healthz", "/healthz"), ("/metrics", "/metrics")],
)
async def test_who_reads_too_much_is_told_so_and_nobody_else(one: str, other: str) -> None:
    async with viewing() as v:
        v.peer = STRANGER
        hold: Any = v.store.hold()
        v.view.table.submit(login(1, presented("access", says=verdict(begin=v.clock.now()))))
        await v.store.arrived.wait()
        async with anyio.create_task_group() as tasks:
            for _ in range(MAX_WAITING):
                tasks.start_soon(v.ask, "GET", one)
            await idle()
            await _refused(v, other)
            hold.set()
        assert (await v.ask("GET", other)).status_code == 200


async def test_what_an_administrator_does_waits_for_no_turn() -> None:
    async with viewing() as v:
        await v.log_in(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(v.ask, "GET", "/v1/sessions")
            content = {"all": True, "reason": "drill"}
            answer = await v.ask("POST", "/v1/revocations", json=content)
            assert answer.json()["revoked"] == 1
        assert await v.alive() == set()  # he sees what he did


async def test_a_user_follows_the_events_only_so_many_times() -> None:
    async with viewing() as v:
        async with anyio.create_task_group() as tasks:
            for _ in range(MAX_STREAMS):
                tasks.start_soon(v.ask, "GET", "/v1/events")
            await idle()
            await _refused(v, "/v1/events")
            v.closing.set()
        assert (await v.ask("GET", "/v1/events")).status_code == 200


# Refusals


async def test_refusals_of_one_user_wait_for_their_turn_beyond_a_number(clock: FakeClock) -> None:
    turns, told = Turns(clock), []

    async def ask(uid: int) -> None:
        await turns.refuse(uid)
        told.append(uid)

    at_once = int(REFUSALS * AT_ONCE)
    async with anyio.create_task_group() as tasks:
        for _ in range(at_once + 3):
            tasks.start_soon(ask, 1000)
        await idle()
        tasks.start_soon(ask, 2000)
        await idle()
        assert told == [1000] * at_once + [2000]
        await clock.advance(3 / REFUSALS)
        assert told[-3:] == [1000] * 3


async def test_no_refusal_waits_longer_than_a_bound_and_quiet_makes_up_for_it(
    clock: FakeClock,
) -> None:
    turns, many = Turns(clock), int(REFUSALS * (AT_ONCE + 2 * LONGEST_WAIT))
    async with anyio.create_task_group() as tasks:
        for _ in range(many):
            tasks.start_soon(turns.refuse, 1000)
        await idle()
        await clock.advance(LONGEST_WAIT)
    await clock.advance(AT_ONCE + LONGEST_WAIT)
    await turns.refuse(1000)


@pytest.mark.parametrize("path", ["/nothing", "/v1/sessions?limit=0", "/v1/events?after=x"])
async def test_who_asks_for_nothing_that_is_there_is_told_so_in_his_turn(path: str) -> None:
    async with viewing() as v:
        for _ in range(int(REFUSALS * AT_ONCE)):
            assert (await v.ask("GET", path)).status_code >= 400
        told: list[int] = []

        async def ask() -> None:
            told.append((await v.ask("GET", path)).status_code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await idle()
            assert told == []
            assert await v.alive() == set()  # who asks for what there is waits for nothing
            await v.clock.advance(1 / REFUSALS)
            await idle()
            assert len(told) == 1
