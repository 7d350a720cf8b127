"""A q process's end of a connection without its socket: bytes in, answers and pushes out."""

from collections import deque
from typing import Any

from sessiond.core.errors import CallError
from sessiond.qipc import (
    Accepted,
    Asked,
    ClientConnection,
    Push,
    QError,
    Response,
    Table,
    Value,
    text,
    unpack_call,
)
from sessiond.testing.plain import plain_dict

MAX_MESSAGE = 1 << 24  # bytes


class QReplyError(Exception):
    """The daemon answered with a q error."""


class ProcessWire(ClientConnection):
    """Keeps what comes, each kind in its order, until it is asked for.

    `pushes` are what the daemon has told the hook of its sessions, `published` the rows of what
    was subscribed to (`.u.sub`), with their table's name.
    """

    def __init__(self) -> None:
        super().__init__(MAX_MESSAGE)
        self._taken: Accepted | None = None
        self.pushes: list[dict[str, Any]] = []
        self.published: list[tuple[str, Table]] = []
        self._answers: deque[Value | QError] = deque()

    def expect(self, count: int) -> None:
        """Be ready for the answers to so many calls that are sent past this object."""
        self._awaited += count

    def keep_all(self) -> None:
        """Keep all that has come.

        Raises:
            ProtocolError: The daemon broke the protocol.
            CallError: It called what no process has.
        """
        while (event := self.next_event()) is not None:
            self.keep(event)

    def keep(self, event: Accepted | Response | Push | Asked) -> None:
        """Keep one event; errors as `keep_all`'s."""
        match event:
            case Accepted():
                self._taken = event
            case Response():
                self._answers.append(event.value)
            case Push():
                self._keep_push(event.value)
            case Asked():
                raise CallError("the daemon asks nothing of a q process")

    def accepted(self) -> Accepted | None:
        """Return the daemon's answer to the greeting, or None when it is to come."""
        self.keep_all()
        return self._taken

    def next_answer(self) -> Value | None:
        """Return the answer to the oldest call that has none, or None when more is to come.

        Raises:
            QReplyError: It is a q error.
        """
        self.keep_all()
        if not self._answers:
            return None
        answer = self._answers.popleft()
        if isinstance(answer, QError):
            raise QReplyError(answer.text)
        return answer

    def next_push(self) -> dict[str, Any] | None:
        """Return the oldest push that nobody has asked for, or None when none has come."""
        self.keep_all()
        return self.pushes.pop(0) if self.pushes else None

    def next_published(self) -> tuple[str, Table] | None:
        """Return the oldest rows that nobody has asked for, or None when none have come."""
        self.keep_all()
        return self.published.pop(0) if self.published else None

    def _keep_push(self, value: Value) -> None:
        match unpack_call(value):
            case ".sessiond.upd", (about,):
                self.pushes.append(plain_dict(about))
            case "upd", (name, Table() as rows):
                self.published.append((text(name), rows))
            case name, _:
                raise CallError(f"a push to {name}, which the hook does not have")
