"""Which process is on which connection."""

import asyncio  # noqa: TID251 - what is too much for one turn of the loop goes in the next
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from typing import Protocol

import anyio.lowlevel
import structlog

from sessiond.containment import Containment
from sessiond.core.decide import Notice
from sessiond.core.events import Event
from sessiond.core.listing import ConnectedProcess
from sessiond.core.session import ProcessAbout, ProcessKey
from sessiond.kdb import replies
from sessiond.kdb.process_access import NameRules
from sessiond.notifier import Notifier
from sessiond.system.peer import Peer
from sessiond.table import Committed

log = structlog.get_logger()

AT_ONCE = 128  # pushes, of some 7 microseconds each; then others have their turn


class Line(Protocol):
    """A connection, as far as others may touch it. Neither call waits."""

    def push(self, *messages: bytes) -> None:
        """Send encoded async messages, or cut the connection when too much is unread."""
        ...

    def cut(self) -> None:
        """End the connection now: a newer one of the same process has taken its place."""
        ...


class ConnectedProcesses:
    """The connected processes, by who they are."""

    def __init__(self, containment: Containment | None = None) -> None:
        """Make it; a push that raises ends in `containment`, and with it its connection."""
        self._containment = containment or Containment()
        self._lines: dict[ProcessKey, Line] = {}
        self._said: dict[ProcessKey, ConnectedProcess] = {}
        self._peers: dict[ProcessKey, Peer] = {}
        self._waiting = deque[Notice]()  # for their turn to be pushed
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

    def enter(
        self,
        process: ProcessKey,
        line: Line,
        about: ProcessAbout,
        hook: str = "",
        *,
        peer: Peer | None = None,
    ) -> bool:
        """Put a process on its connection; return whether that replaced an older one."""
        older = self._lines.get(process)
        self._lines[process] = line
        self._said[process] = ConnectedProcess(about=about, hook=hook)
        if peer is not None:
            self._peers[process] = peer
        if older is not None:
            older.cut()
        return older is not None

    def leave(self, process: ProcessKey, line: Line) -> bool:
        """Take a connection out; return False when a newer one has taken its place."""
        if self._lines.get(process) is not line:
            return False
        del self._lines[process]
        del self._said[process]
        self._peers.pop(process, None)
        return True

    def misnamed(self, rules: NameRules) -> list[ProcessKey]:
        """Return the processes that could not call themselves what they do by these rules."""
        return [
            process
            for process, peer in self._peers.items()
            if not rules.admit(peer, self._said[process].about)
        ]

    def end_misnamed(self, rules: NameRules) -> None:
        """End the connections of those whose name is not theirs any more."""
        for process in self.misnamed(rules):
            log.warning(
                "connection ended: not its name any more",
                process=self._said[process].about.name,
                uid=process.uid,
                pid=process.pid,
            )
            self._lines[process].cut()

    def take(self, batch: Committed) -> None:
        """Push what is committed to the processes that it concerns, so many a turn of the loop."""
        is_under_way = bool(self._waiting)
        self._waiting.extend(batch.notices)
        if batch.notices and not is_under_way:
            self._push_some()

    def _push_some(self) -> None:
        concerned = defaultdict[ProcessKey, list[Event]](list)
        last = self._sequence
        for _ in range(min(AT_ONCE, len(self._waiting))):
            notice = self._waiting.popleft()
            if notice.push_to is not None:
                concerned[notice.push_to].append(notice.event)
            last = max(last, notice.event.sequence)  # number 0: told while the disk was full
        for process, events in concerned.items():
            self._push(process, events)
        self._sequence = last
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._push_some)  # let what is there be sent
        self._moved.notify()

    def _push(self, process: ProcessKey, events: list[Event]) -> None:
        line = self._lines.get(process)
        if line is None:
            return
        with self._containment.around("push", "process"):
            line.push(*map(replies.push_of, events))
            return
        line.cut()  # it comes back and says what it holds: so it hears of what has ended

    async def wait_for(self, sequence: int) -> None:
        """Return when every push up to this event's is on its process's connection."""
        await self._moved.wait_for(lambda: self._sequence >= sequence)
        # What was put there is written in this turn of the loop, beside what others write, in no
        # order that is promised: whoever asks goes on in the next.
        await anyio.lowlevel.checkpoint()
