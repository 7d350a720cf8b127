"""One role source: asked once for all who wait, for no longer than its deadline, kept a while."""

import threading
from datetime import datetime

import anyio
import pytest
from anyio.abc import TaskGroup
from structlog.testing import capture_logs

from sessiond.api import Principal
from sessiond.config import RoleSourceConfig
from sessiond.containment import Containment
from sessiond.core.errors import (
    ConfigError,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
)
from sessiond.core.granted import Granted
from sessiond.extensions import entry_points
from sessiond.extensions.roles import asked_source
from sessiond.extensions.roles import source as module
from sessiond.log import REDACTED
from sessiond.log.redaction import MAX_SHOWN
from tests.fakes import FakeClock, idle, principal
from tests.unit.extensions.roles.fakes import PlainSource, ScriptedSource, asked, said

pytestmark = pytest.mark.anyio
ALICE, BOB = principal("alice"), principal("bob")
OPEN = (
    "IssuerUnavailable: the breaker of role source 'ldap' is open, wanted an answer to a trial "
    "call: see its trouble in sessionctl status, and wait, since it closes by itself"
)
FAILED = "plugin 'ldap' failed: {}, wanted an answer: see where in the log (plugin failed)"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_an_answer_is_used_again_until_it_is_too_old(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=60.0)
    assert await said(source, ALICE, clock.now()) == "reader"
    plugin.says = Granted(roles=["writer"])
    await clock.advance(59.0)
    assert await said(source, ALICE, clock.now()) == "reader"
    await clock.advance(1.0)
    assert await said(source, ALICE, clock.now()) == "writer"
    assert plugin.asked == ["alice", "alice"]


async def test_an_answer_is_as_old_as_its_question(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = ScriptedSource(held=anyio.Event())
    source = asked(plugin, clock, tasks, cache=60.0)
    async with anyio.create_task_group() as askers:
        askers.start_soon(said, source, ALICE, clock.now())
        await clock.advance(2.0)
        assert plugin.held is not None
        plugin.held.set()
    assert (await source.answer(ALICE, now=clock.now())).until == clock.monotonic() + 58.0


async def test_with_no_cache_each_question_is_asked(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks, cache=0.0)
    answer = await source.answer(ALICE, now=clock.now())
    assert answer.until == clock.monotonic()
    await source.answer(ALICE, now=clock.now())
    assert plugin.asked == ["alice", "alice"]


async def test_all_who_wait_share_one_call_and_its_outcome(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    for says, outcome in (
        (Granted(roles=["reader"]), "reader"),
        (IssuerUnavailable("away"), "IssuerUnavailable: away"),
        (IssuerThrottled("busy", retry_after=1), "IssuerThrottled: busy"),
        (TokenRejected(Refusal.INACTIVE, "locked"), "TokenRejected: inactive: locked"),
    ):
        plugin = ScriptedSource(says=says, held=anyio.Event())
        source = asked(plugin, clock, tasks)
        found: list[str] = []

        async def ask() -> None:
            found.append(await said(source, ALICE, clock.now()))  # noqa: B023 - awaited within

        async with anyio.create_task_group() as askers:
            for _ in range(3):
                askers.start_soon(ask)
            await idle()
            assert plugin.held is not None
            plugin.held.set()
        assert found == [outcome] * 3
        assert plugin.asked == ["alice"]


async def test_whoever_asked_first_may_leave_and_the_others_still_get_the_answer(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource(held=anyio.Event())
    source = asked(plugin, clock, tasks)
    found: list[str] = []
    leader = anyio.CancelScope()

    async def lead() -> None:
        with leader:
            await source.answer(ALICE, now=clock.now())

    async def join() -> None:
        found.append(await said(source, ALICE, clock.now()))

    async with anyio.create_task_group() as askers:
        askers.start_soon(lead)
        await idle()
        askers.start_soon(join)
        await idle()
        leader.cancel()
        await idle()
        assert plugin.held is not None
        plugin.held.set()
    assert (found, plugin.asked) == (["reader"], ["alice"])


async def test_a_plain_source_runs_in_a_thread(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = PlainSource()
    assert await said(asked(plugin, clock, tasks), ALICE, clock.now()) == "reader"
    assert plugin.threads != [threading.current_thread().name]
    plugin.says = TokenRejected(Refusal.INACTIVE, "locked")
    assert (
        await said(asked(plugin, clock, tasks), ALICE, clock.now())
        == "TokenRejected: inactive: locked"
    )


async def test_a_plain_source_that_hangs_takes_only_so_many_threads(
    clock: FakeClock, tasks: TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "THREADS", 2)
    plugin = PlainSource(hang=threading.Event())
    source = asked(plugin, clock, tasks, deadline=0.05)
    try:
        outcomes = [await said(source, principal(name), clock.now()) for name in ("a", "b", "c")]
    finally:
        assert plugin.hang is not None
        plugin.hang.set()
    assert [outcome.split(": ")[1] for outcome in outcomes] == [
        "plugin 'ldap' did not answer within 0.05 s, wanted an answer by then",
        "plugin 'ldap' did not answer within 0.05 s, wanted an answer by then",
        "all 2 threads of role source 'ldap' hang, wanted a free one",
    ]
    assert len(plugin.threads) == 2


async def test_a_plain_source_that_is_done_gives_its_thread_back(
    clock: FakeClock, tasks: TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "THREADS", 1)
    plugin = PlainSource()
    source = asked(plugin, clock, tasks, cache=0.0)
    assert [await said(source, ALICE, clock.now()) for _ in range(3)] == ["reader"] * 3
    plugin.says = OSError("no route")
    outcomes = [await said(source, ALICE, clock.now()) for _ in range(2)]
    assert outcomes == [f"IssuerUnavailable: {FAILED.format('OSError')}"] * 2


async def test_an_answer_that_cannot_be_kept_is_none(clock: FakeClock, tasks: TaskGroup) -> None:
    source = asked(ScriptedSource(says=Granted(roles=["\n"])), clock, tasks)
    assert await said(source, ALICE, clock.now()) == (
        f"IssuerUnavailable: {FAILED.format('AnswerError')}"
    )


async def test_after_three_failures_nobody_waits_until_a_trial_call_is_answered(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource(says=OSError("no route"))
    source = asked(plugin, clock, tasks)
    with capture_logs() as logs:
        for _ in range(3):
            assert "failed: OSError" in await said(source, ALICE, clock.now())
        await idle()
        assert plugin.asked == ["alice"] * 4  # a trial call has confirmed it
        assert source.state.is_open
        assert await said(source, BOB, clock.now()) == OPEN
        plugin.held = anyio.Event()
        await clock.advance(1.0)
        assert plugin.asked == [*["alice"] * 4, "bob"]  # tried out, and nobody waits for it
        assert await said(source, ALICE, clock.now()) == OPEN
        plugin.says = Granted(roles=["reader"])
        plugin.held.set()
        await idle()
        assert await said(source, BOB, clock.now()) == "reader"
    state = source.state
    assert not state.is_open
    assert [entry["event"] for entry in logs if entry["event"] != "plugin failed"] == [
        "role source breaker open",
        "role source breaker closed",
    ]
    (told,) = [entry for entry in logs if entry["event"] == "role source breaker open"]
    assert (told["role_source"], told["error"]) == ("ldap", FAILED.format("OSError"))


async def test_calls_that_are_ended_a_moment_early_were_slow_all_the_same(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    class Hanging(ScriptedSource):
        async def roles(self, principal: Principal, *, now: datetime) -> Granted:
            self.asked.append(principal.name)
            await clock.advance(0.0495)  # then the loop, whose time is rounded, ends the call
            await anyio.sleep_forever()
            raise AssertionError

    plugin = Hanging()
    source = asked(plugin, clock, tasks, deadline=0.05)
    for _ in range(3):
        assert "did not answer within 0.05 s" in await said(source, ALICE, clock.now())
    assert source.state.is_open  # no trial call has to confirm it
    assert plugin.asked == ["alice"] * 3


async def test_a_trial_that_fails_puts_the_next_one_off(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = ScriptedSource(says=OSError("no route"))
    source = asked(plugin, clock, tasks)
    for _ in range(3):
        await said(source, ALICE, clock.now())
    await clock.advance(1.0)
    assert len(plugin.asked) == 5
    await clock.advance(1.0)  # too early
    assert len(plugin.asked) == 5
    plugin.says = Granted()
    await clock.advance(1.0)
    assert plugin.asked == ["alice"] * 6
    await clock.advance(60.0)  # one that answers is not tried out
    assert len(plugin.asked) == 6


async def test_whatever_a_source_raises_is_a_failure_of_its_own(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource(says=KeyError("hunter2"))
    source = asked(plugin, clock, tasks)
    for _ in range(3):
        assert await said(source, ALICE, clock.now()) == (
            f"IssuerUnavailable: {FAILED.format('KeyError')}"
        )
    await idle()
    assert source.state.is_open


class StumblingSource(ScriptedSource):
    """Cannot read what one user has written of himself."""

    async def roles(self, principal: Principal, *, now: datetime) -> Granted:
        granted = await super().roles(principal, now=now)
        return Granted(attributes={"desk": "\n"}) if principal == ALICE else granted


async def test_a_user_whom_a_source_trips_over_keeps_nobody_else_out(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    source = asked(StumblingSource(), clock, tasks, cache=0.0)
    assert await said(source, BOB, clock.now()) == "reader"
    for _ in range(3):
        for _ in range(3):
            assert "AnswerError" in await said(source, ALICE, clock.now())
        await idle()
        assert await said(source, BOB, clock.now()) == "reader"


async def test_nor_does_he_where_it_has_answered_about_nobody_before(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    source = asked(StumblingSource(), clock, tasks, cache=0.0)
    for _ in range(3):
        assert "AnswerError" in await said(source, ALICE, clock.now())
    await idle()
    assert await said(source, BOB, clock.now()) == OPEN
    await clock.advance(1.0)
    assert await said(source, BOB, clock.now()) == "reader"


async def test_whom_it_fails_about_in_a_trial_call_is_not_the_next_one_s_user(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = StumblingSource()
    source = asked(plugin, clock, tasks, cache=0.0)
    await said(source, BOB, clock.now())
    plugin.says = OSError("no route")
    for _ in range(3):
        await said(source, ALICE, clock.now())
    await idle()
    plugin.asked.clear()
    await clock.advance(1.0)
    assert plugin.asked == ["alice"]


async def test_what_was_said_before_the_breaker_opened_is_still_used(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource()
    source = asked(plugin, clock, tasks)
    await said(source, BOB, clock.now())
    plugin.says = OSError("no route")
    for _ in range(3):
        await said(source, ALICE, clock.now())
    assert await said(source, BOB, clock.now()) == "reader"


async def test_a_source_that_asks_to_be_left_alone_is(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = ScriptedSource(says=IssuerThrottled("busy", retry_after=20))
    source = asked(plugin, clock, tasks)
    await said(source, ALICE, clock.now())
    plugin.says = Granted(roles=["reader"])
    await clock.advance(19.0)
    assert await said(source, ALICE, clock.now()) == OPEN
    await clock.advance(1.0)
    assert await said(source, ALICE, clock.now()) == "reader"


async def test_a_refusal_is_an_answer_and_not_kept(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = ScriptedSource(says=TokenRejected(Refusal.INACTIVE, "locked"))
    source = asked(plugin, clock, tasks)
    for _ in range(4):
        assert "locked" in await said(source, ALICE, clock.now())
    assert len(plugin.asked) == 4
    assert (source.state.is_open, source.state.last_success_at) == (False, clock.now())


async def test_operators_see_how_it_does(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = ScriptedSource(says=OSError("no route"))
    source = asked(plugin, clock, tasks)
    await said(source, ALICE, clock.now())
    state = source.state
    assert (state.name, state.plugin, state.is_open) == ("ldap", "acme", False)
    assert state.last_error == FAILED.format("OSError")
    assert (state.last_error_at, state.last_success_at) == (clock.now(), None)


async def test_what_a_plugin_says_of_its_failure_is_made_harmless_for_operators(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    said_so = f"GET /?access_token=hunter2 \x1b[2J {'x' * MAX_SHOWN}"
    source = asked(ScriptedSource(says=IssuerUnavailable(said_so)), clock, tasks)
    await said(source, ALICE, clock.now())
    error = source.state.last_error
    assert error.startswith(f"GET /?{REDACTED} \\x1b[2J xxx")
    assert len(error) == MAX_SHOWN


async def test_stopping_waits_for_the_call_under_way(clock: FakeClock, tasks: TaskGroup) -> None:
    plugin = ScriptedSource(held=anyio.Event())
    source = asked(plugin, clock, tasks)
    async with anyio.create_task_group() as askers:
        askers.start_soon(said, source, ALICE, clock.now())
        await idle()
        askers.start_soon(source.stop)
        await idle()
        assert plugin.stops == 0
        assert plugin.held is not None
        plugin.held.set()
    assert plugin.stops == 1


async def test_stopping_waits_for_the_end_of_a_trial_call_that_it_has_cut_short(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    steps: list[str] = []

    class Source(ScriptedSource):
        async def roles(self, principal: Principal, *, now: datetime) -> Granted:
            try:
                return await super().roles(principal, now=now)
            finally:
                steps.append("over")

        def stop(self) -> None:
            steps.append("stop")

    plugin = Source(says=OSError("no route"))
    source = asked(plugin, clock, tasks)
    for _ in range(3):
        await said(source, ALICE, clock.now())
    steps.clear()
    plugin.held = anyio.Event()
    await clock.advance(1.0)
    assert (len(plugin.asked), steps) == (4, [])  # the trial call is under way
    await source.stop()
    assert steps == ["over", "stop"]


async def test_a_source_that_was_stopped_is_tried_out_no_more(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource(says=OSError("no route"))
    source = asked(plugin, clock, tasks)
    for _ in range(3):
        await said(source, ALICE, clock.now())
    await source.stop()
    await clock.advance(60.0)
    assert (len(plugin.asked), plugin.stops, clock.sleepers) == (3, 1, 0)


async def test_a_source_that_nobody_began_is_not_asked(clock: FakeClock) -> None:
    plugin = ScriptedSource()
    assert await said(asked(plugin, clock), ALICE, clock.now()) == (
        "IssuerUnavailable: sessiond is starting, wanted it open: try again in a moment"
    )
    assert plugin.asked == []


async def test_a_source_is_made_of_its_table(
    clock: FakeClock, tasks: TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = ScriptedSource()
    given: list[object] = []

    def entry(**keys: object) -> ScriptedSource:
        given.append(keys)
        return plugin

    monkeypatch.setattr(entry_points, "load", lambda group, name: entry)
    table = RoleSourceConfig(plugin="acme", name="ldap", settings={"url": "ldaps://x"})
    source = await asked_source(table, clock, Containment())
    source.begin(tasks)
    assert given == [{"url": "ldaps://x"}]
    assert await said(source, ALICE, clock.now()) == "reader"


async def test_roles_must_be_something_to_call(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong:
        roles = ("reader",)

    monkeypatch.setattr(entry_points, "load", lambda group, name: Wrong)
    table = RoleSourceConfig(plugin="acme", name="ldap")
    with pytest.raises(ConfigError, match=r"role_source\[ldap\]\.plugin: the roles of 'acme'"):
        await asked_source(table, clock, Containment())
