"""A `token`: answered in its turn and its time, and on behalf of none but the asker's own users."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sessiond.qipc import Value, call, dictionary, guid, string, symbol
from sessiond.sources.answer import NotGiven, Reason
from sessiond.testing import QReplyError
from sessiond.testing.calls import token_call
from sessiond.testing.plain import plain_dict
from tests.fakes import FakeClock, idle, process_about
from tests.unit.kdb.serving import Process, Serving, connect, serving

pytestmark = pytest.mark.anyio
NULL = -(2**63)
NOBODY = UUID(int=0)
GIVEN = {"ok": True, "token": "token1", "type": "Bearer", "reason": ""}


@pytest.fixture
async def world() -> AsyncIterator[Serving]:
    async with serving(FakeClock(), deadline=2.0) as at_work:
        yield at_work


def refused(reason: str) -> dict[str, Any]:
    return {"ok": False, "token": "", "type": "", "expires": NULL, "reason": reason}


async def token(q: Process, asked: Value) -> dict[str, Any]:
    return plain_dict(await q.sync(asked))


async def log_in(q: Process) -> UUID:
    session: UUID = plain_dict(await q.sync(connect()))["session"]
    return session


@pytest.mark.parametrize("name", [string("quotes"), symbol("quotes")])
async def test_the_answer_has_five_keys(world: Serving, name: Value) -> None:
    q = await world.process()
    answer = await token(q, call("token", dictionary({"name": name})))
    assert answer.pop("expires") != NULL
    assert answer == GIVEN
    [asked] = world.sources.asked
    assert (asked.source, asked.process, asked.session) == (
        "quotes",
        process_about() if asked.process == process_about() else asked.process,
        None,
    )


@pytest.mark.parametrize("reason", list(Reason))
async def test_without_one_there_are_the_same_five(world: Serving, reason: Reason) -> None:
    world.sources.says = NotGiven(reason=reason, detail="why")
    q = await world.process()
    assert await token(q, token_call("quotes")) == refused(reason.value)


async def test_a_session_is_the_askers_own_or_there_is_none(world: Serving) -> None:
    q, other = await world.process(), await world.process(101)
    session = await log_in(q)
    assert (await token(q, token_call("quotes", session)))["ok"]
    named = world.sources.asked[0].session
    assert named is not None
    assert named.session.id == session
    assert await token(other, token_call("quotes", session)) == refused("notallowed")
    assert await token(q, token_call("quotes", UUID(int=9))) == refused("notallowed")
    assert len(world.sources.asked) == 1


async def test_the_null_guid_is_no_session(world: Serving) -> None:
    q = await world.process()
    asked = call("token", dictionary({"name": string("quotes"), "session": guid(NOBODY)}))
    assert (await token(q, asked))["ok"]
    assert world.sources.asked[0].session is None


async def test_whoever_waits_is_answered_in_his_turn(world: Serving) -> None:
    world.sources.is_at_once = False
    q = await world.process()
    await q.ask(token_call("quotes"))
    await idle()
    world.sources.is_at_once = True
    await q.ask(token_call("other"), call("sessions"))
    await idle()
    world.sources.may_go_on.set()
    assert [plain_dict(await q.answer())["ok"] for _ in range(2)] == [True, True]
    await q.answer()


async def test_one_that_is_late_is_unavailable_and_waits_no_more(world: Serving) -> None:
    world.sources.is_at_once = False
    q = await world.process()
    await q.ask(token_call("quotes"))
    await world.clock.advance(timedelta(seconds=2))
    assert plain_dict(await q.answer()) == refused("unavailable")
    assert world.sources.was_left


async def test_a_process_that_leaves_waits_no_more(world: Serving) -> None:
    world.sources.is_at_once = False
    q = await world.process()
    await q.ask(token_call("quotes"))
    await idle()
    world.connections[0].cut()
    await q.over.wait()
    await idle()
    assert world.sources.was_left


async def test_while_the_disk_is_slow_a_session_cannot_be_looked_up(world: Serving) -> None:
    q = await world.process()
    session = await log_in(q)
    world.table.close()
    await idle()
    assert await token(q, token_call("quotes", session)) == refused("unavailable")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (call("token", dictionary({})), "token needs name"),
        (call("token", string("quotes")), "the argument of token must be"),
        (call("token"), "token takes 1 argument"),
        (token_call("x" * 257), "name must be printable, of at most 256 characters"),
        (call("token", dictionary({"name": guid(NOBODY)})), "name must be"),
        (
            call("token", dictionary({"name": string("a"), "session": string("b")})),
            "session must be a guid",
        ),
    ],
)
async def test_a_wrong_argument_is_a_q_error(world: Serving, asked: Value, text: str) -> None:
    q = await world.process()
    with pytest.raises(QReplyError, match=text):
        await q.sync(asked)
    assert (await token(q, token_call("quotes")))["ok"]


async def test_it_must_be_sync_and_come_after_hello(world: Serving) -> None:
    q = await world.process()
    await q.tell(token_call("quotes"))
    await q.ping()
    assert world.sources.asked == []
    stranger = world.arrive()
    await stranger.greet()
    with pytest.raises(QReplyError, match="say hello first"):
        await stranger.sync(token_call("quotes"))
