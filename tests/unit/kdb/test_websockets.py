"""A websocket that a login over HTTP let in: a session of its own, that its process is told of."""

from uuid import UUID

import pytest

from sessiond.core.changes import OpenWeb
from sessiond.core.queries import FindWeb
from sessiond.core.session import ActiveSession, SessionState
from sessiond.qipc import NIL, Atom
from sessiond.testing.calls import opened_call
from tests.fakes import HOUR, FakeClock, presented, process_key, token_hash, verdict, web_login
from tests.unit.kdb.serving import Serving, serving

pytestmark = pytest.mark.anyio

WEB = UUID(int=77)
NOBODY = UUID(int=0)
FIND = FindWeb(process=process_key(), cookie=token_hash("cookie"), base="https://gw")


def sign_in(clock: FakeClock) -> OpenWeb:
    tokens = presented("web", says=verdict(begin=clock.now(), length=10 * HOUR))
    return web_login(WEB.int, tokens, cookie="cookie", base="https://gw", state="state")


async def web_session(daemon: Serving) -> None:
    assert isinstance(await daemon.table.ask(sign_in(daemon.clock)), ActiveSession)


async def test_who_asks_is_told_the_session_of_its_handle_which_ends_with_the_browser_s(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await web_session(daemon)
        answer = await q.sync(opened_call(WEB, 9))
        assert isinstance(answer, Atom)
        child = UUID(str(answer.value))
        assert child not in (WEB, NOBODY)
        assert {each.id: each.parent for each in daemon.kept} == {WEB: None, child: WEB}
        assert q.pushes == []
        assert await daemon.revoke_all() == 2
        pushed = {(await q.next_push())["session"]: 0 for _ in range(2)}
        assert pushed.keys() == {WEB, child}


async def test_who_does_not_ask_has_it_closed_all_the_same(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await web_session(daemon)
        await q.tell(opened_call(WEB, 9))
        await q.ping()
        assert sorted(await q.sessions()) == [0, 9]
        await daemon.revoke_all()
        pushes = [await q.next_push() for _ in range(2)]
        assert sorted((each["handle"], each["event"]) for each in pushes) == [
            (0, "revoked"),
            (9, "revoked"),
        ]


async def test_a_handle_of_a_login_that_does_not_stand_is_to_be_closed(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        answer = await q.sync(opened_call(WEB, 9))
        assert isinstance(answer, Atom)
        assert answer.value == NOBODY
        push = await q.next_push()
        assert (push["event"], push["reason"], push["handle"]) == ("revoked", "unbound", 9)


async def test_a_handle_whose_opening_cannot_be_written_is_to_be_closed(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await web_session(daemon)
        daemon.store.failing = 1
        answer = await q.sync(opened_call(WEB, 9))
        assert isinstance(answer, Atom)
        assert answer.value == NOBODY
        assert (await q.next_push())["reason"] == "unbound"


async def test_who_opens_a_login_of_its_own_handle_is_told_no_session(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        answer = await q.connect()
        assert await q.sync(opened_call(answer["session"], 5)) == NIL


async def test_it_waits_for_a_process_that_left_and_goes_on_at_its_hello(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await web_session(daemon)
        await q.leave()
        [waiting] = daemon.kept
        assert waiting.state is SessionState.WAITING
        assert await daemon.table.ask(FIND) is None
        q = await daemon.process()
        assert await daemon.table.ask(FIND) is not None
        assert await q.reconcile({}) == []
        assert await daemon.table.ask(FIND) is not None
