"""A large revocation reaches a process that reads, however many sessions it held."""

import anyio
import anyio.lowlevel
import pytest

from sessiond.core.decide import Notice
from sessiond.core.events import SessionRevoked
from sessiond.kdb.connected import AT_ONCE, ConnectedProcesses
from sessiond.table import Committed
from tests.fakes import START, process_about, process_key

pytestmark = pytest.mark.anyio


class ReadingLine:
    """A process that reads whenever the loop lets it."""

    def __init__(self) -> None:
        self.unread = 0
        self.most = 0
        self.total = 0

    def push(self, *messages: bytes) -> None:
        self.unread += len(messages)
        self.total += len(messages)
        self.most = max(self.most, self.unread)

    def cut(self) -> None:
        raise AssertionError("it reads, so nobody may cut it")

    async def read(self) -> None:
        while True:
            self.unread = 0
            await anyio.lowlevel.checkpoint()


async def test_pushes_are_sent_while_a_batch_is_being_delivered() -> None:
    connected, line = ConnectedProcesses(), ReadingLine()
    connected.enter(process_key(), line, process_about())
    notices = [Notice(SessionRevoked(at=START, sequence=n), process_key()) for n in range(1, 6001)]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.read)
        connected.take(Committed([], notices[:4000]))
        connected.take(Committed([], notices[4000:]))
        await connected.wait_for(6000)
        tasks.cancel_scope.cancel()
    assert line.total == 6000
    assert line.most <= AT_ONCE
