"""An issuer that hangs holds no q process: whoever asks is answered soon, whatever he asks."""

from functools import partial

import pytest

from sessiond.web.at_once import PATIENCE
from tests.unit.web.browsing import (
    TLS,
    Surfing,
    header,
    location,
    while_time_passes,
)

pytestmark = pytest.mark.anyio


async def test_who_wants_to_sign_in_is_told_to_come_again(world: Surfing) -> None:
    world.issuer.hangs = True
    ask = partial(world.browser().get, "/page")
    answer = await while_time_passes(world, ask, seconds=PATIENCE)
    assert (answer.action, answer.status, answer.reason) == ("deny", 503, "unavailable")
    assert header(answer, "Retry-After") == "5"


async def test_a_callback_may_be_brought_again(world: Surfing) -> None:
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    world.issuer.hangs = True
    answer = await while_time_passes(world, partial(browser.get, target), seconds=PATIENCE)
    assert (answer.status, answer.reason) == (503, "unavailable")
    world.issuer.hangs = False
    assert location(await browser.get(target))


async def test_a_sign_out_ends_here(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    out = (await browser.get()).signout.removeprefix(TLS.url)
    world.issuer.hangs = True
    answer = await while_time_passes(world, partial(browser.get, out), seconds=PATIENCE)
    assert location(answer) == TLS.callback
    assert await world.sessions() == []
