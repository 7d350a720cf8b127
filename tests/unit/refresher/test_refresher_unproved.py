"""Refresh tokens that nothing has proved: a budget and a pace of their own."""

from datetime import timedelta

import anyio
import pytest

from sessiond.core.changes import KeepGrant
from sessiond.core.errors import IssuerThrottled, RefreshRefused
from sessiond.core.grant import Grant
from sessiond.core.session import ProcessKey
from tests.fakes import (
    FakeClock,
    bind,
    grant_id,
    idle,
    login,
    presented,
    principal,
    process_about,
    process_key,
    verdict,
)
from tests.unit.refresher.refreshing import TEN_MINUTES, Work, at_work

pytestmark = pytest.mark.anyio

REFUSED = RefreshRefused("invalid_grant")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def come(work: Work, number: int, user: str, *, length: timedelta = TEN_MINUTES) -> None:
    """Have a user log in with a pair of tokens of that number."""
    says = verdict(principal(user), begin=work.clock.now(), length=length)
    pair = presented(f"access of {number}", f"refresh of {number}", says=says)
    await work.table.ask(login(number, pair))
    await work.table.ask(bind(number))


async def adopted(work: Work, number: int, user: str = "alice") -> Grant:
    """Return a grant that is to be proved."""
    says = verdict(principal(user), begin=work.clock.now(), length=TEN_MINUTES)
    pair = presented(f"access of {number}", f"refresh of {number}", says=says)
    grant = await work.table.ask(
        KeepGrant(about=process_about(), grant=grant_id(number), presented=pair)
    )
    assert isinstance(grant, Grant)
    return grant


class Proving:
    """Proofs under way, each as a login that may give up."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.logins: dict[int, anyio.CancelScope] = {}
        self.over: list[int] = []

    async def prove(self, grant: Grant, process: ProcessKey) -> None:
        number = grant.id.int - 1000
        with anyio.CancelScope() as self.logins[number]:
            await self._work.refresher.prove(grant, process=process)
            self.over.append(number)


async def test_a_throttling_of_unproved_ones_holds_up_nobody_s_proved_grant(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        await work.log_in(1)
        await work.prove(1)  # alice's
        work.source.next = [IssuerThrottled("429", retry_after=600)]
        await come(work, 2, "mallory", length=timedelta(minutes=5))  # due after three
        await work.minutes(20)
        assert [at for at, token in work.source.sent if token == "refresh of 2"] == [180]
        assert [at / 60 for at, token in work.source.sent if token != "refresh of 2"] == [
            0,
            6,
            12,
            18,
        ]
        assert {each.session.principal.name for each in await work.live()} == {"alice"}


async def test_a_throttling_of_proved_ones_holds_all(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in(1)
        await work.prove(1)
        await work.minutes(1)
        await come(work, 2, "bob")
        work.source.next = [IssuerThrottled("429", retry_after=100)]
        await work.minutes(9)
        first, *later = [at for at, _ in work.source.sent if at > 0]
        assert first == 360
        assert len(later) == 2
        assert min(later) >= 460


async def test_unproved_ones_that_hang_hold_up_no_proved_one(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=2) as work:
        await work.log_in(1)
        await work.prove(1)
        for number in range(2, 9):
            await come(work, number, "mallory", length=timedelta(minutes=5))
        work.source.hold()
        await work.minutes(4)
        assert work.source.under_way == 2
        await work.minutes(3)
        assert work.sent[-1] == "refresh1"
        assert work.source.under_way == 3


async def test_they_go_round_by_subject(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        for number in range(1, 6):
            await come(work, number, "mallory")
        await come(work, 6, "alice")
        answer = work.source.hold()
        await work.minutes(6.1)
        answer.set()
        await work.minutes(0.1)
        assert work.sent.index("refresh of 6") <= 2
        assert len(work.sent) == 6
        assert work.source.at_most == 1


async def test_whose_tokens_are_refused_waits_and_others_do_not(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.otherwise = REFUSED
        for number in range(1, 8):
            await come(work, number, "mallory")
            await clock.advance(0.1)
        await work.minutes(6)
        assert len(work.sent) == 4
        await clock.advance(15)
        assert len(work.sent) == 5
        work.source.otherwise = None
        await come(work, 9, "alice", length=timedelta(seconds=10))
        await clock.advance(7)
        assert work.sent[-1] == "refresh of 9"


async def test_proofs_go_round_by_process_and_within_it_by_subject(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        proving, answer = Proving(work), work.source.hold()
        async with anyio.create_task_group() as tasks:
            for number in range(1, 101):
                user = "alice" if number == 100 else f"user{number % 3}"
                grant = await adopted(work, number, user)
                tasks.start_soon(proving.prove, grant, process_key(100))
            await idle()
            tasks.start_soon(proving.prove, await adopted(work, 101), process_key(101))
            await idle()
            assert len(work.sent) == 1
            answer.set()
        assert len(work.sent) == 101
        assert work.sent.index("refresh of 101") <= 2
        assert work.sent.index("refresh of 100") <= 6


async def test_a_proof_whose_login_gave_up_is_never_sent_and_its_grant_goes(
    clock: FakeClock,
) -> None:
    async with at_work(clock, concurrency=1) as work:
        proving, answer = Proving(work), work.source.hold()
        async with anyio.create_task_group() as tasks:
            for number in (1, 2, 3):
                tasks.start_soon(proving.prove, await adopted(work, number), process_key())
                await idle()
            proving.logins[1].cancel()
            proving.logins[2].cancel()
            await idle()
            assert {each.id for each in work.table.grants()} == {grant_id(1), grant_id(3)}
            answer.set()
        await idle()
        assert work.sent == ["refresh of 1", "refresh of 3"]  # what was sent went on
        assert {each.proven for each in work.table.grants()} == {True}
        assert proving.over == [3]


async def test_a_grant_that_another_login_wants_proved_stays(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        first, second = Proving(work), Proving(work)
        answer = work.source.hold()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.prove, await adopted(work, 1), process_key())
            await idle()
            grant = await adopted(work, 2)
            tasks.start_soon(first.prove, grant, process_key())
            tasks.start_soon(second.prove, grant, process_key())
            await idle()
            first.logins[2].cancel()
            await idle()
            answer.set()
        assert work.sent == ["refresh of 1", "refresh of 2"]
        assert second.over == [2]


async def test_two_logins_with_one_pair_cost_one_proof(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        proving, answer = Proving(work), work.source.hold()
        grant = await adopted(work, 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(proving.prove, grant, process_key(100))
            tasks.start_soon(proving.prove, grant, process_key(101))
            await idle()
            answer.set()
        assert work.sent == ["refresh of 1"]
        assert proving.over == [1, 1]


async def test_giving_unproved_ones_back_costs_their_own_budget(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        proving, answer = Proving(work), work.source.hold()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(proving.prove, await adopted(work, 1, "bob"), process_key())
            await work.log_in(2)
            await work.revoke()
            await idle()
            assert work.source.revoked == []
            answer.set()
        await idle()
        assert work.source.revoked == ["refresh0"]


async def test_when_it_is_stopping_no_proof_begins(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        grant = await adopted(work, 1)
        await work.refresher.settle()
        await work.refresher.prove(grant, process=process_key())
        assert work.sent == []
