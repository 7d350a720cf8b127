"""Refresh tokens given back: many at once wait in a queue, and few tasks work through it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar, cast

import anyio
import pytest
from anyio.abc import TaskGroup
from msgspec import structs
from structlog.testing import capture_logs

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.changes import DropRefreshToken
from sessiond.core.errors import StoreError
from sessiond.core.grant import Grant, GrantId
from sessiond.core.queries import Request
from sessiond.core.secret import Secret
from sessiond.gate import FairLimiter
from sessiond.refresher import giving_back as module
from sessiond.refresher.giving_back import AT_ONCE, EVERY, GivingBack
from sessiond.refresher.refresh_issuer import RefreshIssuer, Tokens
from tests.fakes import grant, grant_id, idle
from tests.unit.gate.fakes import ScriptedVerifier
from tests.unit.issuers.fake import HandClock

pytestmark = pytest.mark.anyio

A = TypeVar("A")


class Revoking:
    """Fulfils `sessiond.refresher.TokenSource`: ends refresh tokens, when it is let."""

    def __init__(self) -> None:
        self.revoked: list[str] = []
        self.under_way = 0
        self.at_most = 0
        self.go_on = anyio.Event()

    async def refresh(self, token: Secret) -> Tokens:
        raise NotImplementedError

    async def revoke(self, token: Secret) -> bool:
        self.under_way += 1
        self.at_most = max(self.at_most, self.under_way)
        await self.go_on.wait()
        self.under_way -= 1
        self.revoked.append(token.reveal())
        if token.reveal() == "odd":
            raise KeyError("what nobody expects")
        return True


def refresh_issuer_of(
    source: Revoking, iss: str = "https://corp", places: int = 16
) -> RefreshIssuer:
    return RefreshIssuer(
        iss=iss,
        admits=lambda _: True,
        sources={"qstudio": source},
        verifier=ScriptedVerifier(),
        limiter=anyio.CapacityLimiter(places),
        unproved=FairLimiter(places),
    )


class Keeping:
    """Fulfils `RefreshTokens`: of each grant the refresh token `refreshNUMBER`, until let go."""

    def __init__(self) -> None:
        self.let_go: list[GrantId] = []
        self.others: dict[GrantId, str] = {}
        self.failing = False

    async def refresh_token(self, grant: GrantId) -> Secret | None:
        if grant in self.let_go:
            return None
        return Secret(self.others.get(grant, f"refresh{grant.int - grant_id(0).int}"))

    async def ask(self, request: Request[A]) -> A:
        assert isinstance(request, DropRefreshToken)
        if self.failing:
            raise StoreError("the disk is full")
        self.let_go.append(request.grant.id)
        return cast("A", None)


def dropped(number: int, *, proven: bool = True, client: str = "qstudio") -> Grant:
    plain = grant(number, iss="https://corp", has_refresh_token=True, proven=proven)
    return structs.replace(plain, client=client)


@asynccontextmanager
async def giving_back(
    refresh_issuers: dict[str, RefreshIssuer],
    containment: Containment | None = None,
    clock: Clock | None = None,
    keeping: Keeping | None = None,
) -> AsyncIterator[tuple[GivingBack, TaskGroup]]:
    async with anyio.create_task_group() as tasks:
        yield (
            GivingBack(
                keeping or Keeping(),
                refresh_issuers.get,
                containment or Containment(),
                clock or HandClock(),
            ),
            tasks,
        )


async def test_when_everybody_is_revoked_few_tasks_give_all_of_it_back() -> None:
    source = Revoking()
    refresh_issuers = {"corp": refresh_issuer_of(source)}
    async with giving_back(refresh_issuers) as (owing, tasks):
        for number in range(500):
            owing.owe(dropped(number, proven=number % 2 == 0), tasks)
        await idle()
        assert len(anyio.get_running_tasks()) <= AT_ONCE + 2
        assert source.under_way == AT_ONCE
        source.go_on.set()
    assert sorted(source.revoked) == sorted(f"refresh{number}" for number in range(500))
    assert source.at_most == AT_ONCE


async def test_between_two_tokens_there_is_a_pause_for_whoever_logs_in() -> None:
    source, clock = Revoking(), HandClock()
    source.go_on.set()
    async with giving_back({"corp": refresh_issuer_of(source)}, clock=clock) as (owing, tasks):
        for number in range(10 * AT_ONCE):
            owing.owe(dropped(number), tasks)
    assert len(source.revoked) == 10 * AT_ONCE
    assert set(clock.slept) == {EVERY}
    assert len(clock.slept) >= 9 * AT_ONCE


async def test_refreshes_have_their_budget_first_however_small_it_is() -> None:
    source = Revoking()
    refresh_issuers = {"corp": refresh_issuer_of(source, places=1)}
    async with giving_back(refresh_issuers) as (owing, tasks):
        for number in range(9):
            owing.owe(dropped(number), tasks)
        await idle()
        assert source.under_way == 1
        source.go_on.set()
    assert len(source.revoked) == 9


async def test_one_that_fails_as_nobody_expected_holds_up_no_other() -> None:
    source, containment = Revoking(), Containment()
    source.go_on.set()
    refresh_issuers, keeping = {"corp": refresh_issuer_of(source)}, Keeping()
    keeping.others = {grant_id(number): "odd" for number in range(AT_ONCE)}
    async with giving_back(refresh_issuers, containment, keeping=keeping) as (owing, tasks):
        for number in range(9):
            owing.owe(dropped(number), tasks)
    assert len(source.revoked) == 9
    assert sorted(keeping.let_go) == [grant_id(number) for number in range(9)]
    assert containment.failures == {("token given back", "corp"): AT_ONCE}


async def test_what_waits_goes_to_the_issuer_as_it_is_by_then_and_to_no_other() -> None:
    before, after, other = Revoking(), Revoking(), Revoking()
    refresh_issuers = {"corp": refresh_issuer_of(before)}
    async with giving_back(refresh_issuers) as (owing, tasks):
        for number in range(AT_ONCE + 3):
            owing.owe(dropped(number), tasks)
        await idle()
        refresh_issuers["corp"] = refresh_issuer_of(after)
        before.go_on.set()
        await idle()
        assert after.under_way == 3
        owing.owe(dropped(7), tasks)
        owing.owe(dropped(8), tasks)
        refresh_issuers["corp"] = refresh_issuer_of(other, "https://other")
        after.go_on.set()
        other.go_on.set()
        await idle()
        owing.owe(structs.replace(dropped(9), iss=""), tasks)  # of a time when that was not kept
        await idle()
        refresh_issuers.clear()
        owing.owe(dropped(10), tasks)
    assert (len(before.revoked), other.revoked) == (AT_ONCE, ["refresh9"])
    assert "refresh8" not in after.revoked


async def test_what_waits_for_one_issuer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    source = Revoking()
    refresh_issuers = {"corp": refresh_issuer_of(source)}
    async with giving_back(refresh_issuers) as (owing, tasks):
        for number in range(30):
            owing.owe(dropped(number), tasks)
        source.go_on.set()
    assert len(source.revoked) == 10


async def test_what_is_given_back_or_cannot_be_is_let_go_and_nothing_else() -> None:
    source, keeping = Revoking(), Keeping()
    source.go_on.set()
    refresh_issuers = {"corp": refresh_issuer_of(source)}
    async with giving_back(refresh_issuers, keeping=keeping) as (owing, tasks):
        owing.owe(dropped(1), tasks)
        await idle()
        refresh_issuers.clear()
        owing.owe(dropped(2), tasks)
        await idle()
        assert keeping.let_go == [grant_id(1), grant_id(2)]
        assert source.revoked == ["refresh1"]


async def test_a_refresh_token_that_is_gone_is_given_back_by_nobody() -> None:
    source, keeping = Revoking(), Keeping()
    source.go_on.set()
    keeping.let_go.append(grant_id(1))
    async with giving_back({"corp": refresh_issuer_of(source)}, keeping=keeping) as (owing, tasks):
        owing.owe(dropped(1), tasks)
    assert source.revoked == []


async def test_where_nothing_can_be_written_the_next_is_given_back_all_the_same() -> None:
    source, keeping = Revoking(), Keeping()
    source.go_on.set()
    keeping.failing = True
    async with giving_back({"corp": refresh_issuer_of(source)}, keeping=keeping) as (owing, tasks):
        for number in range(AT_ONCE + 1):
            owing.owe(dropped(number), tasks)
    assert len(source.revoked) == AT_ONCE + 1


async def test_each_is_given_back_by_the_client_that_it_is_of_and_by_no_other() -> None:
    qstudio, web, keeping = Revoking(), Revoking(), Keeping()
    qstudio.go_on.set()
    web.go_on.set()
    both = replace(refresh_issuer_of(qstudio), sources={"qstudio": qstudio, "kdb-web": web})
    with capture_logs() as logs:
        async with giving_back({"corp": both}, keeping=keeping) as (owing, tasks):
            for number, client in enumerate(("qstudio", "kdb-web", "gone")):
                owing.owe(dropped(number, client=client), tasks)
    assert (qstudio.revoked, web.revoked) == (["refresh0"], ["refresh1"])
    assert sorted(keeping.let_go) == [grant_id(number) for number in range(3)]
    (told,) = (each for each in logs if each["event"] == "not revoked at the issuer")
    assert (told["issuer"], told["error"]) == ("corp", "its client is not there now")
