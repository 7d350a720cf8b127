"""Where only a refresh shows that a token was issued to our client."""

from collections.abc import Mapping
from typing import Any

import pytest

from sessiond.core.errors import (
    IssuerUnavailable,
    RefreshRefused,
)
from tests.fakes import FakeClock, idle
from tests.unit.kdb.serving import Serving, connect, refused, serving

pytestmark = pytest.mark.anyio

PAIR = "access-token-of-alice;refresh-token-of-alice"
DOWN = IssuerUnavailable("no answer")
SOON = 2.0  # seconds


async def prove(daemon: Serving, answer: Exception | None) -> Mapping[str, Any]:
    """Log in with a pair where a refresh is the proof, and the issuer answers that."""
    if answer is not None:
        daemon.source.next = [answer]  # type: ignore[list-item]
    q = await daemon.process()
    return await q.connect("alice", PAIR)


async def test_where_a_refresh_is_the_proof_a_login_refreshes_at_once(clock: FakeClock) -> None:
    async with serving(clock, proved=["corp"]) as daemon:
        assert (await prove(daemon, None))["ok"]
        assert daemon.source.sent == [(0.0, "refresh-token-of-alice")]


async def test_a_login_on_a_proved_grant_needs_no_other_proof(clock: FakeClock) -> None:
    async with serving(clock, proved=["corp"]) as daemon:
        assert (await prove(daemon, None))["ok"]
        q = await daemon.process(101)
        assert (await q.connect("alice", PAIR))["ok"]
        assert (await q.connect("alice", "access-token-of-alice", 6))["ok"]
        assert len(daemon.source.sent) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(RefreshRefused("invalid_grant"), "wrongaudience"), (DOWN, "unavailable")],
)
async def test_without_the_proof_there_is_no_session(
    clock: FakeClock, answer: Exception, reason: str
) -> None:
    async with serving(clock, proved=["corp"]) as daemon:
        assert await prove(daemon, answer) == refused(reason)
        await idle()
        assert daemon.kept == []


async def test_a_token_alone_proves_nothing_there(clock: FakeClock) -> None:
    async with serving(clock, proved=["corp"]) as daemon:
        q = await daemon.process()
        assert await q.connect() == refused("wrongaudience")
        assert await daemon.live(q) == 0


async def test_an_issuer_that_is_not_asked_for_the_proof_needs_none(clock: FakeClock) -> None:
    async with serving(clock, proved=["another"]) as daemon:
        assert (await prove(daemon, None))["ok"]
        assert daemon.source.sent == []


async def test_a_proof_that_hangs_costs_the_deadline_and_leaves_no_session(
    clock: FakeClock,
) -> None:
    async with serving(clock, deadline=SOON, proved=["corp"]) as daemon:
        hung, q = daemon.source.hold(), await daemon.process()
        assert await daemon.late(q, connect("alice", PAIR)) == refused("deadline")
        hung.set()
        await idle()
        assert daemon.kept == []


async def test_tokens_that_the_table_refuses_are_sent_to_no_issuer(clock: FakeClock) -> None:
    async with serving(clock, proved=["corp"]) as daemon:
        await daemon.revoke_all()
        assert await prove(daemon, None) == refused("revoked")
        assert daemon.source.sent == []
