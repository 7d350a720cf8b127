"""What an issuer sends back ends one sign-in, in the browser that began it, once."""

from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.core.errors import SignInRefused
from sessiond.web.answer import Answer
from sessiond.web.callback import MAX_CODE, MAX_WAITED_FOR
from tests.unit.web.browsing import (
    TLS,
    IssuerPages,
    Surfing,
    callback,
    header,
    headers,
    location,
    while_time_passes,
)

pytestmark = pytest.mark.anyio


async def test_the_session_is_for_this_browser_and_its_sign_in_is_over(world: Surfing) -> None:
    browser = world.browser()
    back = await browser.sign_in()
    session, over = headers(back, "Set-Cookie")
    name, _, rest = session.partition("=")
    assert name == "__Host-sessiond-5007"
    assert rest[43:] == "; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert over.startswith("__Host-sessiond-5007-signin-")
    assert over.endswith("=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert list(browser.cookies) == [TLS.cookie]


async def test_each_sign_in_has_a_cookie_of_its_own(world: Surfing) -> None:
    browser = world.browser()
    values = set()
    for _ in range(3):
        await browser.sign_in(target="/.sessiond/signin?issuer=corp&to=/")
        values.add(browser.cookies[TLS.cookie])
    assert len(values) == 3


async def test_without_parameters_it_is_the_page_after_a_sign_out(world: Surfing) -> None:
    for target in ("/.sessiond/callback", ".sessiond/callback", "/.sessiond/callback?"):
        answer = await world.browser().get(target)
        assert (answer.action, answer.status) == ("deny", 200)
        assert "You are signed out" in answer.body


async def slowly(world: Surfing, browser: Any) -> tuple[str, Answer]:
    """Begin a sign-in whose code takes long; return the callback, and its first answer."""
    world.issuer.held = anyio.Event()
    target = world.issuer.signs_in(location(await browser.get("/page")))
    return target, await while_time_passes(world, partial(browser.get, target), seconds=0.3)


async def test_a_process_waits_for_few_sign_ins_at_a_time(world: Surfing) -> None:
    for _ in range(MAX_WAITED_FOR):
        await slowly(world, world.browser())
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get("/page")))
    answer = await browser.get(target)  # at once: no time passes
    assert (answer.status, header(answer, "Refresh")) == (202, "1")


async def test_one_that_takes_long_is_answered_by_a_page_that_asks_again(world: Surfing) -> None:
    browser = world.browser()
    target, answer = await slowly(world, browser)
    assert (answer.action, answer.status, answer.reason) == ("deny", 202, "")
    assert header(answer, "Refresh") == "1"
    assert headers(answer, "Set-Cookie") == []
    assert (await browser.get(target)).status == 202  # at once: q has waited for it
    assert world.issuer.held is not None
    world.issuer.held.set()
    await world.clock.settle()
    assert location(await browser.get(target)) == "https://gateway.example:5007/page"
    assert len(world.issuer.spent) == 1
    assert len(await world.sessions()) == 1


async def test_it_is_answered_before_the_deadline_of_its_call(world: Surfing) -> None:
    browser = world.browser()
    browser.patience = 0.1
    world.issuer.held = anyio.Event()
    target = world.issuer.signs_in(location(await browser.get()))
    answer = await while_time_passes(world, partial(browser.get, target), seconds=0.1)
    assert answer.status == 202
    browser.patience = -1.0
    assert (await browser.get(target)).status == 202


async def test_what_nobody_collects_within_a_minute_ends(world: Surfing) -> None:
    browser = world.browser()
    target, _ = await slowly(world, browser)
    assert world.issuer.held is not None
    world.issuer.held.set()
    await world.clock.advance(59)
    assert len(await world.sessions()) == 1
    await world.clock.advance(2)
    assert await world.sessions() == []
    assert world.table.store.events[-1].kind == "session.closed"
    assert (await browser.get(target)).status == 403


async def test_what_takes_more_than_a_minute_is_given_up(world: Surfing) -> None:
    browser = world.browser()
    target, _ = await slowly(world, browser)
    await world.clock.advance(60)
    answer = await browser.get(target)
    assert (answer.status, answer.reason) == (503, "unavailable")
    assert await world.sessions() == []


@pytest.mark.parametrize("iss", [None, "https://evil.example/", ""])
async def test_an_answer_of_another_issuer_is_refused_and_its_code_not_sent(
    world: Surfing, iss: str | None
) -> None:
    world.issuer.states_iss = True
    browser = world.browser()
    begun = await browser.get()
    world.issuer.states_iss = False  # so that the answer has none
    target = world.issuer.signs_in(location(begun), **({} if iss is None else {"iss": iss}))
    world.issuer.states_iss = True
    with capture_logs() as lines:
        answer = await browser.get(target)
    assert (answer.status, answer.reason) == (403, "wrongissuer")
    assert world.issuer.spent == []
    assert browser.cookies == {}
    assert [line["reason"] for line in lines if line["event"] == "sign-in"] == ["wrongissuer"]


async def test_its_own_name_is_taken(world: Surfing) -> None:
    world.issuer.states_iss = True
    assert location(await world.browser().sign_in())


async def test_an_issuer_whose_metadata_is_away_may_be_asked_again(world: Surfing) -> None:
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    world.issuer.is_away = True
    assert (await browser.get(target)).status == 503
    world.issuer.is_away = False
    assert location(await browser.get(target))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("access_denied", "did not let you in"),
        ("login_required", "wants you to sign in"),
        ("temporarily_unavailable", "trouble of its own"),
        ("invalid_scope", "this word: invalid_scope"),
        ("<script>", "an error that is not known here"),
    ],
)
async def test_an_error_of_the_issuers_is_said_to_the_person(
    world: Surfing, error: str, words: str
) -> None:
    browser = world.browser()
    state = any_state(location(await browser.get("/page")))
    with capture_logs() as lines:
        answer = await browser.get(callback(state=state, error=error, error_description="<b>x"))
    assert (answer.action, answer.status, answer.reason) == ("deny", 403, "inactive")
    assert words in answer.body
    assert "<script>" not in answer.body
    assert "<b>" not in answer.body
    assert 'href="https://gateway.example:5007/page"' in answer.body
    assert browser.cookies == {}
    (line,) = (each for each in lines if each["event"] == "sign-in")
    assert error in line["detail"]
    assert (await browser.get(callback(state=state, code="x"))).status == 403
    assert world.issuer.spent == []


def any_state(url: str) -> str:
    return url.partition("state=")[2].partition("&")[0]


@pytest.mark.parametrize("code", ["", "a b\x00", "\u00e9", "a" * (MAX_CODE + 1)])
async def test_what_is_no_code_is_not_sent(world: Surfing, code: str) -> None:
    browser = world.browser()
    state = any_state(location(await browser.get()))
    assert (await browser.get(callback(state=state, code=code))).status == 403
    assert world.issuer.spent == []


async def test_a_code_that_the_issuer_refuses_is_a_page(world: Surfing) -> None:
    world.issuer.refuses = SignInRefused("invalid_grant")
    browser = world.browser()
    answer = await browser.sign_in(target="/page")
    assert (answer.status, answer.reason) == (403, "inactive")
    assert "used already, or took too long" in answer.body
    assert browser.cookies == {}


async def test_an_issuer_that_is_configured_no_more_is_not_asked(world: Surfing) -> None:
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    world.use_issuers(IssuerPages(issuer="other"))
    answer = await browser.get(target)
    assert (answer.status, answer.reason) == (403, "expired")
    assert browser.cookies == {}
    world.use_issuers(world.issuer)
    assert (await browser.get(target)).status == 403
    assert world.issuer.spent == []


async def test_after_ten_minutes_it_is_over(world: Surfing) -> None:
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    await world.clock.advance(timedelta(minutes=10))
    assert (await browser.get(target)).status == 403
    assert world.issuer.spent == []


async def test_a_browser_that_asks_twice_at_once_has_its_code_sent_once(world: Surfing) -> None:
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    answers = list[Answer]()

    async def ask() -> None:
        answers.append(await browser.get(target, cookie=cookie))

    cookie = browser.cookie
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
    assert sorted(each.status for each in answers) == [202, 302]
    assert (await browser.get(target, cookie=cookie)).status == 403
    assert len(world.issuer.spent) == 1


@pytest.mark.parametrize("is_collected", [False, True])
async def test_nor_is_it_sent_twice_by_one_that_waited_for_metadata(
    world: Surfing, is_collected: bool
) -> None:
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    cookie, answers, held = browser.cookie, list[Answer](), anyio.Event()
    world.issuer.metadata, ready = held, world.issuer.metadata

    async def ask() -> None:
        answers.append(await browser.get(target, cookie=cookie))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await world.clock.settle()
        world.issuer.metadata = ready
        if is_collected:
            await ask()
        else:
            world.issuer.held = anyio.Event()
            tasks.start_soon(ask)
            await world.clock.settle()
            world.issuer.held.set()
        held.set()
    assert sorted(each.status for each in answers) == [302, 403] if is_collected else [202, 302]
    assert len(world.issuer.spent) == 1


async def test_without_room_the_browser_asks_again(
    world: Surfing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond.web.finishing.MAX_OF_PROCESS", 0)
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    answer = await browser.get(target)
    assert (answer.action, answer.status, answer.reason) == ("deny", 503, "throttled")
    assert header(answer, "Refresh") == "2"
    monkeypatch.undo()
    assert location(await browser.get(target))


@pytest.mark.parametrize("query", ["state=a&state=b", "code=a&code=b&state=x"])
async def test_what_says_a_thing_twice_is_not_read(world: Surfing, query: str) -> None:
    assert (await world.browser().get(f"/.sessiond/callback?{query}")).status == 400


async def test_whoever_is_signed_in_goes_on_from_an_old_callback(world: Surfing) -> None:
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    await browser.get(target)
    assert location(await browser.get(target)) == "https://gateway.example:5007/"
