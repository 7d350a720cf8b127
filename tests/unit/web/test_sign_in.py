"""A browser is sent to its issuer with what has to be known again, and nothing is kept here."""

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest

from sessiond.core.access import AccessRules, Ceiling
from sessiond.web.transaction import Transaction
from tests.unit.web.browsing import (
    PLAIN,
    TLS,
    Browser,
    IssuerPages,
    Surfing,
    header,
    headers,
    location,
)

pytestmark = pytest.mark.anyio

LAB = IssuerPages(issuer="lab & co", iss="https://lab.example/")


def begun(browser: Browser, slot: int = 0) -> Transaction:
    services = browser.surfing.services
    transaction = Transaction.sent(
        browser.cookie, browser.base, slot, services.sealing(), now=services.clock.now()
    )
    assert transaction is not None
    return transaction


def any_begun(browser: Browser) -> Transaction:
    (slot,) = (name[-1] for name in browser.cookies)
    return begun(browser, int(slot))


async def test_the_issuer_is_asked_for_this_sign_in_and_no_other(world: Surfing) -> None:
    browser = world.browser()
    answer = await browser.get("/page")
    (asked,) = world.issuer.asked.values()
    transaction = any_begun(browser)
    assert location(answer) == f"https://login.example.com/authorize?state={asked.state}&x=a+b"
    assert asked.redirect_uri == "https://gateway.example:5007/.sessiond/callback"
    assert (asked.state, asked.nonce) == (transaction.state, transaction.nonce)
    assert asked.verifier.same_as(transaction.verifier)
    assert (asked.max_age, asked.acr_values) == (None, ())
    assert len({asked.state[1:], asked.nonce, asked.verifier.reveal()}) == 3
    assert all(len(each) == 43 for each in (asked.nonce, asked.verifier.reveal()))


async def test_what_is_begun_goes_with_the_browser_for_ten_minutes(world: Surfing) -> None:
    answer = await world.browser().get()
    kept = header(answer, "Set-Cookie")
    assert re.fullmatch(
        r"__Host-sessiond-5007-signin-[0-3]=[\w-]+; Max-Age=600; Path=/; HttpOnly; SameSite=Lax; "
        "Secure",
        kept,
    )
    plain = header(await world.browser(PLAIN).get(), "Set-Cookie")
    assert "Secure" not in plain
    assert "__Host-" not in plain


async def test_what_the_process_asks_of_people_the_issuer_is_asked_for(world: Surfing) -> None:
    ceiling = Ceiling(name="rdb*", max_age=timedelta(minutes=5), acr=("mfa", "c2"))
    world.configure(access=AccessRules(ceilings=(ceiling,)))
    await world.browser().get()
    (asked,) = world.issuer.asked.values()
    assert (asked.max_age, asked.acr_values) == (300, ("mfa", "c2"))


async def test_a_ceiling_that_asks_nothing_of_people_asks_nothing(world: Surfing) -> None:
    world.configure(access=AccessRules(ceilings=(Ceiling(),)))
    await world.browser().get()
    (asked,) = world.issuer.asked.values()
    assert (asked.max_age, asked.acr_values) == (None, ())


async def test_four_tabs_sign_in_side_by_side(world: Surfing) -> None:
    browser = world.browser()
    tabs = [await browser.get(f"/{number}") for number in range(4)]
    assert len(browser.cookies) == 4
    for number, tab in reversed(list(enumerate(tabs))):
        back = await browser.get(world.issuer.signs_in(location(tab)))
        assert location(back) == f"https://gateway.example:5007/{number}"


async def test_a_fifth_takes_the_place_of_the_first(world: Surfing) -> None:
    browser = world.browser()
    tabs = []
    for number in range(5):
        await world.clock.advance(1)
        tabs.append(await browser.get(f"/{number}"))
    assert len(browser.cookies) == 4
    first, *others = tabs
    assert (await browser.get(world.issuer.signs_in(location(first)))).status == 403
    for tab in others:
        assert (await browser.get(world.issuer.signs_in(location(tab)))).status == 302


async def test_tabs_that_are_opened_together_seldom_have_one_place(world: Surfing) -> None:
    draws = iter([0.0, 0.26, 0.51, 0.999])
    world.web = type(world.web)(replace(world.services, draw=lambda: next(draws)))
    browser = world.browser()
    names = Counter[str]()
    for _ in range(4):  # none of them has a cookie yet
        kept = header(await browser.get(cookie=""), "Set-Cookie")
        names[kept.partition("=")[0][-1]] += 1
    assert names == Counter("0123")


async def test_a_cookie_that_does_not_open_leaves_its_place(world: Surfing) -> None:
    browser = world.browser()
    browser.cookies.update({f"{TLS.cookie}-signin-{slot}": "spoilt" for slot in range(4)})
    await browser.get()
    values = [*browser.cookies.values()]
    assert values.count("spoilt") == 3


async def test_an_issuer_that_is_away_is_a_page_that_says_so(world: Surfing) -> None:
    world.issuer.is_away = True
    answer = await world.browser().get("/page")
    assert (answer.action, answer.status, answer.reason) == ("deny", 503, "unavailable")
    assert header(answer, "Retry-After") == "5"
    assert 'href="https://gateway.example:5007/page"' in answer.body
    assert headers(answer, "Set-Cookie") == []


async def test_of_several_issuers_the_person_chooses(world: Surfing) -> None:
    world.use_issuers(world.issuer, LAB)
    browser = world.browser()
    page = await browser.get("/page?x=1&y=\u00e9")
    assert (page.action, page.status, page.reason) == ("deny", 200, "")
    links = [each.replace("&amp;", "&") for each in re.findall(r'href="([^"]*)"', page.body)]
    assert len(links) == 2
    assert headers(page, "Set-Cookie") == []
    target = links[1].removeprefix(TLS.url)
    begun = await browser.get(target, site="same-origin")
    assert location(begun).startswith(LAB.iss)
    assert any_begun(browser).way_back == "/page?x=1&y=%C3%A9"
    assert any_begun(browser).issuer == "lab & co"
    assert any_begun(browser).is_meant


async def test_a_choice_that_is_none_is_asked_again(world: Surfing) -> None:
    page = await world.browser().get("/.sessiond/signin?issuer=<b>&to=/x")
    assert page.status == 200
    assert "<b>" not in page.body
    assert "issuer=corp&amp;to=%2Fx" in page.body


async def test_the_way_back_of_a_choice_stays_at_the_base(world: Surfing) -> None:
    browser = world.browser()
    for to in ("//evil.example", "https://evil.example/", "/.sessiond/signout?t=1", "\\\\evil"):
        browser.cookies.clear()
        await browser.get(f"/.sessiond/signin?issuer=corp&to={quote(to, safe='')}")
        assert any_begun(browser).way_back in (
            "/evil.example",
            "/https://evil.example/",
            "/",
            "/evil",
        )


async def test_two_choices_are_none(world: Surfing) -> None:
    answer = await world.browser().get("/.sessiond/signin?issuer=corp&issuer=lab")
    assert answer.status == 400


async def test_without_a_way_back_it_is_the_front_page(world: Surfing) -> None:
    browser = world.browser()
    await browser.get("/.sessiond/signin?issuer=corp")
    assert any_begun(browser).way_back == "/"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_choice_makes_nothing_meant_that_another_site_has_thought_of(
    world: Surfing, site: str
) -> None:
    world.use_issuers(world.issuer, LAB)
    browser = world.browser()
    page = await browser.get("/?delete trades", site=site)
    link = re.findall(r'href="([^"]*)"', page.body)[0].replace("&amp;", "&")
    await browser.get(link.removeprefix(TLS.url), site="same-origin")
    assert not any_begun(browser).is_meant
    browser.cookies.clear()
    await browser.get("/.sessiond/signin?issuer=corp&to=/?delete", site=site)
    assert not any_begun(browser).is_meant
