"""Which names a process may say in `hello`, and what becomes of one that may not."""

from dataclasses import replace

import pytest
import structlog

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.session import ProcessAbout, ProcessKey
from sessiond.kdb import process_access
from sessiond.kdb.connected import ConnectedProcesses
from sessiond.kdb.process_access import NameRules, ProcessAccess
from sessiond.system.peer import AllowList, Peer
from sessiond.testing import QReplyError
from tests.fakes import FakeClock, process_about, process_key
from tests.unit.kdb.serving import peer, serving

KDB = AllowList(frozenset({500}), frozenset())
QUANTS = AllowList(frozenset({700}), frozenset({70}))
RULES = NameRules(
    access=AccessRules(
        ceilings=(
            Ceiling(name="gateway-test"),
            Ceiling(name="Gateway*"),
            Ceiling(name="*", type="hdb"),
            Ceiling(name="*"),
        )
    ),
    peers=(None, QUANTS, KDB, None),
)


def about(name: str, kind: str = "q") -> ProcessAbout:
    return replace(process_about(), name=name, type=kind)


@pytest.mark.anyio
async def test_a_process_under_anothers_name_is_told_what_to_do_and_is_nobody() -> None:
    clock = FakeClock()
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        rules = ProcessAccess(lambda: RULES)
        daemon.context = replace(daemon.context, process_access=rules)
        impostor = daemon.arrive(peer())  # the same process, under another name
        await impostor.greet()
        for _ in range(2):
            with pytest.raises(QReplyError, match="not for this user: run q as one of the peers"):
                await impostor.hello("GATEWAY1")
        with pytest.raises(QReplyError, match="say hello first"):
            await impostor.sessions()
        assert rules.refused == 1
        assert await q.sessions() == [5]  # its connection was not taken over
        assert [each.id for each in daemon.kept] == [session]
        await impostor.hello("rdb1")


@pytest.mark.parametrize(
    ("said", "kind", "uid", "groups", "is_admitted"),
    [
        ("gateway1", "q", 500, {500}, False),
        ("GATEWAY1", "q", 500, {500}, False),
        ("gateway1", "q", 700, {1}, True),
        ("gateway1", "q", 500, {70}, True),
        ("gateway-test", "q", 500, {500}, True),  # by the first that matches
        ("gateway1", "hdb", 500, {500}, False),
        ("hdb1", "HDB", 500, {500}, True),
        ("hdb1", "hdb", 0, {0}, False),  # not even root, unless it is listed
        ("rdb1", "rdb", 1, {1}, True),
    ],
)
def test_the_first_ceiling_that_matches_says_whose_name_it_is(
    said: str, kind: str, uid: int, groups: set[int], is_admitted: bool
) -> None:
    who = Peer(uid=uid, groups=frozenset(groups), pid=9, started=63)
    assert RULES.admit(who, about(said, kind)) is is_admitted
    assert NameRules().admit(who, about(said, kind))


def test_a_name_that_no_ceiling_is_for_is_anybodys() -> None:
    rules = NameRules(access=AccessRules(ceilings=(Ceiling(name="gw"),)), peers=(QUANTS,))
    assert rules.admit(peer(), about("rdb1"))


def test_a_refused_process_is_logged_and_counted_once_however_often_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    access = ProcessAccess(lambda: RULES)
    with structlog.testing.capture_logs() as lines:
        for name in ("gateway1", "gateway1", "gateway2"):
            assert access.refusal_of(peer(), about(name)) is not None
        assert access.refusal_of(peer(101), about("gateway1")) is not None
        assert access.refusal_of(peer(101), about("rdb1")) is None
    assert [each["pid"] for each in lines] == [100, 101]
    assert [each["refused"] for each in lines] == [1, 2]
    assert access.refused == 2
    monkeypatch.setattr(process_access, "REMEMBERED", 2)
    for pid in (102, 100):  # 100 was forgotten for 102
        access.refusal_of(peer(pid), about("gateway1"))
    assert access.refused == 4


def test_an_advice_names_the_table() -> None:
    said = RULES.advice(about("gateway1"))
    assert said == (
        'the name "gateway1" is not for this user: run q as one of the peers of '
        "access.process[2], or under another name"
    )


class Line:
    """Fulfils `connected.Line`."""

    def __init__(self, connected: ConnectedProcesses, process: ProcessKey) -> None:
        self._connected = connected
        self._process = process
        self.is_cut = False

    def push(self, *messages: bytes) -> None:
        raise AssertionError(messages)

    def cut(self) -> None:
        self.is_cut = self._connected.leave(self._process, self)


def test_who_is_connected_under_a_name_that_is_not_his_any_more_is_cut_off() -> None:
    connected = ConnectedProcesses()
    lines = [Line(connected, process_key(pid)) for pid in (100, 101)]
    for line, pid, name in zip(lines, (100, 101), ("gateway1", "rdb1"), strict=True):
        connected.enter(process_key(pid), line, about(name), peer=peer(pid))
    assert connected.misnamed(NameRules()) == []
    assert [each.pid for each in connected.misnamed(RULES)] == [100]
    with structlog.testing.capture_logs() as logged:
        connected.end_misnamed(RULES)
    assert [each.is_cut for each in lines] == [True, False]
    assert [(each["event"], each["process"]) for each in logged] == [
        ("connection ended: not its name any more", "gateway1")
    ]
    assert connected.misnamed(RULES) == []
