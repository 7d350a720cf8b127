"""Whatever comes between: a follower's answer and pushes are what a fresh answer would be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import anyio
import pytest
from anyio.abc import TaskGroup
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.access import AccessRules, Ceiling, LocalGrant
from sessiond.core.rows import Drop, Put, RowsView, Write
from sessiond.core.session import ProcessAbout, Session
from sessiond.core.standing import Spellings, standing_at
from sessiond.core.written_rows import Rows
from sessiond.kdb import estate
from sessiond.kdb.estate import Estate
from sessiond.qipc import ClientConnection, Push, Response, unpack_call
from sessiond.qipc.values import Table as QTable
from sessiond.table import Committed, Table
from sessiond.testing.plain import plain, plain_dict
from tests.fakes import START, FakeClock, principal, session

NAMES = ("alice", "ALICE", "bob", "carol")
ROLES = ({"reader": ("claim",)}, {"reader": ("claim",), "writer": ("claim",)}, {"admin": ("c",)})
RDB, HDB = Ceiling(name="rdb*", roles=("read*",), estate=True), Ceiling(name="hdb", estate=True)
RULES = (
    AccessRules(ceilings=(RDB, HDB)),
    AccessRules(ceilings=(RDB,)),
    AccessRules(ceilings=(Ceiling(name="*db*", users=("alice", "bob"), estate=True),)),
    AccessRules(ceilings=(HDB, Ceiling(name="rdb2", estate=True), RDB), protected=("admin",)),
    AccessRules(
        ceilings=(RDB, HDB), grants=(LocalGrant(users=("carol",), roles=("read-all", "writer")),)
    ),
)
PROCESSES = ("rdb1", "rdb2", "hdb")

WRITTEN = st.tuples(
    st.booleans(), st.integers(1, 6), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)
)
STEPS = st.one_of(
    st.tuples(st.just("write"), st.lists(WRITTEN, min_size=1, max_size=4)),
    st.tuples(st.just("follow"), st.sampled_from(PROCESSES)),
    st.tuples(
        st.just("write while it is answered"),
        st.tuples(
            st.sampled_from(PROCESSES),
            st.integers(0, 12),
            st.lists(WRITTEN, min_size=1, max_size=4),
        ),
    ),
    st.tuples(st.just("leave"), st.sampled_from(PROCESSES)),
    st.tuples(st.just("reload"), st.sampled_from(RULES)),
    st.tuples(st.just("pass"), st.integers(1, 6)),
    st.tuples(st.just("settle"), st.none()),
)

Known = dict[str, tuple[str, list[str], dict[str, str]]]


@dataclass
class FakeTable:
    """Has the rows, all of them on disk."""

    written: Rows = field(default_factory=Rows)

    async def rows(self) -> RowsView:
        await anyio.lowlevel.checkpoint()
        return self.written


@dataclass(eq=False)
class FakeFollower:
    """A process that follows, as its hook keeps what it is told."""

    name: str
    estate: Estate
    tasks: TaskGroup
    label: str = "rdb"
    known: Known | None = None  # None: it has no answer yet, or has left
    is_over: bool = False

    @property
    def about(self) -> ProcessAbout:
        return ProcessAbout(name=self.name, type="db", host="h", pid=1)

    def follow(self) -> None:
        answering = self.estate.ask(self, self.about)

        async def answered() -> None:
            message = await self.estate.answer(answering)
            async with self.estate.turn_of(id(self)):
                if not self.is_over:
                    self.known = rows_of(message)
                    await self.estate.deliver(answering)

        self.tasks.start_soon(answered)

    def push(self, *messages: bytes) -> None:
        assert self.known is not None, "pushed before it was answered"
        for about in map(pushed, messages_of(messages)):
            assert about["event"] == "standing"
            fresh = (about["name"], about["roles"], about["attributes"])
            assert self.known.get(about["user"]) != fresh, "told what it knows"
            if about["gone"]:
                del self.known[about["user"]]
            else:
                self.known[about["user"]] = fresh

    def cut(self, why: str = "") -> None:
        assert why
        self.leave()

    async def taken(self) -> None:
        pass

    def leave(self) -> None:
        self.is_over, self.known = True, None
        self.estate.leave(self)


def events_of(data: bytes, *, asked: int = 0) -> list[Any]:
    wire = ClientConnection(1 << 20)
    wire.greeting("q")
    wire.receive_data(b"\3")
    wire.next_event()
    wire._awaited = asked
    wire.receive_data(data)
    return [*iter(wire.next_event, None)]


def messages_of(messages: Iterable[bytes]) -> list[Push]:
    return events_of(b"".join(messages))


def pushed(push: Push) -> dict[str, Any]:
    name, (about,) = unpack_call(push.value)
    assert name == ".sessiond.upd"
    return plain_dict(about)


def rows_of(message: bytes) -> Known:
    [response] = events_of(message, asked=1)
    assert isinstance(response, Response)
    assert isinstance(response.value, QTable)
    user, *rest = map(plain, response.value.values)
    assert len(set(user)) == len(user)
    return dict(zip(user, zip(*rest, strict=True), strict=True))


def expected(rows: Rows, rules: AccessRules, about: ProcessAbout) -> Known:
    """Return what an answer is to be: the rule, said as plainly as can be."""
    by_age = sorted(rows.sessions.values(), key=lambda each: (each.since, each.id.int))
    newest = {each.typed: each for each in by_age}
    told = {name: standing_at(rules, about, each) for name, each in newest.items()}
    return {
        name: (of.name, [*of.roles], dict(of.attributes))
        for name, of in told.items()
        if of is not None
    }


def writes(of: list[tuple[bool, int, int, int, int]]) -> list[Write]:
    found: list[Write] = []
    for is_put, number, name, roles, age in of:
        name = (name + number) % len(NAMES) if is_put else 0
        row = session(
            number,
            typed=NAMES[number % len(NAMES)],
            principal=principal(NAMES[number % len(NAMES)].lower()),
            assigned=ROLES[roles],
            attributes={"desk": f"{name}"},
            since=START + timedelta(seconds=age),
        )
        found.append(Put(row) if is_put else Drop(row))
    return found


def taken_apart(steps: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for step, what in steps:
        if step == "write while it is answered":
            yield from zip(("follow", "pass", "write"), what, strict=True)
        else:
            yield step, what
    yield "settle", None


async def play(steps: list[tuple[str, Any]]) -> None:
    table, rules = FakeTable(), RULES[0]
    kept = Estate(cast("Table", table), lambda: rules, FakeClock())
    followers: dict[str, FakeFollower] = {}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.run)
        for step, what in taken_apart(steps):
            match step:
                case "write":
                    batch = writes(what)
                    for write in batch:
                        table.written.apply(write)
                    kept.take(Committed(batch, []))
                case "follow":
                    found = followers.get(what)
                    if found is None or found.is_over:
                        found = followers[what] = FakeFollower(what, kept, tasks)
                    ceiling = rules.ceiling_of(found.about)
                    if ceiling is not None and ceiling.estate:
                        found.follow()
                case "leave" if what in followers:
                    followers[what].leave()
                case "reload":
                    rules = what
                    kept.reload()
                case "pass":
                    for _ in range(what):
                        await anyio.lowlevel.checkpoint()
                case "settle":
                    for _ in range(60):
                        await anyio.lowlevel.checkpoint()
                    for each in followers.values():
                        if each.known is not None:
                            assert each.known == expected(table.written, rules, each.about)
                case _:
                    pass
        tasks.cancel_scope.cancel()


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estate, "AT_ONCE", 1)
        patch.setattr(estate, "COPIED_AT_ONCE", 20)
        yield


@given(steps=st.lists(STEPS, max_size=25))
def test_a_follower_knows_what_a_fresh_answer_would_tell_it(steps: list[tuple[str, Any]]) -> None:
    anyio.run(play, steps)


@given(steps=st.lists(WRITTEN, max_size=30))
def test_no_symbol_is_given_but_verified_names_and_few_spellings(
    steps: list[tuple[bool, int, int, int, int]],
) -> None:
    spellings = Spellings()
    for write in writes(steps):
        row = write.row
        assert isinstance(row, Session)
        assert spellings.told_as(row) == spellings.told_as(row)
        assert spellings.told_as(row).lower() == row.principal.name.lower()
