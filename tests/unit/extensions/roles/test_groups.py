"""Groups that a token leaves out: asked for where it does, and for nobody else."""

from dataclasses import replace

import pytest
from anyio.abc import TaskGroup

from sessiond.core.errors import IssuerUnavailable
from sessiond.core.granted import Granted
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.extensions.roles import AskedRoles, RolesVerifier, RoleTerms
from sessiond.gate import VerifiedLogin, Waiting
from tests.fakes import FakeClock, process_key, verdict
from tests.unit.extensions.roles.fakes import ScriptedSource, asked
from tests.unit.gate.fakes import (
    GateAtWork,
    PlainVerifier,
    ScriptedVerifier,
    at_work,
    gate_issuer,
    opaque,
)

pytestmark = pytest.mark.anyio
TOKEN = Secret("token")
ROLES = {"g1": "trader", "g2": "auditor", "g3": "trader"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def graph() -> ScriptedSource:
    return ScriptedSource(Granted(roles=["g1", "g9"]))


def asking(
    clock: FakeClock,
    tasks: TaskGroup,
    graph: ScriptedSource,
    *sources: ScriptedSource,
    default_roles: tuple[str, ...] = (),
) -> AskedRoles:
    terms = RoleTerms(
        sources=tuple(asked(each, clock, tasks) for each in sources),
        default_roles=default_roles,
        groups=asked(graph, clock, tasks, name="Microsoft Graph", cache=30.0),
        group_roles=ROLES,
    )
    return AskedRoles(terms, clock)


def overage(*roles: str) -> Verdict:
    return replace(verdict(roles=roles), overage=True)


def decide(gate: GateAtWork, token: str) -> VerifiedLogin | Waiting:
    return gate.gate.decide_now(user="alice", password=opaque(token), owner=process_key())


async def test_a_role_of_a_group_is_given_and_it_is_said_why(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    graph.says = Granted(roles=["g1", "g2", "g3", "g9"])
    roles = asking(clock, tasks, graph)
    said = await roles.completed(overage("reader"), now=clock.now())
    assert said.roles == ("auditor", "reader", "trader")
    assert said.assigned["auditor"] == ("graph group g2",)
    assert said.assigned["trader"] == ("graph group g1", "graph group g3")
    assert not said.overage


async def test_whose_token_has_all_groups_is_asked_about_by_nobody(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    roles, whole = asking(clock, tasks, graph), verdict(roles=("reader",))
    assert not roles.asks_always
    assert await roles.completed(whole, now=clock.now()) is whole
    assert roles.stand_in(whole)
    assert not roles.stand_in(overage())
    assert graph.asked == []


async def test_sources_are_asked_about_everybody_and_graph_with_them_where_it_must_be(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    source = ScriptedSource(Granted(roles=["support"]))
    roles = asking(clock, tasks, graph, source, default_roles=("all",))
    assert roles.asks_always
    plain = await roles.completed(verdict(roles=()), now=clock.now())
    assert plain.roles == ("all", "support")
    assert graph.asked == []
    said = await roles.completed(overage(), now=clock.now())
    assert said.roles == ("all", "support", "trader")
    assert graph.asked == ["alice"]


async def test_without_graphs_answer_there_is_no_verdict(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    graph.says = IssuerUnavailable("away")
    with pytest.raises(IssuerUnavailable, match="away"):
        await asking(clock, tasks, graph).completed(overage("reader"), now=clock.now())


async def test_where_no_group_gives_a_role_it_is_said_who_was_asked(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    graph.says = Granted()
    said = await asking(clock, tasks, graph).completed(overage(), now=clock.now())
    assert said.roles == ()
    assert "Microsoft Graph" in said.claims_hold


async def test_a_verdict_stands_for_as_long_as_graphs_answer(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    roles = asking(clock, tasks, graph)
    said = await roles.completed(overage(), now=clock.now())
    await clock.advance(29.0)
    assert roles.stand_in(said)
    await clock.advance(1.0)
    assert not roles.stand_in(said)


async def test_the_gate_decides_at_once_but_for_those_whose_groups_are_left_out(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    inner = ScriptedVerifier(is_online=False, needs=False, of={"long": overage()})
    corp = gate_issuer(inner, clock, roles=asking(clock, tasks, graph))
    async with at_work(corp, clock=clock) as gate:
        assert isinstance(decide(gate, "short"), VerifiedLogin)
        waiting = decide(gate, "long")
        assert isinstance(waiting, Waiting)
        assert (await waiting.answer()).verdict.roles == ("trader",)
        kept = decide(gate, "long")
        assert isinstance(kept, VerifiedLogin)
        assert kept.verdict.roles == ("trader",)
    assert graph.asked == ["alice"]


async def test_graph_away_opens_no_issuers_breaker_and_keeps_nobody_else_out(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    graph.says = OSError("no route")
    inner = ScriptedVerifier(is_online=False, needs=False, of={"ok": verdict(roles=("reader",))})
    inner.says = overage()
    corp = gate_issuer(inner, clock, roles=asking(clock, tasks, graph))
    async with at_work(corp, clock=clock) as gate:
        for token in ("a", "b", "c", "d"):
            assert await gate.said(password=opaque(token)) == "unavailable"
        assert await gate.said(password=opaque("ok")) == "alice"
    assert len(graph.asked) == 4  # the last of them a trial call
    assert not corp.breaker.is_open


async def test_a_refresh_is_verified_at_once_but_for_those_whose_groups_are_left_out(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    inner = ScriptedVerifier(is_online=False, needs=False, of={"long": overage()})
    verifier = RolesVerifier(inner, asking(clock, tasks, graph))
    short = verifier.verify_now(Secret("short"), now=clock.now(), generation=3)
    assert short is not None
    assert short.generation == 3
    assert not verifier.needs_call(TOKEN)
    assert verifier.verify_now(Secret("long"), now=clock.now(), generation=3) is None
    assert (await verifier.verify(Secret("long"), now=clock.now())).roles == ("trader",)
    inner.needs = True
    assert verifier.needs_call(TOKEN)
    assert verifier.verify_now(Secret("short"), now=clock.now(), generation=3) is None


async def test_where_all_are_asked_or_the_verifier_waits_nothing_is_verified_at_once(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    ready = ScriptedVerifier(is_online=False, needs=False)
    for verifier in (
        RolesVerifier(ready, asking(clock, tasks, graph, ScriptedSource())),
        RolesVerifier(PlainVerifier(ready), asking(clock, tasks, graph)),
    ):
        assert verifier.verify_now(TOKEN, now=clock.now(), generation=1) is None


async def test_stopping_stops_graph_too(
    clock: FakeClock, tasks: TaskGroup, graph: ScriptedSource
) -> None:
    source = ScriptedSource()
    terms = RoleTerms(
        sources=(asked(source, clock, tasks),),
        default_roles=(),
        groups=asked(graph, clock, tasks),
        group_roles=ROLES,
    )
    assert len(terms.asked) == 2
    await terms.stop()
    assert (source.stops, graph.stops) == (1, 1)
