"""What keeps the contract of a role source passes, and each break of it is found."""

from datetime import datetime
from typing import Any

import anyio
import pytest
from msgspec import Struct

from sessiond.api import Event, Granted, Principal, Refusal, TokenRejected, settings_of
from sessiond.testing import check_role_source

pytestmark = pytest.mark.anyio

ALICE = Principal(issuer="corp", subject="s-1", name="alice")


class Settings(Struct, frozen=True, kw_only=True):
    word: str
    number: int = 1


class Plain:
    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)

    def receive(self, event: Event) -> None:
        pass


class Source:
    """Does everything right."""

    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)
        self.asked = 0

    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        return Granted(roles=("trader",)) if principal == ALICE else Granted()


class AsyncSource(Source):
    async def roles(  # type: ignore[override]
        self, principal: Principal, *, now: datetime
    ) -> Granted:
        await anyio.lowlevel.checkpoint()
        if principal != ALICE:
            raise TokenRejected(Refusal.NOROLES, "a stranger")
        return Granted(roles=("trader",))


@pytest.mark.parametrize("entry", [Source, AsyncSource])
async def test_a_role_source_that_keeps_its_contract_passes(entry: Any) -> None:
    await check_role_source(entry, {"word": "x"}, principal=ALICE)


class NoRoles(Plain):
    pass


class WrongAnswer(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Any:
        return ["trader"]


class Nothing(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        return Granted()


class Wavers(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        self.asked += 1
        return Granted(roles=(f"trader{self.asked}",))


class Injected(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        if "'" in principal.name:
            raise ValueError("syntax error")
        return super().roles(principal, now=now)


class WrongForStrangers(Source):
    def roles(self, principal: Principal, *, now: datetime) -> Any:
        return super().roles(principal, now=now) if principal == ALICE else None


@pytest.mark.parametrize(
    ("entry", "broken"),
    [
        (NoRoles, "no roles"),
        (WrongAnswer, "does not believe its answer"),
        (Nothing, "grants alice nothing"),
        (Wavers, "does not always say the same"),
        (Injected, '"o\'brien" it raises ValueError'),
        (WrongForStrangers, "does not believe its answer"),
    ],
)
async def test_each_break_of_a_role_sources_contract_is_found(entry: Any, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        await check_role_source(entry, {"word": "x"}, principal=ALICE)
