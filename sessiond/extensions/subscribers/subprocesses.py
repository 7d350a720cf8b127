"""A subscriber's process as the daemon holds it: started, spoken to, listened to, ended."""

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from subprocess import PIPE, STDOUT
from typing import Protocol

import anyio
import structlog
from anyio.abc import Process, UNIXSocketStream

from sessiond.clock import Clock
from sessiond.core.errors import SessiondError
from sessiond.extensions.subscribers import wire
from sessiond.extensions.subscribers.confinement import environment
from sessiond.extensions.subscribers.output import Output
from sessiond.extensions.subscribers.wire import FromChild, Setup, Stop, ToChild

STOP_WITHIN = 5.5  # seconds until a child that was told to stop is killed: its own 5, and a little
LAST_OUTPUT = 0.5  # seconds for what it still had to say

log = structlog.get_logger()


class NotStartedError(SessiondError):
    """The child could not be started: try again later."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The child has ended, or talks nonsense and is to be ended."""

    error: str


class Child(Protocol):
    """A subscriber's process. One task speaks to it."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    async def send(self, message: ToChild) -> None:
        """Send a message. Where the child is gone, `receive` tells."""
        ...

    async def receive(self) -> FromChild | Gone:
        """Return what it says next. Cancelling loses nothing."""
        ...

    async def stop(self) -> None:
        """Tell it to stop, and return when it has ended or had its time."""
        ...


Start = Callable[[Setup], AbstractAsyncContextManager[Child]]


class _Running:
    """A real process, as a `Child`."""

    def __init__(self, process: Process, link: wire.Link[FromChild]) -> None:
        self._process = process
        self._link = link

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, message: ToChild) -> None:
        with suppress(anyio.BrokenResourceError):
            await self._link.send(message)

    async def receive(self) -> FromChild | Gone:
        try:
            return await self._link.receive()
        except wire.WireError as error:
            return Gone(f"it talks nonsense: {error}")
        except anyio.EndOfStream:
            return Gone(await self._ending())

    async def stop(self) -> None:
        with anyio.move_on_after(STOP_WITHIN):
            await self.send(Stop())
            await self._process.wait()

    async def _ending(self) -> str:
        """Say how it ended. The wire may be closed a little before the process has gone."""
        with anyio.move_on_after(1.0):
            code = await self._process.wait()
            if code >= 0:
                return f"it ended with exit code {code}"
            with suppress(ValueError):
                return f"it was ended by {signal.Signals(-code).name}"
            return f"it was ended by signal {-code}"
        return "it closed its end of the wire"


def starter(environ: Mapping[str, str], clock: Clock) -> Start:
    """Return what starts a subscriber's process; the `async with` block ends it in any case."""

    @asynccontextmanager
    async def start(setup: Setup) -> AsyncIterator[Child]:
        process, stream = await _spawned(setup.name, environ)
        output = process.stdout
        assert output is not None  # noqa: S101 - it is a PIPE
        async with stream, output, anyio.create_task_group() as tasks:
            said = anyio.Event()

            async def listen() -> None:
                await Output(setup.name, clock).read(output)
                said.set()

            tasks.start_soon(listen)
            try:
                child = _Running(process, wire.daemons_end(stream))
                tasks.start_soon(child.send, setup)  # a plugin that hangs may not read it
                yield child
            finally:
                with anyio.CancelScope(shield=True):
                    await _ended(process)
                    with anyio.move_on_after(LAST_OUTPUT):
                        await said.wait()
                tasks.cancel_scope.cancel()

    return start


async def _spawned(name: str, environ: Mapping[str, str]) -> tuple[Process, UNIXSocketStream]:
    ours, childs = socket.socketpair()
    with childs:
        try:
            process = await anyio.open_process(
                # -P: what lies in the working directory is not imported
                [sys.executable, "-P", "-m", "sessiond", "subscriber", name],
                stdin=childs.fileno(),
                stdout=PIPE,
                stderr=STDOUT,
                env=environment(environ),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise NotStartedError(f"it cannot be started: {error.strerror}") from error
    return process, await UNIXSocketStream.from_socket(ours)


async def _ended(process: Process) -> None:
    """Kill what still runs of it, with whatever it has started, and reap it.

    No other process can have its id as long as one of its group is left. Where none is, the id
    would have to be given anew, to a group of the daemon's own user, within this moment.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
