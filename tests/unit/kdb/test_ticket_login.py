"""A login with a ticket is a login like any other, of which no issuer hears."""

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sessiond.core.session import SessionState
from sessiond.testing.calls import (
    connect_call,
    disconnect_call,
    opened_call,
    renew_call,
    ticket_call,
)
from sessiond.testing.plain import plain_dict
from tests.fakes import FakeClock
from tests.unit.kdb.serving import Process, Serving, refused, serving
from tests.unit.kdb.test_ticket_call import signing
from tests.unit.tickets.making import SETTINGS

pytestmark = pytest.mark.anyio


async def ticket_of(q: Process, audience: str = "rdb1") -> tuple[Any, str]:
    """Return a session on a handle of its own, and a ticket of it."""
    session = await q.log_in()
    answer = plain_dict(await q.sync(ticket_call(session, audience)))
    assert answer["ok"], answer
    return session, answer["ticket"]


async def connect(q: Process, ticket: str, handle: int = 7, user: str = "alice") -> dict[str, Any]:
    return plain_dict(await q.sync(connect_call(user, ticket, handle)))


async def two(daemon: Serving) -> tuple[Process, Process]:
    await signing(daemon)
    return await daemon.process(), await daemon.process(200, name="rdb1")


async def test_a_ticket_lets_its_user_in_at_the_other_process_once(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        gateway, backend = await two(daemon)
        parent, ticket = await ticket_of(gateway)
        calls = len(daemon.verifier.asked)
        with capture_logs() as logs:
            answer = await connect(backend, ticket)
        assert (answer["ok"], answer["user"], answer["roles"]) == (True, "alice", ["reader"])
        assert len(daemon.verifier.asked) == calls
        [told] = [each for each in logs if each["event"] == "login"]
        assert (told["outcome"], told["parent"]) == ("accepted", str(parent))
        assert ticket.rpartition(".")[2] not in repr(logs)
        [child] = [each for each in daemon.kept if each.parent is not None]
        assert (child.parent, child.hops, child.state) == (parent, 1, SessionState.UNBOUND)
        await backend.tell(opened_call(answer["session"], 7))
        await backend.ping()
        assert await connect(backend, ticket, 8) == refused("revoked")
        assert daemon.tickets.counts.spent == 1
        assert daemon.tickets.counts.refused == {("login", "revoked"): 1}


async def test_a_user_spends_so_many_and_the_surplus_is_throttled_and_not_spent(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond.tickets.pace.AT_ONCE", 2)
    async with serving(clock) as daemon:
        gateway, backend = await two(daemon)
        parent, first = await ticket_of(gateway)
        others = [
            plain_dict(await gateway.sync(ticket_call(parent, "rdb1")))["ticket"] for _ in range(2)
        ]
        reasons = [(await connect(backend, each))["reason"] for each in (first, *others)]
        assert reasons == ["", "", "throttled"]
        await clock.advance(1)
        assert (await connect(backend, others[1]))["ok"]


async def test_a_repeated_handshake_gets_the_same_session(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        gateway, backend = await two(daemon)
        _, ticket = await ticket_of(gateway)
        answers = [await connect(backend, ticket) for _ in range(2)]
        assert answers[0] == answers[1]


async def test_each_refusal_is_told_with_its_reason(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        gateway, backend = await two(daemon)
        _, ticket = await ticket_of(gateway)
        assert await connect(gateway, ticket) == refused("wrongaudience")
        assert await connect(backend, ticket, user="bob") == refused("usermismatch")
        assert await connect(backend, "ticket:x") == refused("malformed")
        daemon.ticket_settings.now = replace(SETTINGS, issuer="urn:x:y")
        assert await connect(backend, ticket) == refused("wrongissuer")
        daemon.ticket_settings.now = None
        assert await connect(backend, ticket) == refused("wrongissuer")
        daemon.ticket_settings.now = SETTINGS
        await clock.advance(31)
        assert await connect(backend, ticket) == refused("expired")
        told = [each for each in daemon.told if each[0] == "login.refused"]
        assert {reason for _, reason in told} >= {"wrongaudience", "usermismatch", "malformed"}


async def test_the_child_ends_with_its_parent_and_its_process_is_told(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        gateway, backend = await two(daemon)
        parent, ticket = await ticket_of(gateway)
        answer = await connect(backend, ticket)
        await backend.tell(opened_call(answer["session"], 7))
        await backend.ping()
        await gateway.tell(disconnect_call(5, parent))
        push = await backend.next_push()
        assert (push["event"], push["session"]) == ("revoked", answer["session"])
        assert push["reason"] == "parent"


async def test_a_late_login_is_withdrawn_and_its_ticket_stays_spent(clock: FakeClock) -> None:
    async with serving(clock, deadline=2.0) as daemon:
        gateway, backend = await two(daemon)
        _, ticket = await ticket_of(gateway)
        held = daemon.store.hold()
        answer = await daemon.late(backend, connect_call("alice", ticket, 7))
        assert answer == refused("deadline")
        held.set()
        daemon.store.gate = None
        await backend.ping()
        assert [each.parent for each in daemon.kept] == [None]
        assert await connect(backend, ticket, 8) == refused("revoked")


async def test_a_login_that_waits_for_another_is_late_with_it_and_lets_nobody_in(
    clock: FakeClock,
) -> None:
    async with serving(clock, deadline=2.0) as daemon:
        gateway, backend = await two(daemon)
        _, ticket = await ticket_of(gateway)
        release = daemon.verifier.hold_token("slow")
        await backend.ask(connect_call("alice", "bearer:slow", 6), connect_call("alice", ticket, 7))
        await clock.advance(2.0)
        answers = [plain_dict(await backend.answer()) for _ in range(2)]
        assert answers == [refused("deadline")] * 2
        release.set()
        await backend.ping()
        assert [each.parent for each in daemon.kept] == [None]


async def test_a_session_by_ticket_is_not_renewed_and_a_ticket_renews_none(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        gateway, backend = await two(daemon)
        parent, ticket = await ticket_of(gateway)
        renewed = plain_dict(await gateway.sync(renew_call(parent, ticket)))
        assert renewed == refused("wrongtype")
        child = await connect(backend, ticket)
        await backend.tell(opened_call(child["session"], 7))
        renewed = plain_dict(await backend.sync(renew_call(child["session"], "bearer:fresh")))
        assert renewed == refused("wrongtype")
