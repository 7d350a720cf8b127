"""A cookie is known again, used, and good for its own session's address alone."""

from dataclasses import replace
from typing import TypeVar

import pytest

from sessiond.core.changes import SignOut
from sessiond.core.queries import FindWeb, Request
from sessiond.core.secret import Secret
from sessiond.web.browser_session import BrowserSessions
from sessiond.web.web import Web
from tests.fakes import HOUR, process_key
from tests.unit.web.browsing import OTHER, TLS, Surfing, location

A = TypeVar("A")

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


async def test_a_session_that_ends_while_it_is_looked_up_lets_nobody_in(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    (active,) = await world.sessions()

    class Ending:
        """The table, where a sign-out comes between a look and a use."""

        note_refusal = world.services.table.note_refusal

        async def ask(self, request: Request[A]) -> A:
            answer = await world.services.table.ask(request)
            if isinstance(request, FindWeb):
                await world.services.table.ask(
                    SignOut(process=process_key(), session=active.session.id)
                )
            return answer

    world.web = Web(replace(world.services, table=Ending()))
    assert location(await browser.get()).startswith(world.issuer.iss)


async def test_a_full_disk_takes_nothing_from_who_is_in(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    (before,) = await world.sessions()
    await world.clock.advance(HOUR / 2)
    world.table.store.failing = 1
    assert (await browser.get()).action == "allow"
    (after,) = await world.sessions()
    assert after.session.until == before.session.until
    assert (await browser.get()).action == "allow"
    (used,) = await world.sessions()
    assert before.session.until is not None
    assert used.session.until == before.session.until + HOUR / 2


async def test_a_table_that_is_closing_lets_nobody_in(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    world.table.table.close()
    assert (await browser.get()).status == 503


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
