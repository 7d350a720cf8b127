"""An operator's sign-in: begun, finished once, and never ended by an answer that is not its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import anyio
import pytest

from sessiond.containment import Containment
from sessiond.core.errors import IssuerUnavailable, SignInRefused, StoreError
from sessiond.refresher import Tokens
from sessiond.sources import authorizing as module
from sessiond.sources.authorizing import (
    LASTS,
    Authorizing,
    BrowserSignIn,
    DevicePrompt,
    SignIn,
    Standing,
    TooManySignIns,
)
from tests.fakes import FakeClock, idle
from tests.unit.sources.fakes import tokens

pytestmark = pytest.mark.anyio
URI = "http://127.0.0.1:1/"


@dataclass
class Pages:
    """Fulfils `SourceAuthorizer`."""

    says: Tokens | Exception = field(default_factory=lambda: tokens(refresh="brought"))
    fault: str = ""
    redeemed: list[tuple[str, str]] = field(default_factory=list)
    signed_in: anyio.Event = field(default_factory=anyio.Event)
    away: Exception | None = None

    async def address(self, sign_in: BrowserSignIn) -> str:
        if self.away is not None:
            raise self.away
        return f"https://issuer/authorize?state={sign_in.state}"

    async def iss_fault(self, iss: str | None) -> str:
        return self.fault

    async def redeem(self, code: str, sign_in: BrowserSignIn) -> Tokens:
        self.redeemed.append((code, sign_in.verifier.reveal()))
        return self._said()

    async def prompt(self) -> DevicePrompt:
        if self.away is not None:
            raise self.away
        return DevicePrompt(
            user_code="CODE",
            url="https://issuer/device",
            complete_url="",
            expires_in=300.0,
            finish=self._finish,
        )

    async def _finish(self) -> Tokens:
        await self.signed_in.wait()
        return self._said()

    def _said(self) -> Tokens:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@dataclass
class World:
    clock: FakeClock
    authorizing: Authorizing
    pages: Pages = field(default_factory=Pages)
    kept: list[str] = field(default_factory=list)
    fails: Exception | None = None

    async def keep(self, found: Tokens) -> None:
        if self.fails is not None:
            raise self.fails
        assert found.refresh_token is not None
        self.kept.append(found.refresh_token.reveal())

    async def browser(self, name: str = "quotes") -> tuple[SignIn, str]:
        sign_in, url = await self.authorizing.by_browser(name, self.pages, self.keep, URI)
        return sign_in, url.partition("state=")[2]

    async def device(self, name: str = "quotes") -> SignIn:
        sign_in, prompt = await self.authorizing.by_device(name, self.pages, self.keep)
        assert prompt.user_code == "CODE"
        return sign_in

    async def redeem(self, sign_in: SignIn, state: str, code: str = "code") -> None:
        await self.authorizing.redeem(sign_in, code=code, state=state, iss=None)


@asynccontextmanager
async def at_work() -> AsyncIterator[World]:
    clock, numbers = FakeClock(), iter(range(1000))
    made = Authorizing(clock, Containment(), random=lambda: f"random{next(numbers)}")
    async with anyio.create_task_group() as tasks:
        made.begin(tasks)
        yield World(clock, made)
        made.stop()


async def test_by_the_browser_the_code_is_spent_once_with_what_proves_who_asked() -> None:
    async with at_work() as world:
        sign_in, state = await world.browser()
        await world.redeem(sign_in, state)
        assert sign_in.standing is Standing.AUTHORIZED
        assert world.kept == ["brought"]
        assert world.pages.redeemed == [("code", "random2")]
        with pytest.raises(SignInRefused, match="waits for no code"):
            await world.redeem(sign_in, state)
        assert world.authorizing.find("quotes", sign_in.id) is sign_in
        assert world.authorizing.find("quotes", uuid4()) is None


async def test_an_answer_with_another_state_ends_nothing() -> None:
    async with at_work() as world:
        sign_in, state = await world.browser()
        for other in ("", "random", f"{state}x", "ü"):
            with pytest.raises(SignInRefused, match="state is another sign-in's"):
                await world.redeem(sign_in, other)
        await world.redeem(sign_in, state)
        assert sign_in.standing is Standing.AUTHORIZED


async def test_an_answer_of_another_issuer_spends_no_code() -> None:
    async with at_work() as world:
        world.pages.fault = "iss is another"
        sign_in, state = await world.browser()
        await world.redeem(sign_in, state)
        assert (sign_in.standing, world.pages.redeemed) == (Standing.FAILED, [])
        assert "iss is another" in sign_in.detail


@pytest.mark.parametrize(
    ("says", "detail"),
    [
        (SignInRefused("invalid_grant"), "invalid_grant"),
        (IssuerUnavailable("away"), "away"),
        (tokens(), "no refresh token, wanted one"),
        (ZeroDivisionError(), "a fault that nobody expected"),
    ],
    ids=["refused", "away", "none", "bug"],
)
async def test_why_it_came_to_nothing_is_said(says: Tokens | Exception, detail: str) -> None:
    async with at_work() as world:
        world.pages.says = says
        sign_in, state = await world.browser()
        await world.redeem(sign_in, state)
        assert sign_in.standing is Standing.FAILED
        assert detail in sign_in.detail
        assert world.kept == []


async def test_what_cannot_be_written_has_failed() -> None:
    async with at_work() as world:
        world.fails = StoreError("the disk is full")
        sign_in, state = await world.browser()
        await world.redeem(sign_in, state)
        assert (sign_in.standing, sign_in.detail) == (Standing.FAILED, "the disk is full")


async def test_with_a_device_code_it_goes_on_by_itself() -> None:
    async with at_work() as world:
        sign_in = await world.device()
        await idle()
        assert sign_in.standing is Standing.WAITING
        with pytest.raises(SignInRefused, match="waits for no code"):
            await world.redeem(sign_in, "")
        world.pages.signed_in.set()
        await sign_in.is_over.wait()
        assert (sign_in.standing, world.kept) == (Standing.AUTHORIZED, ["brought"])


async def test_another_sign_in_for_the_source_takes_its_place() -> None:
    async with at_work() as world:
        first = await world.device()
        second = await world.device()
        await idle()
        assert (first.standing, second.standing) == (Standing.FAILED, Standing.WAITING)
        assert "took its place" in first.detail
        assert world.authorizing.find("quotes", first.id) is None


async def test_who_waits_for_one_in_a_browser_hears_that_another_took_its_place() -> None:
    async with at_work() as world:
        first, _ = await world.browser()
        await world.browser()
        assert first.is_over.is_set()
        assert "took its place" in first.detail


async def test_what_is_being_written_is_kept_though_another_begins() -> None:
    async with at_work() as world:
        first, state = await world.browser()
        writing, written = anyio.Event(), anyio.Event()

        async def keep(_: Tokens) -> None:
            writing.set()
            await written.wait()

        first.keep = keep
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.redeem, first, state)
            await writing.wait()
            await world.device()
            written.set()
        assert (first.standing, first.detail) == (Standing.AUTHORIZED, "")


async def test_one_that_is_cut_as_the_daemon_stops_says_so() -> None:
    async with at_work() as world:
        device = await world.device()
        world.authorizing.stop()
        assert device.detail.startswith("sessiond is stopping")


async def test_one_that_nobody_finishes_is_over_in_time() -> None:
    async with at_work() as world:
        sign_in, _ = await world.browser()
        device = await world.device("other")
        await world.clock.advance(LASTS)
        assert world.authorizing.find("quotes", sign_in.id) is None
        await idle()
        assert device.standing is Standing.FAILED
        assert {sign_in.detail, device.detail} == {
            "nobody has signed in in time, wanted somebody: begin anew"
        }


async def test_an_issuer_that_is_away_begins_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with at_work() as world:
        world.pages.away = IssuerUnavailable("away")
        with pytest.raises(IssuerUnavailable):
            await world.browser()
        with pytest.raises(IssuerUnavailable):
            await world.device()


async def test_only_so_many_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SIGN_INS", 2)
    async with at_work() as world:
        for name in ("a", "b", "a"):
            await world.browser(name)
        with pytest.raises(TooManySignIns):
            await world.browser("c")
