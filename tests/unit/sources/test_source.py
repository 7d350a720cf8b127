"""One source: each token fetched once for all, and an issuer that is ill is left alone."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import anyio
import pytest

from sessiond.containment import Containment
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    StoreError,
    UnusableAnswer,
)
from sessiond.core.secret import Secret
from sessiond.refresher import Tokens
from sessiond.sources import source as module
from sessiond.sources.fetching import Call, Key, OwnStanding
from sessiond.sources.source import Source
from sessiond.sources.source_client import SourceRefused
from tests.fakes import FakeClock, grant_id, idle
from tests.unit.sources.fakes import IMPATIENT, ScriptedClient, all_of, asked, at_work, tokens

pytestmark = pytest.mark.anyio
SLOW = 1.0  # seconds
AWAY, ODD = IssuerUnavailable("away"), UnusableAnswer("odd")


class Users:
    """Fulfils `Fetching` by a user's own token, which is named by his grant."""

    must_finish = False

    def __init__(self, client: ScriptedClient) -> None:
        self._client = client

    async def tokens(self, key: Key, call: Call) -> Tokens:
        return await call(lambda: self._client.exchange(Secret(str(key and key.int))))


class World:
    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.client = ScriptedClient()
        self.noted: list[str] = []
        self.containment = Containment()
        self.source = self.made(OwnStanding(self.client))

    def made(self, fetching: OwnStanding | Users) -> Source:
        return Source(
            "quotes",
            fetching=fetching,
            min_validity=60.0,
            clock=self.clock,
            containment=self.containment,
            slow_after=lambda: SLOW,
            patience=IMPATIENT,
            note=self.noted.append,
        )

    def at_work(self) -> AbstractAsyncContextManager[None]:
        return at_work(self.source, self.clock)

    async def seconds(self, number: float) -> None:
        await self.clock.advance(timedelta(seconds=number))


@pytest.fixture
def world() -> World:
    return World(FakeClock())


async def test_two_hundred_who_ask_at_once_share_one_call(world: World) -> None:
    async with world.at_work():
        assert set(await all_of(world.source, 200)) == {"token1"}
        assert await asked(world.source) == "token1"
    assert world.client.asked == ["fetch"]
    assert world.noted == ["ok"]
    assert world.source.health.last_fetched_at == world.clock.now()


async def test_one_that_nobody_asked_for_again_is_fetched_when_somebody_does(world: World) -> None:
    async with world.at_work():
        await asked(world.source)
        await world.seconds(230)  # fetched ahead of time, for the one who has asked
        assert world.client.asked == ["fetch"] * 2
        await world.seconds(600)
        assert world.client.asked == ["fetch"] * 2
        assert not world.source.is_given
        assert await asked(world.source) == "token3"
        assert world.source.is_given


async def test_one_that_is_asked_for_is_fetched_ahead_of_time_and_nobody_waits(
    world: World,
) -> None:
    async with world.at_work():
        await asked(world.source)
        for _ in range(100):
            await world.seconds(10)
            assert world.source.find(None) is not None
    assert len(world.client.asked) == 1 + 1000 // 216


async def test_one_that_another_has_the_place_of_begins_no_calls(world: World) -> None:
    async with world.at_work():
        await asked(world.source)
        world.source.retire()
        await world.seconds(230)  # the next was due ahead of time
        assert world.client.asked == ["fetch"]


async def test_whoever_waits_as_another_takes_its_place_is_answered(world: World) -> None:
    async with world.at_work():
        said, answer = list[str](), world.client.hold()

        async def ask() -> None:
            said.append(await asked(world.source))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await idle()
            world.source.retire()
            answer.set()
        assert said == ["token1"]


async def test_whoever_asks_late_in_its_life_has_the_next_fetched_too(world: World) -> None:
    async with world.at_work():
        await asked(world.source)
        await world.seconds(217)
        await world.seconds(220)  # of the second's life; nobody has asked for that
        assert len(world.client.asked) == 2
        assert await asked(world.source) == "token2"
        await idle()
        assert len(world.client.asked) == 3


async def test_whoever_leaves_disturbs_no_other(world: World) -> None:
    answer = world.client.hold()
    async with world.at_work(), anyio.create_task_group() as tasks:
        told = list[str]()

        async def ask() -> None:
            told.append(await asked(world.source))

        with anyio.CancelScope() as leaving:
            leaving.cancel()
            await asked(world.source)
        tasks.start_soon(ask)
        await idle()
        answer.set()
    assert told == ["token1"]
    assert world.client.asked == ["fetch"]


@pytest.mark.parametrize("refused", [SourceRefused("no"), RefreshRefused("invalid_grant")])
async def test_a_refusal_is_kept_for_a_while(world: World, refused: Exception) -> None:
    world.client.otherwise = refused
    async with world.at_work():
        assert [await asked(world.source) for _ in range(9)] == ["refused"] * 9
        assert len(world.client.asked) == 1
        await world.seconds(10)
        assert await asked(world.source) == "refused"
        assert len(world.client.asked) == 2
    assert world.source.health.last_error == str(refused)
    assert world.noted == ["refused"] * 2


async def test_after_three_calls_that_failed_nobody_waits_and_one_call_finds_out(
    world: World,
) -> None:
    world.client.otherwise = AWAY
    async with world.at_work():
        for _ in range(3):
            assert await asked(world.source) == "unavailable"
        assert len(world.client.asked) == 3
        answer = world.client.hold()
        assert set(await all_of(world.source, 50)) == {"unavailable"}  # which begin one trial
        assert len(world.client.asked) == 4
        world.client.otherwise = None
        answer.set()
        await idle()
        assert set(await all_of(world.source, 50)) == {"unavailable"}
        await world.seconds(2)
        assert await asked(world.source) == "unavailable"  # and begins another
        await idle()
        assert await asked(world.source) == "token5"


async def test_nobody_waits_for_a_call_that_is_slow(world: World) -> None:
    answer = world.client.hold()
    async with world.at_work(), anyio.create_task_group() as tasks:
        tasks.start_soon(asked, world.source)
        await idle()
        await world.seconds(SLOW + 0.1)
        found = world.source.find(None)
        assert found is not None
        assert "has not answered" in getattr(found, "detail", "")
        answer.set()
        await idle()
        assert await asked(world.source) == "token1"  # it was kept


async def test_a_wish_to_be_left_alone_holds_for_all(world: World) -> None:
    users = world.source = world.made(Users(world.client))
    world.client.next = [IssuerThrottled("429", retry_after=30.0)]
    async with world.at_work():
        assert await asked(users, grant_id(1)) == "throttled"
        assert await asked(users, grant_id(2)) == "throttled"
        await world.seconds(31)
        await asked(users, grant_id(2))
        await idle()
        assert await asked(users, grant_id(2)) == "token2"


async def test_what_is_odd_about_one_users_token_keeps_no_other_waiting(world: World) -> None:
    users = world.source = world.made(Users(world.client))
    async with world.at_work():
        for number in range(1, 6):
            world.client.next = [ODD if number % 2 else SourceRefused("no")]
            await asked(users, grant_id(number))
        assert await asked(users, grant_id(9)) == "token6"
        assert await asked(users, grant_id(1)) == "unavailable"
        assert await asked(users, grant_id(2)) == "refused"
        assert len(world.client.asked) == 6
        users.drop(grant_id(9))
        assert await asked(users, grant_id(9)) == "token7"


async def test_only_so_many_users_tokens_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    users = world.source = world.made(Users(world.client))
    async with world.at_work():
        for number in (1, 2, 1, 3):
            await asked(users, grant_id(number))
        assert await asked(users, grant_id(1)) == "token1"
        assert await asked(users, grant_id(2)) == "token4"  # that was asked for longest ago


async def test_what_cannot_be_written_is_unavailable(world: World) -> None:
    world.client.next = [StoreError("the disk is full")]
    async with world.at_work():
        assert await asked(world.source) == "unavailable"
        assert await asked(world.source) == "token2"


async def test_a_fault_that_nobody_expected_is_contained(world: World) -> None:
    world.client.next = [ZeroDivisionError()]
    async with world.at_work():
        assert await asked(world.source) == "unavailable"
    assert world.containment.failures == {("source", "quotes"): 1}


async def test_what_is_forgotten_is_fetched_anew(world: World) -> None:
    world.client.next = [SourceRefused("no")]
    async with world.at_work():
        world.source.forget(None)  # nothing is known yet
        await asked(world.source)
        world.source.forget(None)
        assert await asked(world.source) == "token2"
        token = world.source.token
        assert token is not None
        world.source.forget(None)
        assert world.source.token is None


async def test_what_need_not_be_finished_is_cut_as_the_daemon_stops(world: World) -> None:
    world.client.hold()
    async with world.at_work(), anyio.create_task_group() as tasks:
        told = list[str]()

        async def ask() -> None:
            told.append(await asked(world.source))

        tasks.start_soon(ask)
        await idle()
        world.source.stop()
        await world.source.over()
    assert told == ["unavailable"]
    assert await asked(world.source) == "unavailable"  # it is not at work


async def test_one_whose_place_another_has_fetches_nothing_ahead_and_finishes_what_is_begun(
    world: World,
) -> None:
    async with world.at_work():
        await asked(world.source)
        answer = world.client.hold()
        world.source.forget(None)
        flight = world.source.join(None)
        await idle()
        world.source.retire()
        answer.set()
        assert getattr(await flight.answer(), "life", None) == 300.0
        await world.seconds(290)
        assert await asked(world.source) == "unavailable"
    assert world.client.asked == ["fetch"] * 2


async def test_what_spends_something_is_finished(world: World) -> None:
    class Spending(OwnStanding):
        must_finish = True

    world.source = world.made(Spending(world.client))
    answer = world.client.hold()
    async with world.at_work():
        flight = world.source.join(None)
        await idle()
        world.source.stop()
        await idle()
        answer.set()
        await world.source.over()
        assert getattr(await flight.answer(), "life", None) == 300.0


async def test_a_token_that_is_over_as_it_comes_is_of_no_use(world: World) -> None:
    world.client.next = [tokens(expires_in=0.0)]
    async with world.at_work():
        assert await asked(world.source) == "unavailable"
    assert "wanted one that is good still" in world.source.health.last_error
