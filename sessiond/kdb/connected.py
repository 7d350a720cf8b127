"""Which process is on which connection."""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from sessiond.bus import Committed
from sessiond.core.listing import ConnectedProcess
from sessiond.core.session import ProcessAbout, ProcessKey
from sessiond.kdb import replies
from sessiond.notifier import Notifier
from sessiond.qipc import Value

AT_ONCE = 32  # pushes, of some 40 microseconds each; then others have their turn


class Line(Protocol):
    """A connection, as far as others may touch it. Neither call waits."""

    def push(self, value: Value) -> None:
        """Send an async message, or cut the connection when too much is unread."""
        ...

    def cut(self) -> None:
        """End the connection now: a newer one of the same process has taken its place."""
        ...


class ConnectedProcesses:
    """The connected processes, by who they are."""

    def __init__(self) -> None:
        self._lines: dict[ProcessKey, Line] = {}
        self._said: dict[ProcessKey, ConnectedProcess] = {}
        self._sequence = 0  # of the last event that was pushed, or concerned nobody here
        self._moved = Notifier()

    def begin(self, sequence: int) -> None:
        """Take over the last event's number of an earlier run, of which nobody is told any more."""
        self._sequence = sequence

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def hooks(self) -> Counter[str]:
        """How many processes run each version of the hook; "" are those that do not say."""
        return Counter(each.hook for each in self._said.values())

    @property
    def processes(self) -> Mapping[ProcessKey, ConnectedProcess]:
        """Who is connected, and what each has said in its `hello`."""
        return self._said

    def enter(self, process: ProcessKey, line: Line, about: ProcessAbout, hook: str = "") -> bool:
        """Put a process on its connection; return whether that replaced an older one."""
        older = self._lines.get(process)
        self._lines[process] = line
        self._said[process] = ConnectedProcess(about=about, hook=hook)
        if older is not None:
            older.cut()
        return older is not None

    def leave(self, process: ProcessKey, line: Line) -> bool:
        """Take a connection out; return False when a newer one has taken its place."""
        if self._lines.get(process) is not line:
            return False
        del self._lines[process]
        del self._said[process]
        return True

    def say_bye(self) -> None:
        """Tell every process that the daemon is stopping."""
        for line in tuple(self._lines.values()):
            line.push(replies.bye())

    async def deliver(self, news: MemoryObjectReceiveStream[Committed]) -> None:
        """Push what is committed to the processes that it concerns, until the news ends."""
        async with news:
            async for batch in news:
                for number, notice in enumerate(batch.notices, 1):
                    if number % AT_ONCE == 0:
                        await anyio.lowlevel.checkpoint()  # let what is there be sent
                    line = None if notice.push_to is None else self._lines.get(notice.push_to)
                    if line is not None:
                        line.push(replies.push_of(notice.event))
                if batch.notices:
                    # Number 0: told while the disk was full.
                    self._sequence = max(self._sequence, batch.notices[-1].event.sequence)
                    self._moved.notify()

    async def wait_for(self, sequence: int) -> None:
        """Return when every push up to this event's is on its process's connection."""
        await self._moved.wait_for(lambda: self._sequence >= sequence)
        # What was put there is written in this turn of the loop, beside what others write, in no
        # order that is promised: whoever asks goes on in the next.
        await anyio.lowlevel.checkpoint()
