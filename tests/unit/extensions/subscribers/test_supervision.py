"""All subscribers together: checked, changed while they run, and told what operators say."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint

import anyio
import anyio.lowlevel
import msgspec
import pytest
from structlog.testing import capture_logs

from sessiond.config import SubscriberConfig
from sessiond.core.errors import ConfigError
from sessiond.core.events import Event
from sessiond.extensions import entry_points
from sessiond.extensions.subscribers.checking import Checked, check_each
from sessiond.extensions.subscribers.subprocesses import Gone
from sessiond.extensions.subscribers.wire import Failed, Ready, Received, Refused
from tests.unit.extensions.subscribers.fed import (
    AUDIT,
    Answer,
    Children,
    fed,
    stored,
    takes_all,
)

pytestmark = pytest.mark.anyio

HOOK = SubscriberConfig(plugin="webhook", name="hook", settings={"url": "u"})


def fails(events: Sequence[Event]) -> Answer:
    return Failed(sequence=events[0].sequence, error="no")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have audit and webhook installed, as far as anybody looks."""

    def named(group: str, name: str) -> EntryPoint:
        if name not in ("audit", "webhook"):
            raise ConfigError(f"no plugin {name!r} in {group}")
        return EntryPoint(name, "nowhere:nothing", group)

    monkeypatch.setattr(entry_points, "named", named)


# Changed while they run


async def test_each_is_given_its_own_settings_and_nothing_else() -> None:
    async with fed(AUDIT, HOOK) as running:
        audit, hook = running.children.setups
        assert (audit.plugin, audit.name, audit.settings) == ("audit", "audit", {})
        assert (hook.plugin, hook.name, hook.settings) == ("webhook", "hook", {"url": "u"})
        assert hook.memory == HOOK.memory
        assert [each.name for each in running.subscribers.states()] == ["audit", "hook"]


async def test_new_ones_are_started_and_removed_ones_stopped_and_the_others_left_alone() -> None:
    async with fed(AUDIT) as running:
        await running.happen(1)
        await running.want(HOOK, AUDIT)
        await running.clock.advance(0.1)
        assert [setup.name for setup in running.children.setups] == ["audit", "hook"]
        assert [each.name for each in running.subscribers.states()] == ["hook", "audit"]
        await running.want(HOOK)
        assert running.children.stopped == [1]
        assert [each.name for each in running.subscribers.states()] == ["hook"]
        await running.happen(1)
        assert running.children.offered == [[1], [2]]  # one to each
        await running.want(HOOK, AUDIT)
        await running.clock.advance(0.1)
        assert running.children.offered == [[1], [2], [2]]  # audit goes on from its place


async def test_one_whose_settings_have_changed_is_started_anew() -> None:
    async with fed(HOOK) as running:
        changed = msgspec.structs.replace(HOOK, settings={"url": "v"})
        await running.want(changed)
        await running.clock.advance(0.1)
        assert running.children.stopped == [1]
        assert [setup.settings["url"] for setup in running.children.setups] == ["u", "v"]


async def test_after_the_stop_nothing_is_started_any_more() -> None:
    async with fed(AUDIT) as running:
        await running.subscribers.stop()
        await running.want(AUDIT, HOOK)
        await running.clock.advance(1)
        assert len(running.children.setups) == 1


async def test_one_that_fails_holds_up_no_other() -> None:
    async with fed(AUDIT, HOOK) as running:
        running.children.answer = lambda events: (
            fails(events) if len(running.children.offered) % 2 else takes_all(events)
        )
        await running.happen(1)
        states = {each.name: each.lag for each in running.subscribers.states()}
        assert sorted(states.values()) == [0, 1]


# What was set aside


async def test_set_aside_events_are_sent_once_more_oldest_first_and_taken_back() -> None:
    children = Children(fails)
    async with fed(store=await stored(1, 2), children=children) as running:
        await running.clock.advance(60)
        assert [each.event.sequence for each in running.set_aside] == [1, 2]
        children.answer = takes_all
        children.offered.clear()
        assert running.subscribers.retry("audit") == 2
        await running.clock.advance(0.1)
        assert children.offered == [[1], [2]]
        assert running.set_aside == []
        assert running.subscribers.states()[0].set_aside == 0
        assert running.subscribers.retry("audit") == 0


async def test_one_that_fails_again_stays_aside_and_is_not_tried_by_itself() -> None:
    children = Children(fails)
    async with fed(store=await stored(1, 2), children=children) as running:
        await running.clock.advance(60)
        children.answer = lambda events: (
            fails(events) if events[0].sequence == 1 else takes_all(events)
        )
        children.offered.clear()
        running.subscribers.retry("audit")
        await running.clock.advance(100)
        assert children.offered == [[1], [2]]
        assert [each.event.sequence for each in running.set_aside] == [1]
        assert running.subscribers.states()[0].state == "running"


async def test_one_that_cannot_be_taken_back_stays_aside() -> None:
    children = Children(fails)
    async with fed(store=await stored(1), children=children) as running:
        await running.clock.advance(60)
        children.answer = takes_all
        running.store.failing = 1
        running.subscribers.retry("audit")
        await running.clock.advance(0.1)
        assert len(running.set_aside) == 1


async def test_set_aside_events_are_given_up_on_an_operators_word() -> None:
    async with fed(store=await stored(1, 2), children=Children(fails)) as running:
        await running.clock.advance(60)
        assert await running.subscribers.drop("audit") == 2
        assert running.set_aside == []


async def test_what_was_set_aside_is_known_after_a_restart() -> None:
    async with fed(store=await stored(1), children=Children(fails)) as running:
        await running.clock.advance(60)
    async with fed(store=running.store) as again:
        assert again.subscribers.states()[0].set_aside == 1
        assert again.subscribers.retry("audit") == 1
        await again.clock.advance(0.1)
        assert again.children.offered == [[1]]


async def test_a_name_that_is_not_configured_is_a_key_error() -> None:
    async with fed() as running:
        with pytest.raises(KeyError):
            running.subscribers.retry("none")
        with pytest.raises(KeyError):
            await running.subscribers.drop("none")


# Before they run


@pytest.mark.usefixtures("installed")
async def test_plugins_that_accept_their_settings_pass_the_check() -> None:
    async with fed(AUDIT) as running:
        running.children.setups.clear()
        await running.subscribers.check((AUDIT, HOOK))  # audit runs, and so has accepted them
        (setup,) = running.children.setups
        assert (setup.name, setup.is_check) == ("hook", True)
        assert len(running.children.alive) == 1


@pytest.mark.usefixtures("installed")
async def test_every_problem_is_told_with_the_subscribers_name() -> None:
    async with fed() as running:
        running.children.ready = Refused(problems=("url is missing", "x is no"), are_keys=True)
        none = SubscriberConfig(plugin="none", name="n")
        with pytest.raises(ConfigError) as refused:
            await running.subscribers.check((HOOK, none))
        assert str(refused.value).splitlines() == [
            "subscriber[hook].url is missing",
            "subscriber[hook].x is no",
            "subscriber[n].plugin: no plugin 'none' in sessiond.subscribers",
        ]
        running.children.ready = Refused(problems=("TypeError:\n\x1b[2Jno",), are_keys=False)
        with pytest.raises(ConfigError, match=r"^subscriber\[hook\]: TypeError: \?\[2Jno$"):
            await running.subscribers.check((HOOK,))


@pytest.mark.usefixtures("installed")
async def test_at_a_start_only_what_is_required_is_refused_and_the_others_are_told_of() -> None:
    needed = msgspec.structs.replace(HOOK, name="needed", required=True)
    async with fed() as running:
        running.children.ready = Refused(problems=("url is missing",), are_keys=True)
        with capture_logs() as logs:
            await running.subscribers.check((HOOK,), at_start=True)
            with pytest.raises(ConfigError, match=r"^subscriber\[needed\]\.url is missing$"):
                await running.subscribers.check((HOOK, needed), at_start=True)
        assert {(each["event"], each["subscriber"], each["problem"]) for each in logs} == {
            ("subscriber left out", "hook", "subscriber[hook].url is missing")
        }


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("answer", "warning", "doubt"),
    [
        (
            Gone("it ended with exit code 1"),
            "subscriber's check failed",
            "it ended with exit code 1",
        ),
        (Received(sequence=1), "subscriber's check talks nonsense", "it speaks another protocol"),
        (None, "subscriber's check hangs", "it was not made within 10 seconds"),
    ],
)
async def test_one_that_hangs_or_dies_in_its_check_is_only_warned_of(
    answer: Answer, warning: str, doubt: str
) -> None:
    found: list[Checked] = []
    async with fed() as running:
        running.children.ready = answer

        async def check() -> None:
            start = running.children.start
            found.extend(await check_each((HOOK,), start=start, clock=running.clock))

        with capture_logs() as logs:
            running.tasks.start_soon(check)
            while len(running.children.setups) < 2:
                await anyio.lowlevel.checkpoint()
            await running.clock.advance(10)
        assert [(each["event"], each["subscriber"]) for each in logs] == [(warning, "hook")]
    wanted = Checked(HOOK, doubts=[f"subscriber[hook] could not be tried: {doubt}"])
    assert found == [wanted]


@pytest.mark.usefixtures("installed")
async def test_one_that_cannot_be_started_for_its_check_is_only_warned_of() -> None:
    async with fed() as running:
        running.children.is_full = True
        with capture_logs() as logs:
            await running.subscribers.check((HOOK,))
        assert logs[0]["error"] == "it cannot be started: no memory"
        running.children.is_full, running.children.ready = False, Ready()
