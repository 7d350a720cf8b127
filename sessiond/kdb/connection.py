"""One q process's connection, from handshake to end.

Three tasks in a row: messages are read and their tokens verified side by side; what they change
is recorded in their order; and their answers are given in that order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import anyio
import anyio.lowlevel
import structlog
from anyio.abc import ByteStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from sessiond.core.errors import CallError, ProtocolError, StoreError
from sessiond.core.principal import shown
from sessiond.kdb.conversation import ConnectionContext, Conversation, Message
from sessiond.kdb.outbox import Outbox
from sessiond.kdb.process_line import ProcessLine
from sessiond.kdb.steps import Encoded, Step, Wrong
from sessiond.kdb.tasks import later
from sessiond.kdb.welcome import ConnectionSettings
from sessiond.notifier import Notifier
from sessiond.qipc import Handshake, Received, ServerConnection, Value
from sessiond.qipc.messages import MessageKind
from sessiond.system.peer import Peer

HANDSHAKE_TIMEOUT = 10.0  # seconds
HELLO_TIMEOUT = 60.0  # seconds that a connection may be nobody's
LAST_WORDS = 2.0  # seconds for a peer to read its last answers
IN_HAND = 256  # messages of one connection being worked on; the rest waits in the socket
IN_HAND_SIZE = 1 << 18  # bytes of them, and one more message
IN_TIME = 0.95  # of the deadline; the rest is for the answer's way to q, on a busy machine
CHUNK = 65536  # bytes
STRANGERS_MESSAGE = 65536  # bytes of one before `hello`
MAX_ITEMS = 61_000  # as for decode: 10,000 handles to reconcile, and a few milliseconds at most
BIG = 8192  # bytes from which on messages are decoded one a turn of the loop, whoever sends them

log = structlog.get_logger()


@dataclass(slots=True)
class _InHand:
    """A step with what its answer needs."""

    step: Step
    is_sync: bool
    answer_by: float
    size: int  # bytes of its message


class Connection:
    """Serves one process until it leaves, breaks the protocol, or is cut.

    Nothing that it holds leads back to it, so all of it is given back as it ends.
    """

    def __init__(
        self,
        stream: ByteStream,
        peer: Peer,
        context: ConnectionContext,
        settings: ConnectionSettings,
        said_hello: Callable[[], None] = lambda: None,
    ) -> None:
        self._stream = stream
        self._peer = peer
        self._context = context
        self._settings = settings
        self._said_hello = said_hello
        self._account = context.budget.open(peer.uid)
        first = min(STRANGERS_MESSAGE, settings.max_message)
        self._wire = ServerConnection(first, max_items=MAX_ITEMS)
        self._scope = anyio.CancelScope()
        self._outbox = Outbox(self._scope, self._account)
        self._line = ProcessLine(self._wire, self._outbox, self._scope)
        self._conversation: Conversation | None = None
        self._in_hand = 0  # bytes
        self._answered = Notifier()
        self._first_byte = 0.0  # monotonic moment of the current message's first byte

    async def serve(self) -> None:
        """Serve until the end. Nothing that a peer does raises here."""
        try:
            async with self._stream:
                with self._scope:
                    async with anyio.create_task_group() as tasks:
                        if await self._greet():
                            later(tasks)(partial(self._outbox.run, self._stream))
                            await self._work()
                        self._outbox.close()
                        self._scope.deadline = anyio.current_time() + LAST_WORDS
        finally:
            self._account.close()
            if self._outbox.is_over:
                log.warning("process cut off: it does not read", process=self._line.label)
            if self._conversation is not None:
                await self._conversation.leave()

    async def _greet(self) -> bool:
        """Take the handshake; return False when there was none."""
        try:
            with anyio.fail_after(HANDSHAKE_TIMEOUT):
                while (event := self._wire.next_event()) is None:
                    await self._receive()
        except (ProtocolError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            log.info("no handshake", uid=self._peer.uid, pid=self._peer.pid, error=str(error))
            return False
        if isinstance(event, Handshake):
            self._line.label = shown(event.user)
        self._outbox.put(self._wire.accept())
        return True

    async def _work(self) -> None:
        """Read to the end of input; what was read is still recorded and answered."""
        to_record, recording = anyio.create_memory_object_stream[_InHand](IN_HAND)
        to_answer, answering = anyio.create_memory_object_stream[_InHand](IN_HAND)
        done = anyio.Event()
        async with anyio.create_task_group() as verifying:
            begin = later(verifying)
            conversation = self._conversation = Conversation(
                self._context, self._settings, self._peer, self._line, self._account, begin
            )
            begin(partial(self._expect_hello, conversation))
            begin(partial(self._record, recording, to_answer))
            begin(partial(self._answer, answering, done))
            async with to_record:
                try:
                    await self._read(conversation, to_record)
                except ProtocolError as error:
                    log.warning("protocol broken", process=self._line.label, error=str(error))
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
            await done.wait()
            verifying.cancel_scope.cancel()

    async def _read(
        self, conversation: Conversation, to_record: MemoryObjectSendStream[_InHand]
    ) -> None:
        monotonic = self._context.clock.monotonic
        self._first_byte = monotonic()
        while True:
            while size := self._wire.ready:
                received = await self._decoded(size)
                await to_record.send(self._take(conversation, received, size))
                self._first_byte = monotonic()
            is_fresh = not self._wire.is_mid_message
            await self._receive()
            if is_fresh:
                self._first_byte = monotonic()

    async def _receive(self) -> None:
        """Take what has come, where there is room for it."""
        data = await self._stream.receive(CHUNK)
        if not self._account.keep(len(data)):
            self._line.cut("its user's processes have too much unread or unsent")
            await anyio.lowlevel.checkpoint()  # which ends here
        self._wire.receive_data(data)

    async def _decoded(self, size: int) -> Received:
        """Return the next message, when it is its turn.

        Of what takes long to decode there is one message a turn of the loop, from one user after
        the other. (Of anything there is one a turn from one connection: where it goes, others have
        their turn.)
        """
        await self._answered.wait_for(lambda: self._in_hand <= IN_HAND_SIZE)
        if size < BIG:
            return self._next()
        async with self._context.turns.place(self._peer.uid):
            received = self._next()
            await anyio.lowlevel.checkpoint()
        return received

    def _next(self) -> Received:
        return cast("Received", self._wire.next_event())  # after the handshake nothing else comes

    def _take(self, conversation: Conversation, received: Received, size: int) -> _InHand:
        is_sync, began = received.kind is MessageKind.SYNC, self._first_byte
        answer_by = began + self._settings.deadline * IN_TIME
        was_known = conversation.is_known
        try:
            step = conversation.step(Message(received.value, is_sync, began, answer_by))
        except CallError as error:
            step = Wrong(str(error))
        if conversation.is_known and not was_known:
            self._said_hello()
            self._wire.admit(self._settings.max_message)
        self._in_hand += size
        return _InHand(step, is_sync, answer_by, size)

    async def _expect_hello(self, conversation: Conversation) -> None:
        await self._context.clock.sleep(HELLO_TIMEOUT)
        if not conversation.is_known:
            log.info("no hello", uid=self._peer.uid, pid=self._peer.pid)
            self._line.cut()

    async def _record(
        self,
        recording: MemoryObjectReceiveStream[_InHand],
        to_answer: MemoryObjectSendStream[_InHand],
    ) -> None:
        async with recording, to_answer:
            async for each in recording:
                patience = None if each.step.keeps_time else self._settings.deadline
                with anyio.move_on_after(patience) as time:
                    await each.step.record()
                if time.cancelled_caught:  # what it said is lost, so the process must reconcile
                    log.error("the table takes no changes", process=self._line.label)
                    self._line.cut()
                await to_answer.send(each)

    async def _answer(
        self, answering: MemoryObjectReceiveStream[_InHand], done: anyio.Event
    ) -> None:
        async with answering:
            async for each in answering:
                try:
                    value = await self._in_time(each)
                except (CallError, StoreError) as error:
                    log.info("call refused", process=self._line.label, error=str(error))
                    if each.is_sync:
                        self._outbox.put(self._wire.error(f"sessiond: {error}"))
                else:
                    if each.is_sync:
                        self._outbox.put(self._message(value))
                self._in_hand -= each.size
                self._account.give(each.size)
                self._answered.notify()
        done.set()

    def _message(self, value: Value | Encoded) -> bytes:
        if isinstance(value, Encoded):
            return self._wire.answer(value.message)
        return self._wire.reply(value)

    async def _in_time(self, each: _InHand) -> Value | Encoded:
        if each.step.keeps_time:
            return await each.step.answer()
        with anyio.move_on_after(self._left(each)):
            return await each.step.answer()
        raise CallError("no answer in time")

    def _left(self, each: _InHand) -> float:
        return max(0.0, each.answer_by - self._context.clock.monotonic())
