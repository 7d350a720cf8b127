"""A process that asks the directory, as the daemon holds it: it can be ended at any moment.

Connecting, TLS and reading block within a C library. A thread in there cannot be ended: a server
that says nothing would use up one after the other, and hold up the daemon's stop. And what
a server sends is decoded in there: not where the keys and tokens are.
"""

import os
import sys
from collections.abc import Mapping
from subprocess import DEVNULL, PIPE

import anyio
from anyio.abc import ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from sessiond.api import IssuerUnavailable, Secret
from sessiond_ldap.settings import LdapSettings
from sessiond_ldap.wire import (
    HEAD,
    Answer,
    FromAsker,
    Question,
    Ready,
    Setup,
    ToAsker,
    WireError,
    framed,
    from_asker,
    size_of,
)

START_WITHIN = 30.0  # seconds
GONE_WITHIN = 2.0  # seconds for the kernel to end what was killed
_HANDED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "TZ")


class Asker:
    """One process and its connection. One task speaks to it at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._size: int | None = None  # of the message whose head was read
        self._is_ready = False
        self._give_up_at = anyio.current_time() + START_WITHIN
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - PIPEs
        self._in: ByteSendStream = process.stdin
        self._out = BufferedByteReceiveStream(process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_starting(self) -> bool:
        """Whether it is on its way still: a question that was given up was not asked yet.

        On a busy machine that takes longer than a deadline. Whoever comes next waits for the same
        one, rather than for another that is given up as early.
        """
        return not self._is_ready and anyio.current_time() < self._give_up_at

    async def answer(self, question: Question) -> Answer:
        """Return what it found. Whoever is cancelled here ends it, unless it `is_starting`.

        Raises:
            IssuerUnavailable: It has ended instead.
        """
        await self._ready()
        await self._send(question)
        answer = await self._receive()
        if isinstance(answer, Ready):
            raise _nonsense("it is ready twice")
        return answer

    async def end(self) -> None:
        """End it, whatever it is doing, and let go of it."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(GONE_WITHIN):
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            await self._in.aclose()
            await self._out.aclose()

    async def set_up(self, setup: Setup) -> None:
        """Tell it what to ask. Not to be cancelled: it would wait for the rest for ever."""
        await self._send(setup)

    async def _ready(self) -> None:
        if not self._is_ready:
            try:
                if not isinstance(await self._receive(), Ready):
                    raise _nonsense("it answers what nobody asked")
            except IssuerUnavailable:
                self._give_up_at = float("-inf")
                raise
            self._is_ready = True

    async def _send(self, message: ToAsker) -> None:
        try:
            await self._in.send(framed(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise _ended() from None

    async def _receive(self) -> FromAsker:
        """Return the next message. Cancelling loses nothing of it."""
        try:
            if self._size is None:
                self._size = size_of(await self._out.receive_exactly(HEAD.size))
            body = await self._out.receive_exactly(self._size)
            self._size = None
            return from_asker(body)
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
            raise _ended() from None
        except WireError as error:
            raise _nonsense(str(error)) from None


async def started(settings: LdapSettings, password: Secret) -> Asker:
    """Return a new process, which is not ready yet. Not to be cancelled.

    Raises:
        IssuerUnavailable: It cannot be started.
    """
    try:
        process = await anyio.open_process(
            # -P: what lies in the working directory is not imported
            [sys.executable, "-P", "-m", "sessiond_ldap"],
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # a traceback is nobody's to read: what is wrong is answered
            env=environment(os.environ),
            start_new_session=True,
        )
    except OSError as error:
        raise IssuerUnavailable(
            f"cannot start the process that asks the directory: {error.strerror}, wanted one: see "
            "whether memory or processes are short"
        ) from None
    asker = Asker(process)
    try:
        await asker.set_up(Setup(settings=settings, password=password.reveal()))
    except IssuerUnavailable:
        await asker.end()
        raise
    return asker


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the process gets of ours: nothing that OpenLDAP's library would obey."""
    return {name: environ[name] for name in _HANDED_ON if name in environ} | {"LDAPNOINIT": "1"}


def _ended() -> IssuerUnavailable:
    return IssuerUnavailable(
        "the process that asks the directory has ended, wanted an answer: it is started anew; see "
        "whether bonsai can be imported, and whether memory is short"
    )


def _nonsense(what: str) -> IssuerUnavailable:
    return IssuerUnavailable(
        f"the process that asks the directory talks nonsense ({what}), wanted an answer: it is "
        "started anew"
    )
