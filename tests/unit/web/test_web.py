"""What a browser is answered: a page, its issuer, or nothing."""

import re
from dataclasses import replace
from datetime import timedelta
from functools import partial

import anyio
import pytest

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.errors import Refusal
from sessiond.web.answer import BASIC
from sessiond.web.needs import WebSettings
from sessiond.web.web import Web
from tests.fakes import process_about
from tests.unit.web.browsing import (
    FAR,
    OTHER,
    PLAIN,
    TLS,
    Surfing,
    header,
    headers,
    location,
    while_time_passes,
)

pytestmark = pytest.mark.anyio


async def test_a_person_signs_in_and_sees_the_page_under_his_name(world: Surfing) -> None:
    browser = world.browser()
    back = await browser.sign_in("alice", "/page?x=1")
    assert location(back) == "https://gateway.example:5007/page?x=1"
    answer = await browser.get("/page?x=1")
    assert answer.action == "allow"
    assert answer.active is not None
    assert answer.active.session.principal.name == "alice"
    assert answer.keep == timedelta(seconds=60)
    assert answer.signout.startswith("https://gateway.example:5007/.sessiond/signout?t=")
    assert (answer.status, answer.headers, answer.body) == (0, "", "")


async def test_loopback_without_tls_does_too(world: Surfing) -> None:
    browser = world.browser(PLAIN)
    assert location(await browser.sign_in()) == "http://127.0.0.1:5009/"
    assert (await browser.get()).action == "allow"
    assert "sessiond-5009" in browser.cookies


async def test_without_the_tables_q_asks_for_a_password(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    world.configure(clients={})
    assert await browser.get() == BASIC
    world.settings.now = WebSettings(clients={"corp": world.issuer})
    assert await browser.get() == BASIC


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
async def test_a_program_is_asked_for_a_password(world: Surfing, accept: str) -> None:
    assert await world.browser().get(accept=accept) == BASIC


@pytest.mark.parametrize("host", ["", "evil.example", "gateway.example", "gateway.example:5010"])
async def test_a_host_that_is_not_configured_signs_nobody_in_and_names_none_that_is(
    world: Surfing, host: str
) -> None:
    browser = world.browser()
    await browser.sign_in()
    answer = await browser.get(host=host)
    assert (answer.action, answer.status, answer.reason) == ("deny", 400, "notallowed")
    assert "4 addresses" in answer.body
    assert "example" not in answer.body


@pytest.mark.parametrize("host", ["", "localhost:5007", "10.0.0.7:5007"])
async def test_there_a_program_is_asked_for_a_password_and_a_script_of_a_page_is_not(
    world: Surfing, host: str
) -> None:
    browser = world.browser()
    await browser.sign_in()
    assert await browser.get(host=host, accept="*/*") == BASIC
    for said in ({"site": "same-origin"}, {"accept": "text/html"}):
        assert (await browser.get(host=host, **{"accept": "*/*", **said})).status == 400
    assert (await browser.get("/.sessiond/callback", host=host, accept="*/*")).status == 400


async def test_of_one_base_the_page_says_one(world: Surfing) -> None:
    world.configure(bases=(TLS,))
    assert "the one address" in (await world.browser().get(host="evil.example")).body


async def test_a_page_that_asks_without_a_session_gets_no_dialogue(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    await world.clock.advance(timedelta(hours=1))
    answer = await browser.get(accept="*/*")
    assert (answer.action, answer.status, answer.reason) == ("deny", 401, "expired")
    assert header(answer, "WWW-Authenticate") == "Bearer"


@pytest.mark.parametrize("site", ["same-origin", "same-site", "cross-site", "none"])
async def test_nor_does_one_whose_user_has_signed_out_in_another_tab(
    world: Surfing, site: str
) -> None:
    answer = await world.browser().get(accept="*/*", site=site)
    assert (answer.action, answer.status, answer.reason) == ("deny", 401, "expired")
    assert header(answer, "WWW-Authenticate") == "Bearer"


async def test_a_session_that_is_over_is_signed_in_anew(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    await world.clock.advance(timedelta(hours=1))
    assert location(await browser.get()).startswith(world.issuer.iss)


async def test_one_that_is_used_goes_on(world: Surfing) -> None:
    browser = world.browser()
    world.gate.says = None
    await browser.sign_in()
    for _ in range(5):
        await world.clock.advance(timedelta(minutes=10))
        assert (await browser.get()).action == "allow"


@pytest.mark.parametrize("value", ["", "x", "a" * 43, "a" * 44, "\u00e9" * 43])
async def test_a_made_up_cookie_is_no_session(world: Surfing, value: str) -> None:
    browser = world.browser()
    browser.cookies[TLS.cookie] = value
    assert location(await browser.get()).startswith(world.issuer.iss)
    assert (await browser.get(accept="*/*")).status == 401


async def test_two_cookies_of_one_name_are_no_session(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    for cookie in (f"{browser.cookie}; {TLS.cookie}=x", f"{TLS.cookie}=x; {browser.cookie}"):
        for accept in ("text/html", "*/*"):
            answer = await browser.get(cookie=cookie, accept=accept)
            assert (answer.action, answer.status, answer.reason) == ("deny", 400, "malformed")


async def test_an_address_of_ours_that_means_nothing_is_not_qs(world: Surfing) -> None:
    answer = await world.browser().get("/.sessiond/other", accept="*/*")
    assert (answer.action, answer.status) == ("deny", 404)


async def test_a_bearers_answer_lets_in_for_as_long_as_it_may_be_kept(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    (active,) = await world.sessions()
    answer = world.web.bearer_allowed(active)
    assert (answer.action, answer.active, answer.signout) == ("allow", active, "")
    assert answer.keep == timedelta(seconds=60)
    world.settings.now = WebSettings(idle=timedelta(seconds=50))
    assert world.web.bearer_allowed(active).keep == timedelta(seconds=5)


async def test_a_bearer_who_must_sign_in_otherwise_is_told_what_the_process_asks(
    world: Surfing,
) -> None:
    world.configure(access=AccessRules(ceilings=(Ceiling(name="rdb*", acr=("mfa",)),)))
    answer = world.web.bearer_denied(Refusal.STEPUP, process_about())
    assert 'acr_values="mfa"' in header(answer, "WWW-Authenticate")


async def test_a_fault_of_ours_is_a_page_and_keeps_nobody_else_from_the_process(
    world: Surfing,
) -> None:
    world.settings.now = WebSettings(bases=(TLS,), clients={"corp": None})  # type: ignore[dict-item]
    answer = await world.browser().get()
    assert (answer.action, answer.status) == ("deny", 503)
    assert world.table.containment.failures == {("web request", "rdb100"): 1}


async def test_a_table_that_cannot_be_asked_is_a_page(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    world.table.table.close()
    await world.clock.settle()
    assert (await browser.get()).status == 503


class TestOrigins:
    """A cookie counts for the base's own pages, whatever a browser brings along."""

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", OTHER.url, "http://gateway.example:5007"]
    )
    async def test_another_origins_request_is_refused(self, world: Surfing, origin: str) -> None:
        browser = world.browser()
        await browser.sign_in()
        answer = await browser.get(origin=origin)
        assert (answer.action, answer.status, answer.reason) == ("deny", 403, "notallowed")

    async def test_the_bases_own_is_let_in(self, world: Surfing) -> None:
        browser = world.browser()
        await browser.sign_in()
        assert (await browser.get(origin=TLS.url, accept="")).action == "allow"

    async def test_without_a_cookie_q_asks_for_a_password(self, world: Surfing) -> None:
        assert await world.browser().get(origin="https://evil.example", accept="*/*") == BASIC

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    async def test_a_link_of_another_site_evaluates_nothing_before_a_click(
        self, world: Surfing, site: str
    ) -> None:
        browser = world.browser()
        await browser.sign_in()
        answer = await browser.get("/?delete trades", site=site)
        assert (answer.action, answer.status, answer.reason) == ("deny", 403, "notallowed")
        (href,) = re.findall(r'href="([^"]*delete[^"]*)"', answer.body)
        assert href == "https://gateway.example:5007/?delete%20trades"
        assert (await browser.get("/?delete%20trades", site="same-origin")).action == "allow"

    @pytest.mark.parametrize("target", ["/%3Fdelete", "/%3fdelete", "/%253Fdelete", "/%3Gdelete"])
    async def test_nor_does_one_whose_question_mark_is_escaped(
        self, world: Surfing, target: str
    ) -> None:
        browser = world.browser()
        await browser.sign_in()
        assert (await browser.get(target, site="cross-site")).status == 403
        assert (await browser.get(target, site="same-origin")).action == "allow"

    @pytest.mark.parametrize("site", ["", "none", "same-origin"])
    async def test_a_persons_own_request_is_let_in(self, world: Surfing, site: str) -> None:
        browser = world.browser()
        await browser.sign_in()
        assert (await browser.get("/?trades", site=site)).action == "allow"

    async def test_a_link_without_a_query_is_let_in(self, world: Surfing) -> None:
        browser = world.browser()
        await browser.sign_in()
        for target in ("/report.html", "/a%20report.html", "/"):
            assert (await browser.get(target, site="cross-site")).action == "allow"


class TestArrival:
    """A browser that comes from its sign-in goes where its user himself wanted to be."""

    async def test_what_was_asked_for_himself_needs_no_click(self, world: Surfing) -> None:
        browser = world.browser()
        await browser.sign_in("alice", "/?trades")
        assert (await browser.get("/?trades", site="cross-site")).action == "allow"
        assert (await browser.get("/?other", site="cross-site")).status == 403

    async def test_what_another_site_has_thought_of_does(self, world: Surfing) -> None:
        browser = world.browser()
        begun = await browser.get("/?delete trades", site="cross-site")
        back = await browser.get(world.issuer.signs_in(location(begun)), site="cross-site")
        assert (back.action, back.status) == ("deny", 403)
        assert 'href="https://gateway.example:5007/?delete%20trades"' in back.body
        assert (await browser.get("/", site="cross-site")).action == "allow"
        assert (await browser.get("/?delete%20trades", site="cross-site")).status == 403

    @pytest.mark.parametrize("target", ["/?delete%20trades", "/%3Fdelete%20trades"])
    async def test_nor_does_a_page_of_ours_that_asks_again_make_it_meant(
        self, world: Surfing, target: str
    ) -> None:
        browser = world.browser()
        begun = await browser.get(target, site="cross-site")
        back = world.issuer.signs_in(location(begun))
        answer = await browser.get(back, site="same-origin")  # as its Refresh does
        assert (answer.status, headers(answer, "Location")) == (403, [])

    async def test_so_it_is_with_an_escaped_question_mark(self, world: Surfing) -> None:
        browser = world.browser()
        await browser.sign_in("alice", "/%3Ftrades")
        assert (await browser.get("/%3Ftrades", site="cross-site")).action == "allow"
        assert (await browser.get("/%3Fother", site="cross-site")).status == 403

    async def test_it_is_for_this_session_alone(self, world: Surfing) -> None:
        browser, thief = world.browser(), world.browser()
        await browser.sign_in("alice", "/?trades")
        await thief.sign_in("mallory", "/?trades")
        name = f"{TLS.cookie}-arrival"
        browser.cookies[name] = thief.cookies[name]
        assert (await browser.get("/?trades", site="cross-site")).status == 403

    async def test_two_of_them_are_none(self, world: Surfing) -> None:
        browser = world.browser()
        await browser.sign_in("alice", "/?trades")
        cookie = f"{browser.cookie}; {TLS.cookie}-arrival=x"
        assert (await browser.get("/?trades", site="cross-site", cookie=cookie)).status == 400

    async def test_it_may_be_loaded_again_for_as_long_as_the_browser_is_open(
        self, world: Surfing
    ) -> None:
        browser = world.browser()
        back = await browser.sign_in("alice", "/?trades")
        (kept,) = [each for each in headers(back, "Set-Cookie") if "-arrival=" in each]
        assert kept.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
        assert "Max-Age" not in kept
        for _ in range(2):  # a reload names the site again that had sent the browser
            assert (await browser.get("/?trades", site="cross-site")).action == "allow"
        await browser.sign_in("alice", "/.sessiond/signin?issuer=corp&to=/")
        assert (await browser.get("/?trades", site="cross-site")).status == 403


class TestOtherBases:
    """A cookie is good at the base and the process that it was made for, and nowhere else."""

    async def test_a_cookie_of_another_host_is_no_session(self, world: Surfing) -> None:
        browser = world.browser()
        await browser.sign_in()
        far = world.browser(FAR)
        far.cookies[FAR.cookie] = browser.cookies[TLS.cookie]
        assert location(await far.get()).startswith(world.issuer.iss)

    async def test_a_cookie_of_another_port_is_no_session_under_either_name(
        self, world: Surfing
    ) -> None:
        browser = world.browser()
        await browser.sign_in()
        there = browser.at(OTHER)
        assert location(await there.get()).startswith(world.issuer.iss)
        there.cookies[OTHER.cookie] = browser.cookies[TLS.cookie]
        assert location(await there.get()).startswith(world.issuer.iss)

    async def test_a_cookie_at_another_process_is_no_session(self, world: Surfing) -> None:
        browser = world.browser()
        await browser.sign_in()
        assert location(await browser.at(TLS, pid=200).get()).startswith(world.issuer.iss)


@pytest.mark.parametrize("is_on", [False, True])
async def test_pages_are_got_ready_where_people_sign_in(
    world: Surfing, monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    prepared = list[bool]()
    monkeypatch.setattr("sessiond.web.pages.prepare", lambda: prepared.append(True))
    settings = world.settings.now if is_on else WebSettings()
    web = Web(replace(world.services, settings=lambda: settings))
    web.stop()
    await web.run()
    assert prepared == [True] * is_on


async def test_what_nobody_has_come_for_ends_as_the_room_does(world: Surfing) -> None:
    browser = world.browser()
    world.issuer.held = anyio.Event()
    target = world.issuer.signs_in(location(await browser.get()))
    await while_time_passes(world, partial(browser.get, target), seconds=0.3)
    world.issuer.held.set()
    await world.clock.settle()
    assert len(await world.sessions()) == 1
    world.web.stop()
    await world.clock.settle()
    assert await world.sessions() == []
