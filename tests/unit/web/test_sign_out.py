"""A person signs out by his own session's address, and by no other."""

import re

import pytest

from tests.unit.web.browsing import OTHER, TLS, Browser, Surfing, headers, location

pytestmark = pytest.mark.anyio

OUT = "/.sessiond/signout"


async def signed_in(world: Surfing, name: str = "alice") -> tuple[Browser, str]:
    """Return a browser with a session, and the target that ends it."""
    browser = world.browser()
    await browser.sign_in(name)
    answer = await browser.get()
    assert answer.signout.startswith(TLS.url + OUT)
    return browser, answer.signout.removeprefix(TLS.url)


async def test_the_session_ends_and_the_browser_forgets_it(world: Surfing) -> None:
    browser, out = await signed_in(world)
    answer = await browser.get(out)
    assert location(answer) == "https://gateway.example:5007/.sessiond/callback"
    assert await world.sessions() == []
    assert browser.cookies == {}
    assert headers(answer, "Set-Cookie") == [
        "__Host-sessiond-5007=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure"
    ]
    assert world.table.store.events[-1].kind == "session.closed"
    assert "You are signed out" in (await browser.get("/.sessiond/callback")).body


async def test_the_issuer_signs_the_person_out_too_where_it_can(world: Surfing) -> None:
    world.issuer.end_session = "https://login.example.com/logout"
    browser, out = await signed_in(world)
    assert location(await browser.get(out)) == (
        "https://login.example.com/logout?post_logout_redirect_uri="
        "https%3A%2F%2Fgateway.example%3A5007%2F.sessiond%2Fcallback"
    )


async def test_an_issuer_that_is_away_keeps_nobody_signed_in(world: Surfing) -> None:
    browser, out = await signed_in(world)
    world.issuer.is_away = True
    assert location(await browser.get(out)) == TLS.callback
    assert await world.sessions() == []


async def test_a_full_disk_keeps_nobody_signed_in(world: Surfing) -> None:
    browser, out = await signed_in(world)
    world.table.store.failing = 1
    assert location(await browser.get(out)) == TLS.callback
    assert browser.cookies == {}
    assert await world.sessions() == []
    assert location(await browser.get()).startswith(world.issuer.iss)


async def test_a_table_that_is_closing_signs_nobody_out(world: Surfing) -> None:
    browser, out = await signed_in(world)
    world.table.table.close()
    assert (await browser.get(out)).status == 503


async def test_an_issuer_that_signs_nobody_in_any_more_is_not_asked(world: Surfing) -> None:
    browser, out = await signed_in(world)
    world.use_issuers(type(world.issuer)(issuer="other", end_session="https://other.example/"))
    assert location(await browser.get(out)) == TLS.callback


@pytest.mark.parametrize("mark", ["", "?t=", "?t=x", "?t=\u00e9", "?x=1", f"?t={'0' * 64}"])
async def test_another_address_signs_nobody_out(world: Surfing, mark: str) -> None:
    browser, _ = await signed_in(world)
    answer = await browser.get(OUT + mark)
    assert (answer.action, answer.status, answer.reason) == ("deny", 403, "notallowed")
    assert (await browser.get()).action == "allow"


async def test_the_address_of_another_session_signs_nobody_out(world: Surfing) -> None:
    browser, _ = await signed_in(world)
    _, others = await signed_in(world, "mallory")
    assert (await browser.get(others)).status == 403
    assert len(await world.sessions()) == 2


async def test_the_address_without_the_cookie_signs_nobody_out(world: Surfing) -> None:
    browser, out = await signed_in(world)
    assert location(await world.browser().get(out)) == TLS.callback
    assert location(await browser.at(OTHER).get(out)) == OTHER.callback
    assert location(await browser.at(TLS, pid=200).get(out)) == TLS.callback
    assert len(await world.sessions()) == 1


async def test_a_second_time_it_is_the_page_after_a_sign_out(world: Surfing) -> None:
    browser, out = await signed_in(world)
    cookie = browser.cookie
    await browser.get(out)
    assert location(await browser.get(out, cookie=cookie)) == TLS.callback


async def test_two_marks_or_two_cookies_are_none(world: Surfing) -> None:
    browser, out = await signed_in(world)
    assert (await browser.get(f"{out}&t=x")).status == 400
    assert (await browser.get(out, cookie=f"{browser.cookie}; {TLS.cookie}=x")).status == 400
    assert len(await world.sessions()) == 1


async def test_a_mark_says_nothing_of_its_session(world: Surfing) -> None:
    _, out = await signed_in(world)
    assert re.fullmatch(r"/\.sessiond/signout\?t=[0-9a-f]{64}", out)
