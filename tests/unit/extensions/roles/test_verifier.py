"""Verdicts with what role sources add."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import pytest
from anyio.abc import TaskGroup

from sessiond.control.instrumented import InstrumentedVerifier
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.granted import Granted
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret
from sessiond.extensions.roles import AskedRoles, RolesVerifier, RoleTerms
from sessiond.issuers.health import IssuerHealth
from tests.fakes import HOUR, FakeClock, idle, principal, verdict
from tests.unit.extensions.roles.fakes import ScriptedSource, asked
from tests.unit.gate.fakes import ScriptedVerifier, at_work, gate_issuer, opaque

pytestmark = pytest.mark.anyio
TOKEN = Secret("token")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def adding(
    clock: FakeClock,
    tasks: TaskGroup,
    *sources: ScriptedSource,
    inner: ScriptedVerifier | None = None,
    default_roles: tuple[str, ...] = (),
    cache: float = 60.0,
) -> RolesVerifier:
    roles = roles_of(clock, tasks, *sources, default_roles=default_roles, cache=cache)
    return RolesVerifier(inner or ScriptedVerifier(), roles)


def roles_of(
    clock: FakeClock,
    tasks: TaskGroup,
    *sources: ScriptedSource,
    default_roles: tuple[str, ...] = (),
    cache: float = 60.0,
) -> AskedRoles:
    terms = RoleTerms(
        sources=tuple(
            asked(source, clock, tasks, name=f"source{number}", cache=cache)
            for number, source in enumerate(sources)
        ),
        default_roles=default_roles,
    )
    return AskedRoles(terms, clock)


def of_token(*roles: str, **attributes: str) -> ScriptedVerifier:
    return ScriptedVerifier(says=verdict(roles=roles, attributes=attributes))


async def test_roles_of_token_sources_and_configuration_add_up(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    first, second = ScriptedSource(Granted(roles=["b"])), ScriptedSource(Granted(roles=["c", "a"]))
    verifier = adding(clock, tasks, first, second, inner=of_token("d"), default_roles=("e", "a"))
    said = await verifier.verify(TOKEN, now=clock.now())
    assert said.roles == ("a", "b", "c", "d", "e")
    assert said.principal == principal()
    assert said.lease.expires_at == clock.now() + HOUR


async def test_of_two_values_the_tokens_counts_then_the_first_sources(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    first = ScriptedSource(Granted(attributes={"desk": "first", "floor": "first"}))
    second = ScriptedSource(Granted(attributes={"floor": "second", "city": "second"}))
    verifier = adding(clock, tasks, first, second, inner=of_token(desk="token"))
    said = await verifier.verify(TOKEN, now=clock.now())
    assert dict(said.attributes) == {"desk": "token", "floor": "first", "city": "second"}


async def test_a_verdict_says_who_gives_each_role(clock: FakeClock, tasks: TaskGroup) -> None:
    first, second = ScriptedSource(Granted(roles=["b"])), ScriptedSource(Granted(roles=["b", "c"]))
    verifier = adding(clock, tasks, first, second, inner=of_token("c"), default_roles=("c", "e"))
    said = await verifier.verify(TOKEN, now=clock.now())
    assert said.assigned == {
        "b": ("role source source0", "role source source1"),
        "c": ("verifier", "role source source1", "default_roles"),
        "e": ("default_roles",),
    }
    assert said.claims_hold == ""


async def test_a_verdict_without_a_role_says_where_there_was_none(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    source = ScriptedSource(Granted())
    verifier = adding(clock, tasks, source, inner=of_token(), default_roles=("all",))
    said = await verifier.verify(TOKEN, now=clock.now())
    assert said.claims_hold == 'the token gives no role, nor does role source "source0" give one'


async def test_without_an_answer_there_is_no_verdict(clock: FakeClock, tasks: TaskGroup) -> None:
    verifier = adding(clock, tasks, ScriptedSource(), ScriptedSource(OSError("no route")))
    with pytest.raises(IssuerUnavailable, match="source1"):
        await verifier.verify(TOKEN, now=clock.now())


async def test_a_source_that_refuses_the_user_is_final(clock: FakeClock, tasks: TaskGroup) -> None:
    failing = ScriptedSource(OSError("no route"))
    locked = ScriptedSource(TokenRejected(Refusal.INACTIVE, "locked"))
    with pytest.raises(TokenRejected, match="locked"):
        await adding(clock, tasks, failing, locked).verify(TOKEN, now=clock.now())


async def test_a_token_that_is_refused_asks_no_source(clock: FakeClock, tasks: TaskGroup) -> None:
    source = ScriptedSource()
    inner = ScriptedVerifier(says=TokenRejected(Refusal.EXPIRED, "over"))
    with pytest.raises(TokenRejected, match="over"):
        await adding(clock, tasks, source, inner=inner).verify(TOKEN, now=clock.now())
    assert source.asked == []


async def test_sources_are_asked_at_the_same_time(clock: FakeClock, tasks: TaskGroup) -> None:
    sources = [ScriptedSource(held=anyio.Event()) for _ in range(2)]
    verifier = adding(clock, tasks, *sources)
    async with anyio.create_task_group() as askers:
        askers.start_soon(lambda: verifier.verify(TOKEN, now=clock.now()))
        await idle()
        assert [source.asked for source in sources] == [["alice"], ["alice"]]
        askers.cancel_scope.cancel()


async def test_a_verdict_stands_for_as_long_as_its_oldest_roles(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    inner = ScriptedVerifier()
    verifier = adding(clock, tasks, ScriptedSource(), inner=inner)
    first = await verifier.verify(TOKEN, now=clock.now())
    await clock.advance(30.0)
    assert verifier.still_valid(first)
    second = await verifier.verify(Secret("another"), now=clock.now())  # roles from the cache
    await clock.advance(30.0)
    assert [verifier.still_valid(each) for each in (first, second)] == [False, False]


async def test_of_two_sources_the_older_answer_ends_a_verdict(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    early, late = asked(ScriptedSource(), clock, tasks), asked(ScriptedSource(), clock, tasks)
    terms = RoleTerms(sources=(early, late), default_roles=())
    await early.answer(principal(), now=clock.now())
    await clock.advance(30.0)
    verifier = RolesVerifier(ScriptedVerifier(), AskedRoles(terms, clock))
    said = await verifier.verify(TOKEN, now=clock.now())
    await clock.advance(29.0)
    assert verifier.still_valid(said)
    await clock.advance(1.0)
    assert not verifier.still_valid(said)


async def test_a_verdict_of_a_key_that_was_withdrawn_does_not_stand(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    inner = ScriptedVerifier()
    verifier = adding(clock, tasks, ScriptedSource(), inner=inner)
    said = await verifier.verify(TOKEN, now=clock.now())
    inner.withdrawn.add(said.key_id or "")
    inner.still_valid = lambda verdict: False  # type: ignore[method-assign]
    assert not verifier.still_valid(said)
    assert not verifier.still_valid(verdict())  # made by nobody here


async def test_the_gate_never_lets_in_with_roles_older_than_the_cache(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    source = ScriptedSource(Granted(roles=["old"]))
    inner = ScriptedVerifier(is_online=False, needs=False)
    watched = InstrumentedVerifier(inner, IssuerHealth(clock))
    roles = roles_of(clock, tasks, source)
    corp = gate_issuer(watched, clock, cache_for=300.0, roles=roles)
    async with at_work(corp, clock=clock) as gate:
        await gate.admit(password=opaque("a"))
        source.says = Granted(roles=["new"])
        await clock.advance(59.0)
        assert "old" in (await gate.admit(password=opaque("a"))).verdict.roles
        assert "old" in (await gate.admit(password=opaque("b"))).verdict.roles
        await clock.advance(1.0)
        for token in ("a", "b"):
            assert "new" in (await gate.admit(password=opaque(token))).verdict.roles
    assert source.asked == ["alice", "alice"]


async def test_a_failing_source_stops_nobody_twice_and_is_tried_by_no_login(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    plugin = ScriptedSource(OSError("no route"))
    source = asked(plugin, clock, tasks)
    roles = AskedRoles(RoleTerms(sources=(source,), default_roles=()), clock)
    inner = ScriptedVerifier(is_online=False, needs=False)
    corp = gate_issuer(inner, clock, roles=roles)
    async with at_work(corp, clock=clock) as gate:
        for token in ("a", "b", "c", "d"):
            assert await gate.said(password=opaque(token)) == "unavailable"
        assert len(plugin.asked) == 4  # the last of them a trial call
        await clock.advance(timedelta(seconds=1.5))
        assert len(plugin.asked) == 5
        plugin.says = Granted(roles=["reader"])
        await clock.advance(timedelta(seconds=2))
        assert len(plugin.asked) == 6
        assert not source.state.is_open
        assert await gate.said(password=opaque("e")) == "alice"
    assert not corp.breaker.needs_trial
    assert inner.probes == 0


async def test_a_failing_source_opens_no_issuers_breaker_and_an_open_one_stops_no_source(
    clock: FakeClock,
    tasks: TaskGroup,
) -> None:
    plugin = ScriptedSource(OSError("no route"))
    inner = ScriptedVerifier(is_online=True)
    corp = gate_issuer(inner, clock, roles=roles_of(clock, tasks, plugin))
    async with at_work(corp, clock=clock) as gate:
        for token in ("a", "b", "c", "d"):
            assert await gate.said(password=opaque(token)) == "unavailable"
            await idle()
        assert inner.asked == ["a", "b", "c", "d"]
        assert (corp.breaker.is_open, inner.probes) == (False, 0)
        corp.breaker.hold(60.0)  # the issuer wants to be left alone
        plugin.says, inner.is_online, inner.needs = Granted(roles=["reader"]), False, False
        await clock.advance(1.0)
        assert await gate.said(password=opaque("e")) == "alice"  # its key is at hand


async def test_it_asks_the_issuer_as_often_as_the_wrapped_one(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    for is_online in (True, False):
        verifier = adding(
            clock, tasks, ScriptedSource(), inner=ScriptedVerifier(is_online=is_online, needs=False)
        )
        assert verifier.is_online is is_online
        assert verifier.needs_call(TOKEN)


async def test_its_trial_call_is_the_issuers(clock: FakeClock, tasks: TaskGroup) -> None:
    inner = ScriptedVerifier(probe_says=IssuerUnavailable("no issuer"))
    with pytest.raises(IssuerUnavailable, match="no issuer"):
        await adding(clock, tasks, ScriptedSource(), inner=inner).probe()


async def test_stopping_stops_every_source(clock: FakeClock, tasks: TaskGroup) -> None:
    sources = [ScriptedSource(), ScriptedSource()]
    terms = RoleTerms(
        sources=tuple(asked(source, clock, tasks) for source in sources),
        default_roles=(),
    )
    await terms.stop()
    assert [source.stops for source in sources] == [1, 1]


@dataclass
class StraySource(ScriptedSource):
    """Awaits a task of its own that was cancelled."""

    async def roles(self, principal: Principal, *, now: datetime) -> Granted:
        raise anyio.get_cancelled_exc_class()


async def test_a_source_that_ends_itself_leaves_no_verdict_without_its_roles(
    clock: FakeClock,
    tasks: TaskGroup,
) -> None:
    for sources in ((StraySource(),), (ScriptedSource(), StraySource())):
        with pytest.raises(IssuerUnavailable):
            await adding(clock, tasks, *sources).verify(TOKEN, now=clock.now())


async def test_a_gate_survives_a_source_that_ends_itself(
    clock: FakeClock, tasks: TaskGroup
) -> None:
    stray = roles_of(clock, tasks, StraySource())
    async with at_work(gate_issuer(ScriptedVerifier(), clock, roles=stray), clock=clock) as work:
        for number in range(4):
            assert await work.said(password=opaque(f"{number}")) == "unavailable"
        await clock.advance(60.0)
        assert await work.said() == "unavailable"
