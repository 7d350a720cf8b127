"""`follow`: who may, what is answered, and that nothing of what changes is missed or told twice."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import pytest

from sessiond.core.access import AccessRules, Ceiling, LocalGrant
from sessiond.core.changes import Revoke
from sessiond.core.errors import Refusal, StoreError, TokenRejected
from sessiond.core.present import Present
from sessiond.core.revocation import Scope
from sessiond.core.session import Session
from sessiond.core.standing import SPELLINGS, Standing
from sessiond.kdb import estate, replies
from sessiond.kdb.audience import Answering, Audience
from sessiond.kdb.estate import Estate
from sessiond.qipc import Value, call, dictionary, int_, symbol
from sessiond.qipc.values import List, QType, Table, Vector
from sessiond.testing import QReplyError
from sessiond.testing.calls import connect_call, disconnect_call, opened_call
from sessiond.testing.plain import plain_dict
from tests.fakes import RULES, FakeClock, idle, principal, verdict
from tests.unit.kdb.serving import (
    Process,
    Serving,
    columns,
    password_of,
    peer,
    renew,
    serving,
)

pytestmark = pytest.mark.anyio

FOLLOW = call("follow", dictionary({}))
BACKEND = Ceiling(name="rdb*", roles=("read*", "admin"), estate=True)
HDB = Ceiling(name="hdb*", estate=True)
ACCESS = AccessRules(ceilings=(BACKEND, HDB))
NOBODY: dict[str, Any] = {}


def said(
    user: str = "alice",
    *,
    roles: tuple[str, ...] = ("reader",),
    name: str = "alice",
    gone: bool = False,
) -> dict[str, Any]:
    """Return a whole push of one that has stood so."""
    return {
        "event": "standing",
        "session": UUID(int=0),
        "handle": 0,
        "user": user,
        "roles": [] if gone else [*roles],
        "expires": -(2**63),
        "reason": "",
        "sequence": 0,
        "name": name,
        "attributes": {},
        "gone": gone,
    }


def rows(answer: Value) -> dict[str, tuple[str, list[str], dict[str, str]]]:
    """Return the rows of an answer by the typed name, of which each is there once."""
    found = columns(answer)
    assert list(found) == ["user", "name", "roles", "attributes"]
    told = zip(found["name"], found["roles"], found["attributes"], strict=True)
    by_name = dict(zip(found["user"], told, strict=True))
    assert len(by_name) == len(found["user"])
    return by_name


class Backend:
    """A process that follows, and what it knows by its answer and its pushes."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.known: dict[str, tuple[str, list[str], dict[str, str]]] = {}

    async def follow(self) -> None:
        self.known = rows(await self.process.sync(FOLLOW))

    async def now(self) -> dict[str, tuple[str, list[str], dict[str, str]]]:
        await idle()
        await self.process.ping()
        for push in self.process.pushes:
            assert push["event"] == "standing"
            fresh = (push["name"], push["roles"], push["attributes"])
            assert self.known.get(push["user"]) != fresh, "told twice"
            if push["gone"]:
                del self.known[push["user"]]
            else:
                self.known[push["user"]] = fresh
        self.process.pushes.clear()
        return self.known


@asynccontextmanager
async def following_at(
    clock: FakeClock, access: AccessRules = ACCESS
) -> AsyncIterator[tuple[Serving, Process, Backend]]:
    """Yield a daemon, a gateway and a backend that follows."""
    async with serving(clock, access=access) as daemon:
        q = await daemon.process()
        backend = Backend(await daemon.process(200, name="rdb1"))
        await backend.follow()
        yield daemon, q, backend


async def log_in(
    daemon: Serving, q: Process, user: str = "alice", handle: int = 5, **says: Any
) -> UUID:
    daemon.verifier.says = verdict(principal(user.lower()), **says)
    password = password_of(f"access-of-{user}-on-{handle}")
    answer = plain_dict(await q.sync(connect_call(user, password, handle)))
    assert answer["ok"], answer["reason"]
    session: UUID = answer["session"]
    await q.tell(opened_call(session, handle))
    await q.ping()
    return session


async def log_out(q: Process, handle: int = 5) -> None:
    await q.tell(disconnect_call(handle))
    await q.ping()


async def test_the_answer_has_everybody_with_the_columns_and_types_that_are_promised(
    clock: FakeClock,
) -> None:
    async with serving(clock, access=ACCESS) as daemon:
        q, rdb = await daemon.process(), await daemon.process(200, name="rdb1")
        await log_in(daemon, q, "Alice", roles=("reader", "writer"), attributes={"desk": "rates"})
        daemon.verifier.says = verdict(principal("bob"))
        await q.connect("bob", "unopened", 6)
        answer = await rdb.sync(FOLLOW)
        assert rows(answer) == {
            "Alice": ("alice", ["reader"], {"desk": "rates"}),
            "bob": ("bob", ["reader"], {}),
        }
        assert isinstance(answer, Table)
        user, name, roles, attributes = answer.values
        assert isinstance(user, Vector)
        assert isinstance(name, Vector)
        assert (user.type, name.type) == (QType.SYMBOL, QType.SYMBOL)
        assert [type(each) for each in (roles, attributes)] == [List, List]


async def test_where_nobody_is_in_the_answer_is_the_table_without_rows(clock: FakeClock) -> None:
    async with serving(clock, access=ACCESS) as daemon:
        rdb = await daemon.process(200, name="rdb1")
        assert rows(await rdb.sync(FOLLOW)) == {}


async def test_a_key_that_is_not_known_is_passed_over(clock: FakeClock) -> None:
    async with serving(clock, access=ACCESS) as daemon:
        rdb = await daemon.process(200, name="rdb1")
        more = call("follow", dictionary({"of": symbol("all"), "n": int_(1)}))
        assert rows(await rdb.sync(more)) == {}


@pytest.mark.parametrize(
    "access",
    [AccessRules(), AccessRules(ceilings=(Ceiling(name="gw*"), Ceiling(estate=True)))],
)
async def test_a_process_without_estate_is_told_what_to_do_and_nothing_else(
    clock: FakeClock, access: AccessRules
) -> None:
    async with serving(clock, access=access) as daemon:
        q = await daemon.process()
        with pytest.raises(QReplyError, match=r"gw1 .* wanted estate = true .* set it there"):
            await q.sync(FOLLOW)
        await log_in(daemon, q)
        assert q.pushes == []


async def test_it_must_be_sync(clock: FakeClock) -> None:
    async with serving(clock, access=ACCESS) as daemon:
        rdb = await daemon.process(200, name="rdb1")
        await rdb.tell(FOLLOW)
        await rdb.ping()
        assert daemon.estate.followers == 0


def noted(process: Process, name: str, order: list[str]) -> Callable[[bytes], None]:
    """Return what writes to a process and notes its name."""
    write = process.end.transport.write

    def note(data: bytes) -> None:
        order.append(name)
        write(data)

    return note


async def test_a_login_is_told_before_it_is_answered_and_after_it_is_on_disk(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        order = list[str]()
        for name, process in (("gateway", q), ("backend", backend.process)):
            monkeypatch.setattr(process.end.transport, "write", noted(process, name, order))
        disk = daemon.store.hold()
        daemon.verifier.says = verdict(principal("alice"))
        await q.ask(connect_call("alice", password_of("access"), 5))
        await daemon.store.arrived.wait()
        await idle()
        assert order == []
        disk.set()
        assert plain_dict(await q.answer())["ok"]
        assert order == ["backend", "gateway"]
        assert await backend.process.next_push() == said()


async def test_a_refused_login_is_told_to_nobody(clock: FakeClock) -> None:
    async with following_at(clock) as (_, q, backend):
        await q.connect("eyJhbGciOiJub25lIn0.e30.x", "access")
        assert await backend.now() == NOBODY


async def test_what_cannot_be_written_is_told_to_nobody(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        daemon.store.failing = 100
        await q.connect()
        assert await backend.now() == NOBODY


async def test_the_last_session_under_a_name_ends_it_and_one_before_does_not(
    clock: FakeClock,
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q, handle=5)
        await log_in(daemon, q, handle=6)
        assert [await backend.process.next_push()] == [said()]
        await log_out(q, 6)
        await log_out(q, 5)
        assert [await backend.process.next_push()] == [said(gone=True)]
        assert await backend.now() == NOBODY


async def test_a_login_that_is_never_opened_goes_when_its_time_is_over(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        daemon.verifier.says = verdict(principal("alice"))
        await q.connect()
        assert await backend.process.next_push() == said()
        await clock.advance(RULES.unbound.total_seconds() + 1)
        assert await backend.process.next_push() == said(gone=True)


async def test_of_several_sessions_under_a_name_the_newest_counts(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q, handle=5, roles=("reader",))
        await clock.advance(1)
        await log_in(daemon, q, handle=6, roles=("reads-all", "writer"))
        assert await backend.now() == {"alice": ("alice", ["reads-all"], {})}
        await log_out(q, 6)
        assert await backend.now() == {"alice": ("alice", ["reader"], {})}


async def test_two_spellings_are_two_people_there(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q, "alice", 5)
        await log_in(daemon, q, "ALICE", 6)
        assert {*await backend.now()} == {"alice", "ALICE"}
        await log_out(q, 5)
        assert {*await backend.now()} == {"ALICE"}


async def test_however_many_spellings_somebody_types_few_become_symbols(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        told = set[str]()
        for number in range(1, 40):
            bits = format(number, "06b")
            name = "".join(
                letter.upper() if bit == "1" else letter
                for letter, bit in zip("abcdef", bits, strict=True)
            )
            await log_in(daemon, q, name, 5)
            told |= {*await backend.now()}
            assert len(await backend.now()) == 1  # the one before on the handle has gone
        assert len(told) == SPELLINGS + 1


async def test_other_roles_of_a_refresh_are_told_and_equal_ones_are_not(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        pair = "access-token-of-alice;refresh-token-of-alice"
        daemon.verifier.says = verdict(principal("alice"))
        assert plain_dict(await q.sync(connect_call("alice", pair, 5)))["ok"]
        assert await backend.now() == {"alice": ("alice", ["reader"], {})}
        for roles in (("reader",), ("reader", "writer"), ("read-more",)):
            begin = clock.now()
            daemon.verifier.says = verdict(principal("alice"), roles=roles, begin=begin)
            await q.connect("alice", f"again-{len(roles)}-{roles[0]}", 5)
            await backend.now()
        assert await backend.now() == {"alice": ("alice", ["read-more"], {})}


async def test_what_is_revoked_is_gone(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q)
        assert {*await backend.now()} == {"alice"}
        await daemon.revoke_all()
        assert await backend.now() == NOBODY


async def test_what_ends_while_the_disk_is_full_is_gone(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q)
        assert {*await backend.now()} == {"alice"}
        daemon.store.failing = 100
        revoke = Revoke(id=UUID(int=5), scope=Scope.USER, value="alice", reason="now")
        with pytest.raises(StoreError, match="the disk is full"):
            await daemon.table.ask(revoke)
        assert await backend.now() == NOBODY


async def test_whom_the_ceiling_keeps_out_is_never_told(clock: FakeClock) -> None:
    only_bob = AccessRules(ceilings=(Ceiling(name="rdb*", users=("bob",), estate=True),))
    async with following_at(clock, only_bob) as (daemon, q, backend):
        await log_in(daemon, q, "alice", 5)
        await log_in(daemon, q, "bob", 6)
        assert {*await backend.now()} == {"bob"}


async def test_followers_under_one_ceiling_share_what_they_are_told_and_others_have_their_own(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[str]()
    standing = replies.standing

    def note(user: str, of: Standing) -> bytes:
        made.append(user)
        return standing(user, of)

    monkeypatch.setattr(replies, "standing", note)
    async with following_at(clock) as (daemon, q, one):
        another = Backend(await daemon.process(201, name="rdb2"))
        hdb = Backend(await daemon.process(202, name="hdb1"))
        await another.follow()
        await hdb.follow()
        await log_in(daemon, q, roles=("reader", "writer"))
        assert await one.now() == await another.now() == {"alice": ("alice", ["reader"], {})}
        assert await hdb.now() == {"alice": ("alice", ["reader", "writer"], {})}
        assert made == ["alice"] * 2  # one for each ceiling


async def test_to_follow_again_answers_anew_and_doubles_no_push(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q)
        await backend.now()
        await backend.follow()
        assert backend.known == {"alice": ("alice", ["reader"], {})}
        await log_out(q)
        assert await backend.now() == NOBODY
        assert daemon.estate.followers == 1


async def test_a_process_that_left_is_told_nothing_and_what_nobody_follows_is_dropped(
    clock: FakeClock,
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await backend.process.leave()
        assert daemon.estate.followers == 0
        await log_in(daemon, q)
        assert daemon.estate._audiences  # it may come back
        await clock.advance(estate.LINGER)
        assert not daemon.estate._audiences
        assert daemon.estate._present is None


async def test_who_comes_back_in_time_finds_what_was_kept_and_how_it_is_now(
    clock: FakeClock,
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await backend.process.leave()
        await log_in(daemon, q)
        again = Backend(await daemon.process(200, name="rdb1"))
        await again.follow()
        assert {*again.known} == {"alice"}
        await clock.advance(estate.LINGER)
        await log_out(q)
        assert await again.now() == NOBODY
        assert daemon.estate.followers == 1


async def test_who_does_not_read_is_cut_off_and_no_other(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond.kdb.outbox.BACKLOG", 400)
    async with following_at(clock) as (daemon, q, backend):
        asleep = Backend(await daemon.process(201, name="rdb2"))
        await asleep.follow()
        asleep.process.end.read_no_more()
        for number in range(8):
            await log_in(daemon, q, f"user{number}", 5 + number)
        assert len(await backend.now()) == 8
        assert asleep.process.over.is_set()
        assert daemon.estate.followers == 1


async def test_a_grant_a_ceiling_and_a_protected_role_of_a_reload_are_told_as_differences(
    clock: FakeClock,
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q, "alice", 5, roles=("reader", "writer"))
        await log_in(daemon, q, "bob", 6, roles=("reader",))
        assert len(await backend.now()) == 2
        wider = Ceiling(name="rdb*", estate=True)
        granting = LocalGrant(users=("bob",), roles=("admin",))
        daemon.reload(AccessRules(ceilings=(wider,), grants=(granting,)))
        assert await backend.now() == {
            "alice": ("alice", ["reader", "writer"], {}),
            "bob": ("bob", ["admin", "reader"], {}),
        }
        no_bob = Ceiling(name="rdb*", users=("alice",), estate=True)
        daemon.reload(AccessRules(ceilings=(no_bob,)))
        assert await backend.now() == {"alice": ("alice", ["reader", "writer"], {})}
        daemon.reload(AccessRules(ceilings=(no_bob,), configuration="another"))
        assert await backend.now() == {"alice": ("alice", ["reader", "writer"], {})}


async def test_a_process_that_may_not_follow_any_more_is_cut_off_and_told_so_when_it_asks(
    clock: FakeClock,
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q)
        daemon.reload(AccessRules(ceilings=(Ceiling(name="rdb*"),)))
        assert await backend.process.is_cut()
        again = await daemon.process(200, name="rdb1")
        with pytest.raises(QReplyError, match="wanted estate = true"):
            await again.sync(FOLLOW)


async def test_one_that_comes_under_another_ceiling_than_its_like_is_to_ask_again(
    clock: FakeClock,
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        another = Backend(await daemon.process(201, name="rdb2"))
        await another.follow()
        await log_in(daemon, q, roles=("reader", "writer"))
        await another.now()
        apart = Ceiling(name="rdb2", roles=("writer",), estate=True)
        daemon.reload(AccessRules(ceilings=(apart, BACKEND)))
        assert await another.process.is_cut()
        again = Backend(await daemon.process(201, name="rdb2"))
        await again.follow()
        assert again.known == {"alice": ("alice", ["writer"], {})}
        assert await backend.now() == {"alice": ("alice", ["reader"], {})}


async def test_a_fault_in_what_is_told_cuts_off_whom_it_concerns_and_keeps_nobody_out(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following_at(clock) as (daemon, q, backend):

        def fail(*_: object) -> bytes:
            raise ValueError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr("sessiond.kdb.replies.standing", fail)
            await log_in(daemon, q)
            assert await backend.process.is_cut()
            assert daemon.estate.followers == 0
        again = Backend(await daemon.process(200, name="rdb1"))
        await again.follow()
        assert {*again.known} == {"alice"}


async def test_a_fault_while_many_are_looked_at_ends_it_for_those_who_ask_and_nothing_else(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(clock, access=ACCESS) as daemon:
        q = await daemon.process()
        rdb = await daemon.process(200, name="rdb1")
        await log_in(daemon, q)

        def fail(*_: object) -> None:
            raise ValueError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(Present, "fill", fail)
            await rdb.ask(FOLLOW)
            assert await rdb.is_cut()
        again = Backend(await daemon.process(200, name="rdb1"))
        await again.follow()
        assert {*again.known} == {"alice"}


@pytest.mark.parametrize("at", range(8))
async def test_what_changes_while_an_answer_is_made_is_neither_missed_nor_told_twice(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(estate, "AT_ONCE", 1)
    async with serving(clock, access=ACCESS) as daemon:
        q, backend = await daemon.process(), Backend(await daemon.process(200, name="rdb1"))
        for number in range(4):
            await log_in(daemon, q, f"user{number}", 5 + number)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.follow)
            for _ in range(3 * at):
                await anyio.lowlevel.checkpoint()
            await log_out(q, 5)
            await log_in(daemon, q, "late", 20)
            await log_in(daemon, q, "user2", 7, roles=("read-more",))
        fresh = rows(await (await daemon.process(201, name="rdb2")).sync(FOLLOW))
        assert {*fresh} == {"user1", "user2", "user3", "late"}
        assert await backend.now() == fresh


async def test_a_large_answer_is_read_before_pushes_follow_it(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond.kdb.outbox.BACKLOG", 150)
    async with serving(clock, access=ACCESS) as daemon:
        q = await daemon.process()
        rdb = await daemon.process(200, name="rdb1", room=200)
        for number in range(9):
            await log_in(daemon, q, f"user{number}", 5 + number)
        await rdb.ask(FOLLOW)
        await idle()
        for number in range(9):
            await log_out(q, 5 + number)
        backend = Backend(rdb)
        backend.known = rows(await rdb.answer())
        assert len(backend.known) == 9
        for _ in range(9):
            push = await rdb.next_push()
            assert push["gone"]
        assert daemon.estate.followers == 1


async def test_who_never_reads_its_answer_is_cut_off_and_another_user_has_not_waited(
    clock: FakeClock,
) -> None:
    async with serving(clock, access=ACCESS) as daemon:
        q = await daemon.process()
        for number in range(9):
            await log_in(daemon, q, f"user{number}", 5 + number)
        asleep = await daemon.process(200, name="rdb1", room=200)
        awake = await daemon.process(201, name="rdb2")
        stranger = daemon.arrive(replace(peer(202), uid=501))
        await stranger.greet()
        await stranger.hello("rdb3")
        await asleep.ask(FOLLOW)
        await idle()
        await awake.ask(FOLLOW)
        assert len(rows(await stranger.sync(FOLLOW))) == 9
        await idle()
        assert daemon.estate.followers == 1
        await clock.advance(estate.READ_WITHIN)
        await idle()
        assert asleep.over.is_set()
        assert len(rows(await awake.answer())) == 9
        assert daemon.estate.followers == 2


async def test_of_one_users_processes_the_next_is_answered_when_the_one_before_has_read(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = list[str]()
    deliver = Estate.deliver

    async def noted(self: Estate, answering: Answering) -> None:
        sent.append(answering.about.name)
        await deliver(self, answering)

    monkeypatch.setattr(Estate, "deliver", noted)
    async with serving(clock, access=ACCESS) as daemon:
        q = await daemon.process()
        for number in range(9):
            await log_in(daemon, q, f"user{number}", 5 + number)
        asking = [
            await daemon.process(200 + number, name=f"rdb{number}", room=200) for number in range(3)
        ]
        for each in asking:
            await each.ask(FOLLOW)
        for number, each in enumerate(asking):
            await idle()
            assert sent == ["rdb0", "rdb1", "rdb2"][: number + 1]
            assert len(rows(await each.answer())) == 9
        await idle()
        assert daemon.estate.followers == 3


async def test_all_who_ask_before_an_answer_is_begun_have_it_and_each_what_came_since(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estate, "AT_ONCE", 1)
    made = list[int]()
    make = Estate._make

    async def noted(self: Estate, answering: Answering) -> bytes:
        made.append(len(answering.audience.answering))
        return await make(self, answering)

    monkeypatch.setattr(Estate, "_make", noted)
    async with serving(clock, access=ACCESS) as daemon:
        q = await daemon.process()
        for number in range(9):
            await log_in(daemon, q, f"user{number}", 5 + number)
        backends = [
            Backend(await daemon.process(200 + number, name=f"rdb{number}")) for number in range(3)
        ]
        async with anyio.create_task_group() as tasks:
            for each in backends:
                tasks.start_soon(each.follow)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            await log_in(daemon, q, "late", 30)
            await log_out(q, 5)
        assert made == [3]
        for each in backends:
            assert {*await each.now()} == {"late", *(f"user{number}" for number in range(1, 9))}


async def test_a_late_answer_is_made_no_further(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a process asks that cannot be answered in time, one answer is being made."""
    at_work = list[Answering]()

    async def never(self: Estate, answering: Answering) -> bytes:
        at_work.append(answering)
        try:
            await anyio.sleep_forever()
        finally:
            at_work.remove(answering)
        raise AssertionError

    async with serving(clock, access=ACCESS, deadline=2.0) as daemon:
        rdb = await daemon.process(200, name="rdb1")
        monkeypatch.setattr(Estate, "answer", never)
        for _ in range(3):
            await rdb.ask(FOLLOW)
            await idle()
            assert len(at_work) == 1
            await clock.advance(2.0)
            with pytest.raises(QReplyError, match="no answer in time"):
                await rdb.answer()
            await idle()
            assert at_work == []
        await clock.advance(estate.LINGER)
        assert not daemon.estate._audiences


async def test_a_fault_in_a_reload_cuts_off_who_follows_and_nothing_else(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q)

        def fail(*_: object) -> None:
            raise ValueError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(Audience, "look_anew", fail)
            daemon.reload(replace(ACCESS, configuration="another"))
        assert await backend.process.is_cut()
        again = Backend(await daemon.process(200, name="rdb1"))
        await again.follow()
        assert {*again.known} == {"alice"}


async def test_a_process_that_asks_twice_at_once_has_two_answers_and_each_push_once(
    clock: FakeClock,
) -> None:
    async with serving(clock, access=ACCESS) as daemon:
        q, rdb = await daemon.process(), await daemon.process(200, name="rdb1", room=200)
        for number in range(9):
            await log_in(daemon, q, f"user{number}", 5 + number)
        await rdb.ask(FOLLOW, FOLLOW)
        await idle()
        await log_out(q, 5)
        assert len(rows(await rdb.answer())) == 9
        backend = Backend(rdb)
        backend.known = rows(await rdb.answer())
        rdb.pushes.clear()  # between the answers
        await log_in(daemon, q, "late", 5)
        assert {*await backend.now()} == {"late", *(f"user{number}" for number in range(1, 9))}
        assert daemon.estate.followers == 1


@pytest.mark.parametrize("room", [math.inf, 200])
async def test_one_that_half_closes_is_answered_and_follows_no_more(
    clock: FakeClock, room: float
) -> None:
    async with serving(clock, access=ACCESS) as daemon:
        q, rdb = await daemon.process(), await daemon.process(200, name="rdb1", room=room)
        for number in range(9):
            await log_in(daemon, q, f"user{number}", 5 + number)
        await rdb.ask(FOLLOW)
        await rdb.end.send_eof()
        assert len(rows(await rdb.answer())) == 9
        assert await rdb.is_cut()
        assert daemon.estate.followers == 0


@pytest.mark.parametrize("at", range(1, 7))
async def test_a_reload_that_takes_estate_while_it_is_answered_cuts_it_off(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(estate, "AT_ONCE", 1)
    async with serving(clock, access=ACCESS) as daemon:
        q, rdb = await daemon.process(), await daemon.process(200, name="rdb1")
        for number in range(9):
            await log_in(daemon, q, f"user{number}", 5 + number)
        await rdb.ask(FOLLOW)
        for _ in range(4 * at):
            await anyio.lowlevel.checkpoint()
        daemon.reload(AccessRules(ceilings=(Ceiling(name="rdb*"),)))
        assert await rdb.is_cut()
        assert daemon.estate.followers == 0
        assert not daemon.estate._audiences


async def test_a_login_that_is_withdrawn_since_it_is_late_is_gone(clock: FakeClock) -> None:
    async with serving(clock, access=ACCESS, deadline=2.0) as daemon:
        q, rdb = await daemon.process(), await daemon.process(200, name="rdb1")
        assert rows(await rdb.sync(FOLLOW)) == {}
        daemon.verifier.says = verdict(principal("alice"))
        disk = daemon.store.hold()
        late = await daemon.late(q, connect_call("alice", password_of("access"), 5))
        assert late["reason"] == "deadline"
        disk.set()
        assert await daemon.live(q) == 0
        await rdb.ping()
        assert rdb.pushes in ([], [said(), said(gone=True)])


async def test_roles_and_attributes_that_a_renewal_brings_are_told(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        session = await log_in(daemon, q, "Alice")
        assert await backend.now() == {"Alice": ("alice", ["reader"], {})}
        for roles, desk in ((("reader", "read-more"), "fx"), (("writer", "reader"), "rates")):
            daemon.verifier.says = verdict(
                principal("alice"), roles=roles, attributes={"desk": desk}
            )
            answer = plain_dict(await q.sync(renew(session, f"fresh-for-{desk}")))
            assert answer["ok"], answer["reason"]
            told = [each for each in sorted(roles) if each.startswith("read")]
            assert await backend.now() == {"Alice": ("alice", told, {"desk": desk})}
        daemon.verifier.says = TokenRejected(Refusal.EXPIRED, "over")
        assert not plain_dict(await q.sync(renew(session, "bad-one")))["ok"]
        assert len(await backend.now()) == 1


async def test_sessions_of_a_process_that_is_lost_stand_until_it_does_not_name_them(
    clock: FakeClock,
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        kept = await log_in(daemon, q, "alice", 5)
        await log_in(daemon, q, "bob", 6)
        assert len(await backend.now()) == 2
        await q.leave()
        assert len(await backend.now()) == 2
        again = await daemon.process()
        assert await again.reconcile({5: kept}) == []
        assert {*await backend.now()} == {"alice"}
        await again.leave()
        await clock.advance(RULES.grace.total_seconds() + 1)
        assert await backend.now() == NOBODY


async def test_of_all_who_are_behind_those_of_one_ceiling_are_looked_at_in_a_turn(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estate, "AT_ONCE", 2)
    async with following_at(clock) as (daemon, q, one):
        hdb = Backend(await daemon.process(202, name="hdb1"))
        await hdb.follow()
        for number in range(5):
            await log_in(daemon, q, f"user{number}", 5 + number)
        looked = list[int]()
        look_at_some = Estate._look_at_some
        newest = Present.newest

        async def turn(self: Estate) -> None:
            looked.append(0)
            await look_at_some(self)

        def note(self: Present, name: str) -> Session | None:
            looked[-1] += 1
            return newest(self, name)

        monkeypatch.setattr(Estate, "_look_at_some", turn)
        monkeypatch.setattr(Present, "newest", note)
        daemon.reload(replace(ACCESS, configuration="another"))
        await idle()
        assert sum(looked) == 10
        assert max(looked) == 2
        assert len(await one.now()) == len(await hdb.now()) == 5


async def test_an_answer_that_is_late_is_a_q_error_and_the_next_one_is_there(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(clock, access=ACCESS, deadline=2.0) as daemon:
        rdb = await daemon.process(200, name="rdb1")
        held = anyio.Event()
        answer = daemon.estate.answer

        async def slow(answering: Answering) -> bytes:
            await held.wait()
            return await answer(answering)

        monkeypatch.setattr(daemon.estate, "answer", slow)
        await rdb.ask(FOLLOW)
        await idle()
        await clock.advance(2.0)
        with pytest.raises(QReplyError, match="no answer in time"):
            await rdb.answer()
        held.set()
        await idle()
        assert daemon.estate.followers == 0
        assert rows(await rdb.sync(FOLLOW)) == {}
        assert daemon.estate.followers == 1


async def test_without_a_follower_a_login_is_looked_at_by_nobody(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = list[object]()
    monkeypatch.setattr("sessiond.core.present.Present.take", looked.append)
    monkeypatch.setattr("sessiond.core.standing.standing_at", looked.append)
    async with serving(clock, access=ACCESS) as daemon:
        q = await daemon.process()
        await log_in(daemon, q)
        assert looked == []
        assert daemon.estate._present is None


async def test_with_a_follower_a_login_looks_at_its_own_name_however_many_there_are(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following_at(clock) as (daemon, q, backend):
        for number in range(20):
            await log_in(daemon, q, f"user{number}", 5 + number)
        await backend.now()
        looked = list[str]()
        newest = Present.newest

        def note(self: Present, name: str) -> Session | None:
            looked.append(name)
            return newest(self, name)

        monkeypatch.setattr(Present, "newest", note)
        daemon.verifier.says = verdict(principal("alice"))
        await q.connect("alice", "access", 50)
        assert looked == ["alice"]


async def test_many_ends_at_once_are_told_in_pieces(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estate, "AT_ONCE", 2)
    async with following_at(clock) as (daemon, q, backend):
        for number in range(9):
            await log_in(daemon, q, f"user{number}", 5 + number)
        assert len(await backend.now()) == 9
        await daemon.revoke_all()
        assert await backend.now() == NOBODY


async def test_a_lease_that_runs_out_ends_the_standing(clock: FakeClock) -> None:
    async with following_at(clock) as (daemon, q, backend):
        await log_in(daemon, q, length=timedelta(minutes=1))
        assert {*await backend.now()} == {"alice"}
        await clock.advance(61)
        assert await backend.now() == NOBODY
