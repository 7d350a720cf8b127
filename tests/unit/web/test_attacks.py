"""What strangers, other sites, other ports and thieves of addresses try, and what comes of it."""

import secrets
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.core.rows import Row
from sessiond.web.web_client import AuthorizationRequest
from tests.fakes import FakeClock
from tests.unit.web.browsing import (
    OTHER,
    PLAIN,
    TLS,
    Browser,
    IssuerPages,
    Surfing,
    callback,
    location,
    surfing,
    while_time_passes,
)

pytestmark = pytest.mark.anyio


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


async def begun(world: Surfing, name: str = "alice") -> tuple[Browser, str]:
    """Return a browser whose person has signed in at the issuer, and where it is sent."""
    browser = world.browser()
    return browser, world.issuer.signs_in(location(await browser.get()), name)


def rows(world: Surfing) -> dict[tuple[type[Row], object], Row]:
    return world.table.store.rows


class TestLoginCsrf:
    """Nobody is signed in as somebody else without knowing (RFC 6819, 4.4.1.8)."""

    async def test_an_attackers_answer_opens_nothing_in_a_victims_browser(
        self, world: Surfing
    ) -> None:
        _, target = await begun(world, "mallory")
        victim = world.browser()
        answer = await victim.get(target, site="cross-site")
        assert (answer.action, answer.status, answer.reason) == ("deny", 403, "expired")
        assert victim.cookies == {}
        assert world.issuer.spent == []

    async def test_nor_while_the_victim_signs_in_himself(self, world: Surfing) -> None:
        _, theirs = await begun(world, "mallory")
        victim, own = await begun(world, "alice")
        assert (await victim.get(theirs)).status == 403
        assert location(await victim.get(own)) == "https://gateway.example:5007/"
        answer = await victim.get()
        assert answer.active is not None
        assert answer.active.session.principal.name == "alice"

    async def test_nor_where_the_victim_is_signed_in(self, world: Surfing) -> None:
        victim = world.browser()
        await victim.sign_in("alice")
        before = dict(victim.cookies)
        _, theirs = await begun(world, "mallory")
        assert location(await victim.get(theirs)) == "https://gateway.example:5007/"
        assert victim.cookies == before

    async def test_an_attackers_code_is_not_taken_with_the_victims_state(
        self, world: Surfing
    ) -> None:
        attacker, theirs = await begun(world, "mallory")
        victim, own = await begun(world, "alice")
        code = parse_qs(urlsplit(theirs).query)["code"][0]
        state = parse_qs(urlsplit(own).query)["state"][0]
        answer = await victim.get(callback(code=code, state=state))
        assert (answer.status, answer.reason) == (403, "inactive")
        assert await world.sessions() == []
        assert attacker.cookies


class TestFixation:
    """A session's cookie is made when its person has signed in, and known to no one before."""

    async def test_a_cookie_that_was_set_before_is_not_the_sessions(self, world: Surfing) -> None:
        planted = secrets.token_urlsafe(32)
        victim = world.browser()
        victim.cookies[TLS.cookie] = planted
        await victim.sign_in("alice")
        assert victim.cookies[TLS.cookie] != planted
        thief = world.browser()
        thief.cookies[TLS.cookie] = planted
        assert location(await thief.get()).startswith(world.issuer.iss)

    async def test_an_attackers_live_cookie_does_not_become_the_victims_session(
        self, world: Surfing
    ) -> None:
        attacker = world.browser()
        await attacker.sign_in("mallory")
        planted = attacker.cookies[TLS.cookie]
        victim = world.browser()
        victim.cookies[TLS.cookie] = planted
        await victim.sign_in("alice", "/.sessiond/signin?issuer=corp&to=/")
        assert victim.cookies[TLS.cookie] != planted
        answer = await attacker.get()
        assert answer.active is not None
        assert answer.active.session.principal.name == "mallory"

    async def test_a_cookie_tossed_beside_the_real_one_is_told_and_not_believed(
        self, world: Surfing
    ) -> None:
        victim = world.browser(PLAIN)
        await victim.sign_in("alice")
        attacker = world.browser(PLAIN)
        await attacker.sign_in("mallory")
        tossed = f"{PLAIN.cookie}={attacker.cookies[PLAIN.cookie]}; {victim.cookie}"
        assert (await victim.get(cookie=tossed)).status == 400


class TestCodes:
    """A code is worth something in the browser that it was made for, once (RFC 9700, 4.5)."""

    async def test_a_stolen_address_is_worth_nothing_in_another_browser(
        self, world: Surfing
    ) -> None:
        victim, target = await begun(world)
        thief = world.browser()
        assert (await thief.get(target)).status == 403
        await thief.get()  # has begun one of its own
        assert (await thief.get(target)).status == 403
        assert world.issuer.spent == []
        assert location(await victim.get(target))

    async def test_nor_before_the_result_was_collected(self, world: Surfing) -> None:
        victim, target = await begun(world)
        world.issuer.held = anyio.Event()
        await while_time_passes(world, partial(victim.get, target), seconds=0.3)
        world.issuer.held.set()
        await world.clock.settle()
        thief = world.browser()
        assert (await thief.get(target)).status == 403
        assert thief.cookies == {}
        assert location(await victim.get(target))

    async def test_nor_after_it_was_even_with_the_sign_ins_cookie(self, world: Surfing) -> None:
        victim, target = await begun(world)
        stolen = victim.cookie
        assert location(await victim.get(target))
        thief = world.browser()
        assert (await thief.get(target, cookie=stolen)).status == 403
        assert thief.cookies == {}
        assert len(world.issuer.spent) == 1

    async def test_a_used_state_takes_no_other_code(self, world: Surfing) -> None:
        browser, target = await begun(world)
        cookie = browser.cookie
        await browser.get(target)
        state = parse_qs(urlsplit(target).query)["state"][0]
        world.issuer.codes["fresh"] = world.issuer.asked[state], "mallory"
        answer = await world.browser().get(callback(code="fresh", state=state), cookie=cookie)
        assert answer.status == 403
        assert world.issuer.spent != ["fresh"]

    async def test_not_even_after_the_daemon_has_begun_anew(self, world: Surfing) -> None:
        browser, target = await begun(world)
        cookie = browser.cookie
        await browser.get(target)
        state = parse_qs(urlsplit(target).query)["state"][0]
        world.issuer.codes["fresh"] = world.issuer.asked[state], "mallory"
        world.web = type(world.web)(world.services)  # which remembers nothing
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.web.run)
            await world.clock.settle()
            answer = await world.browser().get(callback(code="fresh", state=state), cookie=cookie)
            tasks.cancel_scope.cancel()
        assert (answer.status, answer.reason) == (403, "revoked")
        assert len(await world.sessions()) == 1

    async def test_the_result_is_not_for_another_process_with_the_same_cookie(
        self, world: Surfing
    ) -> None:
        victim, target = await begun(world)
        world.issuer.held = anyio.Event()
        await while_time_passes(world, partial(victim.get, target), seconds=0.3)
        world.issuer.held.set()
        await world.clock.settle()
        assert (await victim.at(TLS, pid=200).get(target)).status == 403
        assert location(await victim.get(target))


@settings(max_examples=25)
@given(
    orders=st.permutations(list(range(6))),
    swaps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
)
def test_states_and_cookies_never_swap(orders: list[int], swaps: list[tuple[int, int]]) -> None:
    """Whoever brings whose answer in whatever order: each is signed in as himself or not at all."""

    async def run() -> None:
        async with surfing(FakeClock()) as world:
            pairs = [await begun(world, f"user{number}") for number in range(6)]
            for one, other in swaps:
                if one != other:
                    assert (await pairs[one][0].get(pairs[other][1])).status in (302, 403)
            for number in orders:
                browser, target = pairs[number]
                await browser.get(target)
            for number, (browser, _) in enumerate(pairs):
                answer = await browser.get()
                assert answer.active is not None
                assert answer.active.session.principal.name == f"user{number}"

    anyio.run(run)


class TestMixUp:
    """An answer is redeemed where the browser was sent to (RFC 9207; RFC 9700, 4.4)."""

    @pytest.fixture
    def evil(self, world: Surfing) -> IssuerPages:
        evil = IssuerPages(issuer="evil", client_id="kdb-evil", iss="https://evil.example/")
        evil.metadata.set()
        world.use_issuers(world.issuer, evil)
        return evil

    async def test_a_code_of_the_honest_issuer_does_not_reach_the_other(
        self, world: Surfing, evil: IssuerPages
    ) -> None:
        browser = world.browser()
        evils = location(await browser.get("/.sessiond/signin?issuer=evil&to=/"))
        corps = location(await browser.get("/.sessiond/signin?issuer=corp&to=/"))
        theirs = parse_qs(urlsplit(world.issuer.signs_in(corps)).query)
        mixed = callback(code=theirs["code"][0], state=state_of(evils), iss=world.issuer.iss)
        answer = await browser.get(mixed)
        assert (answer.status, answer.reason) == (403, "wrongissuer")
        assert evil.spent == []

    async def test_a_code_of_the_other_is_worth_nothing_at_the_honest_one(
        self, world: Surfing, evil: IssuerPages
    ) -> None:
        browser = world.browser()
        evils = location(await browser.get("/.sessiond/signin?issuer=evil&to=/"))
        corps = location(await browser.get("/.sessiond/signin?issuer=corp&to=/"))
        theirs = parse_qs(urlsplit(evil.signs_in(evils, "mallory")).query)
        answer = await browser.get(callback(code=theirs["code"][0], state=state_of(corps)))
        assert (answer.status, answer.reason) == (403, "inactive")
        assert evil.spent == []

    async def test_the_issuer_is_the_sealed_one_whatever_is_configured_by_now(
        self, world: Surfing, evil: IssuerPages
    ) -> None:
        browser = world.browser()
        target = world.issuer.signs_in(
            location(await browser.get("/.sessiond/signin?issuer=corp&to=/"))
        )
        world.use_issuers(evil)
        assert (await browser.get(target)).status == 403
        assert evil.spent == []


class TestFloods:
    """What strangers begin keeps nothing here, and what they do not finish holds nobody up."""

    async def test_ten_thousand_begun_sign_ins_keep_nothing(self, world: Surfing) -> None:
        finishing = world.web._callback.finishing
        world.issuer.asked = Forgetful()
        for _ in range(10_000):
            assert (await world.browser().get()).status == 302
        assert (len(finishing), len(finishing._used)) == (0, 0)
        assert rows(world) == {}
        assert world.table.store.commits == []
        world.issuer.asked = {}
        assert location(await world.browser().sign_in()) == "https://gateway.example:5007/"

    async def test_answers_that_nobody_was_asked_for_reach_neither_issuer_nor_disk(
        self, world: Surfing
    ) -> None:
        for _ in range(300):
            state = "0" + secrets.token_urlsafe(32)
            answer = await world.browser().get(callback(code="x", state=state))
            assert answer.status == 403
        assert world.issuer.spent == []
        assert world.table.store.commits == []

    async def test_a_flood_of_false_codes_leaves_room_for_others(
        self, world: Surfing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sessiond.web.finishing.MAX_PENDING", 20)
        monkeypatch.setattr("sessiond.web.finishing.MAX_OF_PROCESS", 10)
        world.issuer.held = anyio.Event()
        stranger = world.browser()
        statuses = []
        for _ in range(15):
            target = callback(code="false", state=state_of(location(await stranger.get())))
            answer = await while_time_passes(world, partial(stranger.get, target), seconds=0.3)
            statuses.append(answer.status)
        assert statuses == [202] * 10 + [503] * 5
        honest = world.browser(OTHER, pid=200)
        world.issuer.held.set()
        assert location(await honest.sign_in()) == "https://gateway.example:5008/"

    async def test_results_that_nobody_collects_are_gone_in_two_minutes(
        self, world: Surfing
    ) -> None:
        finishing = world.web._callback.finishing
        world.issuer.held = anyio.Event()
        for _ in range(20):
            browser, target = await begun(world)
            await while_time_passes(world, partial(browser.get, target), seconds=0.3)
        world.issuer.held.set()
        await world.clock.settle()
        assert (len(finishing), len(await world.sessions())) == (20, 20)
        await world.clock.advance(timedelta(minutes=2))
        assert (len(finishing), len(await world.sessions())) == (0, 0)

    async def test_a_header_full_of_cookies_is_a_stranger(self, world: Surfing) -> None:
        browser = world.browser()
        bomb = ";".join(f"{TLS.cookie}-signin-{n % 4}={n}" for n in range(400))
        answer = await browser.get(cookie=bomb)
        assert location(answer).startswith(world.issuer.iss)
        assert (await browser.get(cookie=f"{TLS.cookie}=a;" * 300)).status == 400


class Forgetful(dict[str, AuthorizationRequest]):
    """An issuer's memory of what it was asked: ours is what is looked at."""

    def __setitem__(self, key: str, value: AuthorizationRequest) -> None: ...


class TestHeaders:
    """Nothing that comes from outside makes a header line of its own."""

    @pytest.mark.parametrize(
        "evil", ["/x\r\nSet-Cookie: a=b", "/%0d%0aSet-Cookie:a=b", "/\u010d\u010aX: y", "/\x85X:y"]
    )
    async def test_not_by_the_address_that_is_come_back_to(self, world: Surfing, evil: str) -> None:
        back = await world.browser().sign_in(target=evil)
        assert location(back).startswith("https://gateway.example:5007/")
        assert {line.partition(": ")[0] for line in back.headers.split("\r\n")} == {
            "",
            "Cache-Control",
            "Content-Length",
            "Location",
            "Set-Cookie",
        }
        assert "\n" not in back.headers.replace("\r\n", "")

    async def test_not_by_what_an_issuer_names_as_its_pages(self, world: Surfing) -> None:
        world.issuer.iss = "https://login.example.com/\r\nSet-Cookie: a=b/\u00e9"
        answer = await world.browser().get()
        assert "\r\nSet-Cookie: a=b" not in answer.headers
        assert location(answer).isascii()


@settings(max_examples=200)
@given(
    target=st.text(max_size=80),
    given=st.fixed_dictionaries(
        {},
        optional={
            each: st.text(
                alphabet=st.one_of(st.sampled_from("\r\n\x00;=:, /\\%?&"), st.characters()),
                max_size=60,
            )
            for each in ("cookie", "accept", "origin", "host", "site")
        },
    ),
    ours=st.sampled_from(["", "/.sessiond/callback?", "/.sessiond/signin?", "/.sessiond/signout?"]),
)
def test_whatever_is_asked_the_answer_is_one_of_four_and_its_headers_are_lines(
    target: str, given: dict[str, str], ours: str
) -> None:
    async def run() -> None:
        async with surfing(FakeClock()) as world:
            answer = await world.browser().get(ours + target, **given)
            assert answer.action in ("redirect", "deny", "basic")  # and lets nobody in
            assert answer.headers.isascii()
            assert answer.headers.count("\n") == answer.headers.count("\r\n")
            assert all(": " in line for line in answer.headers.split("\r\n")[:-1])
            assert world.table.containment.failures == {}
            if answer.action == "redirect":
                assert location(answer).startswith((TLS.url, world.issuer.iss))

    anyio.run(run)
