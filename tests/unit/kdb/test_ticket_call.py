"""A process asks for tickets and gets them in its turn; the answer has four keys whatever it is."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from sessiond.qipc import timestamp
from sessiond.testing import QReplyError
from sessiond.testing.calls import disconnect_call, opened_call, ticket_call
from sessiond.testing.plain import plain_dict
from tests.fakes import START, FakeClock
from tests.unit.kdb.serving import Process, Serving, serving
from tests.unit.tickets.making import SETTINGS

pytestmark = pytest.mark.anyio

NONE: dict[str, Any] = {"ok": False, "ticket": "", "expires": -(2**63)}


async def ask(q: Process, session: UUID, audience: str = "rdb1") -> dict[str, Any]:
    return plain_dict(await q.sync(ticket_call(session, audience)))


async def signing(daemon: Serving) -> None:
    """Turn tickets on, with a key."""
    daemon.ticket_settings.now = SETTINGS
    await daemon.tickets.keys.see_to()


async def test_the_answer_is_the_password_for_the_other_process(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        await signing(daemon)
        q = await daemon.process()
        session = await q.log_in()
        answer = await ask(q, session)
        assert answer.pop("ticket").startswith("ticket:eyJ")
        ends = timestamp(START + timedelta(seconds=30)).value
        assert answer == {"ok": True, "expires": ends, "reason": ""}
        assert daemon.tickets.counts.issued == {"call": 1}


async def test_it_is_asked_in_its_turn(clock: FakeClock) -> None:
    """After `opened` on the same connection, however late that reaches the disk."""
    async with serving(clock) as daemon:
        await signing(daemon)
        q = await daemon.process()
        answer = await q.connect()
        await q.tell(opened_call(answer["session"], 5))
        assert (await ask(q, answer["session"]))["ok"]
        await q.tell(ticket_call(answer["session"], "rdb1"))  # async: nobody would be answered
        assert (await ask(q, answer["session"]))["ok"]


async def test_a_refusal_has_the_same_keys_and_is_counted_and_logged(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        await signing(daemon)
        q = await daemon.process()
        session = await q.log_in()
        with capture_logs() as logs:
            assert await ask(q, UUID(int=99)) == {**NONE, "reason": "nosession"}
            assert await ask(q, session, "hdb1") == {**NONE, "reason": "notallowed"}
            assert (await ask(q, session))["ok"]
        told = [each for each in logs if each["event"] == "ticket"]
        assert [each["outcome"] for each in told] == ["refused", "refused", "issued"]
        assert told[1]["audience"] == "hdb1"
        assert "tickets.audiences" in told[1]["detail"]
        assert told[2]["user"] == "alice"
        assert "eyJ" not in repr(logs)
        refused = {("call", "nosession"): 1, ("call", "notallowed"): 1}
        assert daemon.tickets.counts.refused == refused


async def test_without_tickets_there_are_none(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        assert await ask(q, session) == {**NONE, "reason": "notallowed"}


async def test_a_disk_that_hangs_is_waited_for_until_the_deadline(clock: FakeClock) -> None:
    async with serving(clock, deadline=2.0) as daemon:
        await signing(daemon)
        q = await daemon.process()
        session = await q.log_in()
        held = daemon.store.hold()
        await q.tell(disconnect_call(5))
        answer = await daemon.late(q, ticket_call(session, "rdb1"))
        held.set()
        assert answer == {**NONE, "reason": "deadline"}


@pytest.mark.parametrize("audience", ["rdb\n1", "r" * 513])
async def test_a_wrong_argument_is_a_q_error(clock: FakeClock, audience: str) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.ask(ticket_call(UUID(int=1), audience))
        with pytest.raises(QReplyError, match="audience must be printable"):
            await q.answer()
