"""A cookie is known again, used, and good for its own session's address alone."""

import pytest

from sessiond.core.secret import Secret
from sessiond.web.browser_session import BrowserSessions
from tests.fakes import HOUR
from tests.unit.web.browsing import OTHER, TLS, Surfing

pytestmark = pytest.mark.anyio


async def test_a_use_prolongs_what_a_look_does_not(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    (before,) = await world.sessions()
    await world.clock.advance(HOUR / 2)
    await browser.get("/.sessiond/signout?t=wrong")
    (looked,) = await world.sessions()
    assert looked.session.until == before.session.until
    await browser.get()
    (used,) = await world.sessions()
    assert before.session.until is not None
    assert used.session.until == before.session.until + HOUR / 2


async def test_hashes_of_different_purposes_are_no_ones_but_theirs(world: Surfing) -> None:
    services = world.services
    hashes = {services.hash_of(each, "x") for each in ("cookie", "state", "signout", "arrival")}
    assert len(hashes | {services.hashed(Secret("x"))}) == 5


async def test_each_base_has_its_own_address(world: Surfing) -> None:
    await world.browser().sign_in()
    (active,) = await world.sessions()
    sessions = BrowserSessions(world.services)
    one, other = sessions.sign_out_url(active, TLS), sessions.sign_out_url(active, OTHER)
    assert one.removeprefix(TLS.url) == other.removeprefix(OTHER.url)
    assert sessions.is_sign_out_of(active, one.partition("t=")[2])
