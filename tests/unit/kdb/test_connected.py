"""Which process is on which connection, and what is pushed to it."""

import anyio
import pytest

from sessiond.containment import Containment
from sessiond.core.decide import Notice
from sessiond.core.events import SessionClosed, SessionRevoked
from sessiond.core.session import ProcessKey
from sessiond.kdb import replies
from sessiond.kdb.connected import AT_ONCE, ConnectedProcesses
from sessiond.table import Committed
from tests.fakes import START, idle, process_about, process_key, session_id
from tests.unit.kdb.fakes import FakeLine

pytestmark = pytest.mark.anyio

REVOKED = SessionRevoked(at=START, session=session_id(1), handle=5, sequence=7)


def deliver(connected: ConnectedProcesses, *notices: Notice) -> None:
    """Let one batch be committed."""
    connected.take(Committed([], notices))


async def test_the_hooks_of_those_who_are_there_are_counted_by_version() -> None:
    connected, line = ConnectedProcesses(), FakeLine()
    connected.enter(process_key(1), line, process_about(), "0.1.0")
    connected.enter(process_key(2), FakeLine(), process_about(), "0.1.0")
    connected.enter(process_key(3), FakeLine(), process_about())
    assert connected.hooks == {"0.1.0": 2, "": 1}
    connected.enter(process_key(1), FakeLine(), process_about(), "0.2.0")
    assert not connected.leave(process_key(1), line)
    assert connected.hooks == {"0.1.0": 1, "0.2.0": 1, "": 1}


async def test_what_is_committed_is_pushed_to_the_process_that_it_concerns() -> None:
    connected, one, other = ConnectedProcesses(), FakeLine(), FakeLine()
    connected.enter(process_key(1), one, process_about())
    connected.enter(process_key(2), other, process_about())
    assert len(connected) == 2
    deliver(
        connected,
        Notice(REVOKED, process_key(1)),
        Notice(SessionClosed(at=START)),
        Notice(REVOKED, process_key(3)),
    )
    assert one.pushed == [replies.push_of(REVOKED)]
    assert other.pushed == []


async def test_a_newer_connection_of_a_process_takes_the_olders_place() -> None:
    connected, older, newer = ConnectedProcesses(), FakeLine(), FakeLine()
    assert not connected.enter(process_key(), older, process_about())
    assert connected.enter(process_key(), newer, process_about())
    assert (older.is_cut, newer.is_cut) == (True, False)
    assert not connected.leave(process_key(), older)
    deliver(connected, Notice(REVOKED, process_key()))
    assert newer.pushed == [replies.push_of(REVOKED)]
    assert connected.leave(process_key(), newer)
    assert not connected.leave(process_key(), newer)
    assert len(connected) == 0


@pytest.mark.parametrize(
    "other",
    [
        ProcessKey(uid=501, pid=100, started=700),
        ProcessKey(uid=500, pid=101, started=700),
        ProcessKey(uid=500, pid=100, started=701),
        ProcessKey(uid=500, pid=100, started=700, label="x"),
    ],
)
def test_another_user_pid_start_or_label_is_another_process(other: ProcessKey) -> None:
    connected, line = ConnectedProcesses(), FakeLine()
    connected.enter(ProcessKey(uid=500, pid=100, started=700), line, process_about())
    assert not connected.enter(other, FakeLine(), process_about())
    assert not line.is_cut


async def test_who_waits_for_a_push_waits_until_it_is_made_and_no_longer() -> None:
    connected, line, over = ConnectedProcesses(), FakeLine(), list[int]()
    connected.enter(process_key(), line, process_about())
    connected.begin(5)

    async def wait(sequence: int) -> None:
        await connected.wait_for(sequence)
        over.append(sequence)
        assert len(line.pushed) == sequence - 5

    async with anyio.create_task_group() as tasks:
        for sequence in (5, 6, 8):
            tasks.start_soon(wait, sequence)
        await idle()
        assert over == [5]  # of an earlier run
        deliver(connected, revoked(6))
        deliver(connected)
        await idle()
        assert over == [5, 6]
        deliver(connected, revoked(7), revoked(8))
        await idle()
        assert over == [5, 6, 8]


async def test_who_waits_is_let_go_when_all_up_to_his_are_pushed_and_not_at_the_first() -> None:
    connected, line = ConnectedProcesses(), FakeLine()
    connected.enter(process_key(), line, process_about())
    last = 3 * AT_ONCE
    deliver(connected, *map(revoked, range(1, last)))
    assert len(line.pushed) == AT_ONCE  # the others in the next turns of the loop
    deliver(connected, revoked(last))  # and what comes meanwhile after them
    await connected.wait_for(last)
    assert line.pushed == [replies.push_of(revoked(each).event) for each in range(1, last + 1)]


async def test_a_push_of_what_is_not_on_disk_moves_nothing() -> None:
    connected, line = ConnectedProcesses(), FakeLine()
    connected.enter(process_key(), line, process_about())
    connected.begin(5)
    deliver(connected, revoked(0))
    assert len(line.pushed) == 1
    with anyio.fail_after(10):
        await connected.wait_for(5)


async def test_what_concerns_a_process_in_one_turn_goes_to_it_in_one_piece() -> None:
    class CountingLine(FakeLine):
        pieces = 0

        def push(self, *messages: bytes) -> None:
            super().push(*messages)
            self.pieces += 1

    connected, one, other = ConnectedProcesses(), CountingLine(), CountingLine()
    connected.enter(process_key(1), one, process_about())
    connected.enter(process_key(2), other, process_about())
    told = [Notice(revoked(n).event, process_key(1 + n % 2)) for n in range(1, 7)]
    deliver(connected, *told)
    for number, line in enumerate((one, other), 1):
        own = [each.event for each in told if each.push_to == process_key(number)]
        assert line.pushed == [replies.push_of(event) for event in own]
        assert line.pieces == 1


async def test_a_push_that_cannot_be_made_cuts_its_connection_and_keeps_nobody_elses() -> None:
    class BrokenLine(FakeLine):
        def push(self, *messages: bytes) -> None:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates")

    containment = Containment()
    connected, broken, other = ConnectedProcesses(containment), BrokenLine(), FakeLine()
    connected.enter(process_key(1), broken, process_about())
    connected.enter(process_key(2), other, process_about())
    deliver(connected, Notice(REVOKED, process_key(1)), Notice(REVOKED, process_key(2)))
    assert broken.is_cut  # it comes back, and says what it holds
    assert other.pushed == [replies.push_of(REVOKED)]
    assert containment.failures == {("push", "process"): 1}
    with anyio.fail_after(10):
        await connected.wait_for(REVOKED.sequence)


def revoked(sequence: int) -> Notice:
    return Notice(SessionRevoked(at=START, sequence=sequence), process_key())
