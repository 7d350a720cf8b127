"""What a source said last of a user stands in while it is away, and masks nothing that it says."""

import pytest
from anyio.abc import TaskGroup
from structlog.testing import capture_logs

from sessiond.core.errors import IssuerThrottled, Refusal, TokenRejected, UnusableAnswer
from sessiond.core.granted import Granted
from sessiond.extensions.roles import AskedRoles, RoleTerms, known
from tests.fakes import FakeClock, principal, verdict
from tests.unit.extensions.roles.fakes import ScriptedSource, asked, said

pytestmark = pytest.mark.anyio
ALICE, BOB = principal("alice"), principal("bob")
AWAY = OSError("no route")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_a_known_answer_stands_in_until_it_is_too_stale(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=60.0, stale=40.0)
    await said(source, ALICE, clock.now())
    plugin.says = AWAY
    await clock.advance(99.0)
    with capture_logs() as logs:
        assert await said(source, ALICE, clock.now()) == "reader"
    (told,) = [each for each in logs if each["event"] == "role source answer stands in"]
    assert (told["role_source"], told["user"], told["age"]) == ("ldap", "alice", 99.0)
    assert "OSError" in told["error"]
    assert (source.state.stood_in, source.state.last_stood_in_at) == (1, clock.now())
    await clock.advance(1.0)
    assert (await said(source, ALICE, clock.now())).startswith("IssuerUnavailable")
    assert source.state.stood_in == 1


async def test_nothing_stands_in_unless_that_is_configured(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=0.0)
    await said(source, ALICE, clock.now())
    plugin.says = AWAY
    assert (await said(source, ALICE, clock.now())).startswith("IssuerUnavailable")


async def test_nobody_else_has_what_is_known_of_a_user(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=0.0, stale=600.0)
    await said(source, ALICE, clock.now())
    plugin.says = AWAY
    for other in (BOB, principal("alice", subject="another"), principal("alice", issuer="other")):
        assert (await said(source, other, clock.now())).startswith("IssuerUnavailable")


async def test_it_stands_in_while_the_breaker_is_open_and_is_asked_about_again_once_it_is_not(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=0.0, stale=600.0)
    await said(source, ALICE, clock.now())
    plugin.says = AWAY
    for _ in range(4):
        assert await said(source, ALICE, clock.now()) == "reader"
    is_open = source.state.is_open
    calls = len(plugin.asked)
    assert await said(source, ALICE, clock.now()) == "reader"
    assert is_open
    assert len(plugin.asked) == calls  # nobody waited
    plugin.says = Granted(roles=["writer"])
    await clock.advance(2.0)
    assert not source.state.is_open
    assert await said(source, ALICE, clock.now()) == "writer"


async def test_a_source_that_wants_to_be_left_alone_is_away(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=0.0, stale=600.0)
    await said(source, ALICE, clock.now())
    plugin.says = IssuerThrottled("too many", retry_after=30.0)
    assert await said(source, ALICE, clock.now()) == "reader"


@pytest.mark.parametrize(
    "newer", [TokenRejected(Refusal.INACTIVE, "locked"), UnusableAnswer("two entries"), KeyError()]
)
async def test_what_it_said_since_is_never_masked(
    clock: FakeClock, tasks: TaskGroup, newer: Exception
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=0.0, stale=600.0)
    await said(source, ALICE, clock.now())
    plugin.says = newer
    assert (await said(source, ALICE, clock.now())) != "reader"
    plugin.says = AWAY
    await clock.advance(3.0)
    assert (await said(source, ALICE, clock.now())).startswith("IssuerUnavailable")
    assert source.state.stood_in == 0


async def test_the_newest_answer_stands_in_also_where_it_has_fewer_roles(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=10.0, stale=600.0)
    await said(source, ALICE, clock.now())
    plugin.says = Granted()
    await clock.advance(11.0)
    assert await said(source, ALICE, clock.now()) == ""
    plugin.says = AWAY
    await clock.advance(11.0)
    assert await said(source, ALICE, clock.now()) == ""


async def test_a_verdict_with_such_an_answer_is_kept_for_nobody(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=10.0, stale=600.0)
    roles = AskedRoles(RoleTerms(sources=(source,), default_roles=()), clock)
    await roles.completed(verdict(), now=clock.now())
    plugin.says = AWAY
    await clock.advance(11.0)
    stale = await roles.completed(verdict(), now=clock.now())
    assert not roles.stand_in(stale)


async def test_so_many_users_are_known_at_most(
    clock: FakeClock, tasks: TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST", 2)
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=0.0, stale=600.0)
    for name in ("alice", "bob", "carol"):
        await said(source, principal(name), clock.now())
    plugin.says = AWAY
    answers = [await said(source, principal(name), clock.now()) for name in ("alice", "carol")]
    assert answers[0].startswith("IssuerUnavailable")
    assert answers[1] == "reader"
