"""A code becomes a session on disk, or a page that says why not."""

from datetime import timedelta

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.grant import Grant
from sessiond.gate import Issued
from tests.fakes import table_settings
from tests.unit.web.browsing import Surfing, location

pytestmark = pytest.mark.anyio


async def test_the_session_is_the_persons_with_the_web_clients_grant(world: Surfing) -> None:
    browser = world.browser()
    with capture_logs() as lines:
        await browser.sign_in("alice")
    (active,) = await world.sessions()
    session = active.session
    assert (session.principal.name, session.handle, session.state) == ("alice", 0, "web")
    (grant,) = (row for row in world.table.store.rows.values() if isinstance(row, Grant))
    assert (grant.client, grant.proven) == ("kdb-web", True)
    (refresh,) = world.table.store.refresh_tokens.values()
    assert refresh.reveal().startswith("refresh-of-alice")
    (line,) = (each for each in lines if each["event"] == "sign-in")
    assert line == {
        "event": "sign-in",
        "log_level": "info",
        "outcome": "accepted",
        "user": "alice",
        "process": "rdb100",
        "issuer": "corp",
        "session": str(session.id),
    }


async def test_the_gate_is_told_who_gave_us_the_tokens(world: Surfing) -> None:
    await world.browser().sign_in()
    assert world.gate.asked == [Issued(issuer="corp", client="kdb-web", expires_in=3600.0)]


async def test_the_cookie_is_kept_as_an_hmac_alone(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    value = browser.cookies[browser.base.cookie]
    assert value not in repr(world.table.store.rows)


async def test_without_a_refresh_token_the_issuer_is_asked_again(world: Surfing) -> None:
    world.issuer.has_refresh = False
    await world.browser().sign_in()
    ((_, issuer, access),) = world.refresher.held
    assert issuer == "corp"
    assert access.startswith("access-of-alice")


async def test_with_one_it_is_not(world: Surfing) -> None:
    await world.browser().sign_in()
    assert world.refresher.held == []


@pytest.mark.parametrize("reason", Refusal)
async def test_tokens_that_are_refused_are_a_page_and_an_event(
    world: Surfing, reason: Refusal
) -> None:
    world.gate.rejects = TokenRejected(reason, "this, wanted that: do so")
    browser = world.browser()
    with capture_logs() as lines:
        answer = await browser.sign_in()
    assert (answer.action, answer.status, answer.reason) == ("deny", 403, reason.value)
    assert await world.sessions() == []
    assert browser.cookies == {}
    (line,) = (each for each in lines if each["event"] == "sign-in")
    assert (line["outcome"], line["reason"]) == ("refused", reason.value)
    await world.clock.advance(1)
    assert [(each.kind, each.reason) for each in world.table.store.events] == [  # type: ignore[union-attr]
        ("login.refused", reason)
    ]


@pytest.mark.parametrize(
    ("reason", "leads_out"),
    [
        (Refusal.NOROLES, True),
        (Refusal.NOTALLOWED, True),
        (Refusal.REVOKED, True),
        (Refusal.USERMISMATCH, True),
        (Refusal.STEPUP, False),
        (Refusal.WRONGAUDIENCE, False),
    ],
)
async def test_who_came_with_the_wrong_account_is_led_to_another(
    world: Surfing, reason: Refusal, leads_out: bool
) -> None:
    """To sign in again is answered by the issuer with the account that it remembers."""
    world.issuer.end_session = "https://login.example.com/logout"
    world.gate.rejects = TokenRejected(reason, "this, wanted that: do so")
    answer = await world.browser().sign_in()
    assert ("https://login.example.com/logout?" in answer.body) is leads_out


async def test_sign_ins_are_counted_as_they_begin_and_as_they_are_over(world: Surfing) -> None:
    browser = world.browser()
    await browser.sign_in()
    world.gate.rejects = TokenRejected(Refusal.NOROLES, "this, wanted that: do so")
    await world.browser().sign_in()
    registry = world.services.metrics.registry
    assert [
        registry.get_sample_value(
            "sessiond_web_sign_ins_total", {"issuer": "corp", "outcome": outcome}
        )
        for outcome in ("begun", "finished", "failed")
    ] == [2, 1, 1]
    assert registry.get_sample_value("sessiond_web_callback_seconds_count", {"issuer": "corp"}) == 2


async def test_without_a_verdict_the_person_may_try_again(world: Surfing) -> None:
    world.gate.rejects = IssuerUnavailable("away, wanted it: wait")
    answer = await world.browser().sign_in()
    assert (answer.status, answer.reason) == (503, "unavailable")


async def test_what_the_table_denies_is_a_page(world: Surfing) -> None:
    rules = AccessRules(ceilings=(Ceiling(users=("bob",)),))
    now = world.table.settings.rules
    world.table.settings = table_settings(
        type(now)(unbound=now.unbound, grace=now.grace, share=0.6, jitter=0.1, access=rules)
    )()
    with capture_logs() as lines:
        answer = await world.browser().sign_in("alice")
    assert (answer.status, answer.reason) == (403, "notallowed")
    assert "may not log in here" in answer.body
    (line,) = (each for each in lines if each["event"] == "sign-in")
    assert (line["outcome"], line["user"]) == ("refused", "alice")  # for whom he asks for help
    await world.clock.advance(1)
    assert world.table.store.events[-1].user == "alice"


async def test_what_cannot_be_written_is_a_page(world: Surfing) -> None:
    world.table.store.failing = 1
    answer = await world.browser().sign_in()
    assert (answer.status, answer.reason) == (503, "unavailable")
    assert await world.sessions() == []


async def test_an_id_token_of_another_person_is_refused(world: Surfing) -> None:
    world.issuer.id_token_of = "bob"
    answer = await world.browser().sign_in("alice")
    assert (answer.status, answer.reason) == (403, "usermismatch")
    assert await world.sessions() == []
    (refresh,) = world.issuer.given_back
    assert refresh is not None
    assert refresh.reveal().startswith("refresh-of-alice")


async def test_tokens_of_a_person_who_is_not_let_in_are_let_go_and_not_given_back(
    world: Surfing,
) -> None:
    """To give one back may end the person's other sessions: issuers end what it was of."""
    world.gate.rejects = TokenRejected(Refusal.NOTALLOWED, "this, wanted that: do so")
    await world.browser().sign_in()
    assert world.issuer.given_back == []
    assert world.table.store.refresh_tokens == {}


async def test_a_sign_in_that_is_given_up_while_it_is_written_still_ends(world: Surfing) -> None:
    gate = world.table.store.hold()
    browser = world.browser()
    target = world.issuer.signs_in(location(await browser.get()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(browser.get, target)
        await world.table.store.arrived.wait()
        await world.clock.advance(60)  # it is given up
        gate.set()
        world.table.store.gate = None
        await world.clock.settle()
    assert len(await world.sessions()) == 1
    await world.clock.advance(timedelta(seconds=61))
    assert await world.sessions() == []
