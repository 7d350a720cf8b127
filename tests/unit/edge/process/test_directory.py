"""Which process is on which connection, and what is pushed to it."""

from dataclasses import dataclass, field

import anyio
import pytest

from sessiond.bus import Bus, Committed
from sessiond.core.decide import Notice
from sessiond.core.events import SessionClosed, SessionRevoked
from sessiond.core.session import ProcessKey
from sessiond.edge.process import answers
from sessiond.edge.process.directory import Directory
from sessiond.qipc import Value
from tests.fakes import START, process_key, session_id

pytestmark = pytest.mark.anyio

REVOKED = SessionRevoked(at=START, session=session_id(1), handle=5, sequence=7)


@dataclass
class FakeLine:
    """Fulfils `Line`."""

    pushed: list[Value] = field(default_factory=list)
    is_cut: bool = False

    def push(self, value: Value) -> None:
        self.pushed.append(value)

    def cut(self) -> None:
        self.is_cut = True


async def deliver(directory: Directory, *notices: Notice) -> None:
    """Let one batch be committed."""
    bus = Bus()
    news = bus.listen()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(directory.deliver, news)
        await bus.publish(Committed([], notices))
        bus.close()


async def test_the_hooks_of_those_who_are_there_are_counted_by_version() -> None:
    directory, line = Directory(), FakeLine()
    directory.enter(process_key(1), line, "0.1.0")
    directory.enter(process_key(2), FakeLine(), "0.1.0")
    directory.enter(process_key(3), FakeLine())
    assert directory.hooks == {"0.1.0": 2, "": 1}
    directory.enter(process_key(1), FakeLine(), "0.2.0")
    assert not directory.leave(process_key(1), line)
    assert directory.hooks == {"0.1.0": 1, "0.2.0": 1, "": 1}


async def test_what_is_committed_is_pushed_to_the_process_that_it_concerns() -> None:
    directory, one, other = Directory(), FakeLine(), FakeLine()
    directory.enter(process_key(1), one)
    directory.enter(process_key(2), other)
    assert len(directory) == 2
    await deliver(
        directory,
        Notice(REVOKED, process_key(1)),
        Notice(SessionClosed(at=START)),
        Notice(REVOKED, process_key(3)),
    )
    assert one.pushed == [answers.push_of(REVOKED)]
    assert other.pushed == []


async def test_a_newer_connection_of_a_process_takes_the_olders_place() -> None:
    directory, older, newer = Directory(), FakeLine(), FakeLine()
    assert not directory.enter(process_key(), older)
    assert directory.enter(process_key(), newer)
    assert (older.is_cut, newer.is_cut) == (True, False)
    assert not directory.leave(process_key(), older)
    await deliver(directory, Notice(REVOKED, process_key()))
    assert newer.pushed == [answers.push_of(REVOKED)]
    assert directory.leave(process_key(), newer)
    assert not directory.leave(process_key(), newer)
    assert len(directory) == 0


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
    directory, line = Directory(), FakeLine()
    directory.enter(ProcessKey(uid=500, pid=100, started=700), line)
    assert not directory.enter(other, FakeLine())
    assert not line.is_cut


def test_bye_is_said_to_all() -> None:
    directory, lines = Directory(), [FakeLine(), FakeLine()]
    for pid, line in enumerate(lines):
        directory.enter(process_key(pid), line)
    directory.say_bye()
    assert [line.pushed for line in lines] == [[answers.bye()]] * 2
