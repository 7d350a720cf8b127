"""The TCP port of a simulated q process, where kdb+ clients come in.

    door = Door(5010, handles=count(6))
    ready, writable, _ = select(door.readers(), door.writers(), [], door.patience())
    for event in door.attend(ready, writable):
        ...  # Knocked: `let_in` or `close`; Asked: `answer`; Left: forget him

It owns the callers: their sockets, what of theirs is read, and what they have still to be sent. Who
may come in and what the answers are is for the process to say, while it has the event. Whoever is
on this machine can call, so all of it is bounded: how many, how long without a name, how large a
name and a query, and who does not read his answer is not read either, as q does it.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sessiond.core.errors import ProtocolError
from sessiond.core.secret import Secret
from sessiond.qipc import Handshake, QError, Received, ServerConnection, Value

HOST = "127.0.0.1"
MAX_CALLERS = 64  # more wait in the system's queue until one leaves
MAX_CREDENTIALS = 65536  # bytes of `user:password`, capability and NUL
MAX_QUERY = 65536  # bytes of a message, with its header
GREETING_WITHIN = 5.0  # seconds for the handshake
CHUNK = 65536  # bytes


@dataclass(frozen=True, slots=True)
class Knocked:
    """Somebody wants in: what .z.pw is asked. `let_in` him or `close`."""

    handle: int
    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Asked:
    """One who is in sent a query, which `answer` answers: what .z.pg and .z.ps are given."""

    handle: int
    query: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class Left:
    """One who was in is not any more: what .z.pc is told."""

    handle: int


Event = Knocked | Asked | Left


class Caller:
    """One connection, to be waited for with `select`."""

    def __init__(self, handle: int, connection: socket.socket) -> None:
        """Begin with one who has said nothing."""
        connection.setblocking(False)
        self.handle = handle
        self.socket = connection
        self.wire = ServerConnection(MAX_QUERY, any_order=True)
        self.wire.max_handshake = MAX_CREDENTIALS
        self.unsent = bytearray()
        self.greets_by = time.monotonic() + GREETING_WITHIN
        self.is_in = False

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, data: bytes = b"") -> None:
        """Send that, or what was left; one who has gone is noticed when he is read next."""
        self.unsent += data
        try:
            del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:  # he does not read
            pass
        except OSError:
            self.unsent.clear()


class Door:
    """Who is at the port: `attend` tells what they do, and the other methods answer it."""

    def __init__(self, port: int | None, *, handles: Iterator[int]) -> None:
        """Listen on loopback.

        Args:
            port: 0 = any that is free; None = listen nowhere, so that nobody comes.
            handles: Where the next caller's handle comes from.

        Raises:
            OSError: The port is another's.
        """
        self._handles = handles
        self._callers: dict[int, Caller] = {}
        self._listener = None if port is None else socket.create_server((HOST, port))
        if self._listener is not None:
            self._listener.setblocking(False)

    @property
    def port(self) -> int | None:
        return None if self._listener is None else int(self._listener.getsockname()[1])

    def readers(self) -> list[Caller | socket.socket]:
        """Return those who may have something to say."""
        readers: list[Caller | socket.socket] = []
        readers += [caller for caller in self._callers.values() if not caller.unsent]
        if self._listener is not None and len(self._callers) < MAX_CALLERS:
            readers.append(self._listener)
        return readers

    def writers(self) -> list[Caller]:
        """Return those who have not taken all of their answer."""
        return [caller for caller in self._callers.values() if caller.unsent]

    def patience(self) -> float | None:
        """Return how long to wait at most, in seconds; None: as long as nobody does anything."""
        waits = [caller.greets_by for caller in self._callers.values() if not caller.is_in]
        return max(0.0, min(waits) - time.monotonic()) if waits else None

    def attend(self, readable: Sequence[object], writable: Sequence[object]) -> Iterator[Event]:
        """Take what is there, and yield what it means; each is to be dealt with at once."""
        if self._listener is not None and self._listener in readable:
            self._meet(self._listener)
        for caller in list(self._callers.values()):
            is_late = not caller.is_in and caller.greets_by <= time.monotonic()
            if caller in writable:
                caller.send()
            elif caller in readable or is_late:  # he may have come while nobody attended
                yield from self._read(caller)
            yield from self._events(caller)
            if is_late and not caller.is_in:
                self.close(caller.handle)

    def let_in(self, handle: int) -> None:
        """Say yes to one who knocked."""
        caller = self._callers[handle]
        caller.is_in = True
        caller.send(caller.wire.accept())

    def answer(self, handle: int, value: Value | QError) -> None:
        """Answer a query; one that was sent async gets none."""
        caller = self._callers[handle]
        if not caller.wire.owed:
            return
        if isinstance(value, QError):
            caller.send(caller.wire.error(value.text))
        else:
            caller.send(caller.wire.reply(value))

    def close(self, handle: int) -> None:
        """Close a handle if it is still there; no `Left` comes of it, as hclose calls no .z.pc."""
        caller = self._callers.pop(handle, None)
        if caller is not None:
            caller.socket.close()

    def _meet(self, listener: socket.socket) -> None:
        with suppress(OSError):  # he went before he was met
            connection, _ = listener.accept()
            handle = next(self._handles)
            self._callers[handle] = Caller(handle, connection)

    def _read(self, caller: Caller) -> Iterator[Event]:
        try:
            data = caller.socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            caller.wire.receive_data(data)
        else:
            yield from self._lose(caller)

    def _events(self, caller: Caller) -> Iterator[Event]:
        """Yield what a caller's bytes mean, as long as he takes the answers."""
        try:
            while caller.handle in self._callers and not caller.unsent:
                match caller.wire.next_event():
                    case Handshake(user, password):
                        yield Knocked(caller.handle, user, password)
                    case Received(_, query):
                        yield Asked(caller.handle, query)
                    case None:
                        return
        except ProtocolError:
            yield from self._lose(caller)

    def _lose(self, caller: Caller) -> Iterator[Event]:
        self.close(caller.handle)
        if caller.is_in:
            yield Left(caller.handle)
