"""One q process's connection, from handshake to end.

Three tasks in a row: messages are read and their tokens verified side by side; what they change
is recorded in their order; and their answers are given in that order.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import anyio
import structlog
from anyio.abc import ByteStream, TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from sessiond.clock import Clock
from sessiond.core.changes import Bind, Close, KnownNames, Look, Lose, Reconcile, Withdraw
from sessiond.core.errors import CallError, ProtocolError, Refusal, StoreError
from sessiond.core.principal import shown
from sessiond.core.session import ProcessKey
from sessiond.edge.peer import Peer
from sessiond.edge.process import answers, calls
from sessiond.edge.process.attempt import Attempt, Desk, Login, Owner, RenewalAttempt
from sessiond.edge.process.directory import Directory
from sessiond.edge.process.feed import Feed
from sessiond.edge.process.outbox import Outbox
from sessiond.edge.process.steps import (
    Binding,
    Changed,
    LoginStep,
    RenewalStep,
    Said,
    Step,
    Subscribing,
    Wrong,
    renew_apart,
)
from sessiond.eventlog import EventLog
from sessiond.qipc import NIL, Handshake, Received, ServerConnection, Value, is_ping
from sessiond.qipc.messages import MessageKind
from sessiond.qipc.values import QType, Vector

HANDSHAKE_TIMEOUT = 10.0  # seconds
HELLO_TIMEOUT = 60.0  # seconds that a connection may be nobody's
LAST_WORDS = 2.0  # seconds for a peer to read its last answers
IN_HAND = 256  # messages of one connection being worked on; the rest waits in the socket
IN_TIME = 0.95  # of the deadline; the rest is for the answer's way to q, on a busy machine
APART = 16  # async renewals of one connection at a time
CHUNK = 65536  # bytes
MAX_ITEMS = 61_000  # as for decode: 10,000 handles to reconcile, and a few milliseconds at most

log = structlog.get_logger()
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What a connection needs of the daemon."""

    desk: Desk
    directory: Directory
    events: EventLog
    clock: Clock
    welcome: Callable[[calls.Hello], Value]
    deadline: float  # seconds for each answer
    max_message: int  # bytes


@dataclass(slots=True)
class _InHand:
    """A step with what its answer needs."""

    step: Step
    is_sync: bool
    answer_by: float


class Connection:
    """Serves one process until it leaves, breaks the protocol, or is cut."""

    def __init__(self, stream: ByteStream, peer: Peer, counter: Counter) -> None:
        self._stream = stream
        self._peer = peer
        self._counter = counter
        self._wire = ServerConnection(counter.max_message, max_items=MAX_ITEMS)
        self._number = next(_numbers)
        self._label = ""
        self._owner: Owner | None = None
        self._scope = anyio.CancelScope()
        self._outbox = Outbox(self._scope)
        self._feed = Feed(counter.events, self._known, self)
        self._apart = 0  # async renewals under way
        self._first_byte = 0.0  # monotonic moment of the current message's first byte

    def push(self, value: Value) -> None:
        """Send an async message. Never waits."""
        self._outbox.put(self._wire.push(value))

    async def taken(self) -> None:
        """Return when the socket has taken everything."""
        await self._outbox.taken()

    def cut(self, why: str = "") -> None:
        """End the connection now, and log why where that is not logged already."""
        if why:
            log.warning("process cut off", process=self._label, reason=why)
        self._scope.cancel()

    async def serve(self) -> None:
        """Serve until the end. Nothing that a peer does raises here."""
        try:
            async with self._stream:
                with self._scope:
                    async with anyio.create_task_group() as tasks:
                        if await self._greet():
                            tasks.start_soon(self._outbox.run, self._stream)
                            await self._work()
                        self._outbox.close()
                        self._scope.deadline = anyio.current_time() + LAST_WORDS
        finally:
            await self._leave()

    async def _greet(self) -> bool:
        """Take the handshake; return False when there was none."""
        try:
            with anyio.fail_after(HANDSHAKE_TIMEOUT):
                while (event := self._wire.next_event()) is None:
                    self._wire.receive_data(await self._stream.receive(CHUNK))
        except (ProtocolError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            log.info("no handshake", uid=self._peer.uid, pid=self._peer.pid, error=str(error))
            return False
        if isinstance(event, Handshake):
            self._label = shown(event.user)
        self._outbox.put(self._wire.accept())
        return True

    async def _work(self) -> None:
        """Read to the end of input; what was read is still recorded and answered."""
        to_record, recording = anyio.create_memory_object_stream[_InHand](IN_HAND)
        to_answer, answering = anyio.create_memory_object_stream[_InHand](IN_HAND)
        done = anyio.Event()
        async with anyio.create_task_group() as verifying:
            verifying.start_soon(self._expect_hello)
            verifying.start_soon(self._record, recording, to_answer)
            verifying.start_soon(self._answer, answering, verifying, done)
            async with to_record:
                try:
                    await self._read(to_record, verifying)
                except ProtocolError as error:
                    log.warning("protocol broken", process=self._label, error=str(error))
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
            await done.wait()
            verifying.cancel_scope.cancel()

    async def _read(self, to_record: MemoryObjectSendStream[_InHand], verifying: TaskGroup) -> None:
        monotonic = self._counter.clock.monotonic
        self._first_byte = monotonic()
        while True:
            while (event := self._wire.next_event()) is not None:
                if isinstance(event, Received):
                    await to_record.send(self._take(event, verifying))
                self._first_byte = monotonic()
            is_fresh = not self._wire.is_mid_message
            self._wire.receive_data(await self._stream.receive(CHUNK))
            if is_fresh:
                self._first_byte = monotonic()

    def _take(self, received: Received, verifying: TaskGroup) -> _InHand:
        is_sync = received.kind is MessageKind.SYNC
        answer_by = self._first_byte + self._counter.deadline * IN_TIME
        try:
            step = self._step(received.value, is_sync, answer_by, verifying)
        except CallError as error:
            step = Wrong(error)
        return _InHand(step, is_sync, answer_by)

    def _step(self, value: Value, is_sync: bool, answer_by: float, verifying: TaskGroup) -> Step:
        if is_ping(value):
            return Said()
        call = calls.read_call(value)
        table = self._counter.desk.table
        if isinstance(call, calls.Hello):
            return self._hello(call, is_sync)
        if self._owner is None:
            raise CallError("say hello first")
        process = self._owner.key
        match call:
            case calls.Connect():
                if not is_sync:
                    raise CallError("connect must be sync")
                began = self._first_byte
                login = Login(
                    self._counter.desk, self._owner, call, began=began, answer_by=answer_by
                )
                verified = _verifying(login, verifying)
                return LoginStep(login, verified, self._withdrawing(verifying))
            case calls.Renewal():
                return self._renewal(call, is_sync, answer_by, verifying)
            case calls.Opened():
                bind = Bind(process=process, session=call.session, handle=call.handle)
                return Binding(table, bind, self.push, partial(_later, verifying))
            case calls.Disconnect():
                return Changed(table, Close(process=process, handle=call.handle), lambda _: NIL)
            case calls.Reconciliation():
                reconcile = Reconcile(process=process, about=self._owner.about, held=call.held)
                return Changed(table, reconcile, lambda doomed: Vector(QType.INT, tuple(doomed)))
            case calls.Sessions():
                return Changed(table, Look(process=process), answers.sessions)
            case calls.Subscription():
                return self._subscribe(call, is_sync, verifying)

    def _subscribe(self, call: calls.Subscription, is_sync: bool, tasks: TaskGroup) -> Step:
        if not is_sync:
            raise CallError(".u.sub must be sync")
        return Subscribing(call, self._feed, partial(_later, tasks))

    def _hello(self, call: calls.Hello, is_sync: bool) -> Step:
        """Enter the process; its sessions wait until it reconciles."""
        if not is_sync:
            raise CallError("hello must be sync")
        if self._owner is not None:
            raise CallError("hello was said before")
        self._owner = Owner(self._key(), call.about)
        self._counter.directory.enter(self._owner.key, self, call.hook)
        log.info(
            "process connected",
            process=call.about.name,
            type=call.about.type,
            uid=self._peer.uid,
            pid=self._peer.pid,
        )
        lose = Lose(process=self._owner.key)
        return Changed(self._counter.desk.table, lose, lambda _: self._counter.welcome(call))

    def _key(self) -> ProcessKey:
        peer = self._peer
        label = "" if peer.pid else f"{self._label} #{self._number}"
        return ProcessKey(uid=peer.uid, pid=peer.pid, started=peer.started, label=label)

    def _renewal(
        self, call: calls.Renewal, is_sync: bool, answer_by: float, tasks: TaskGroup
    ) -> Step:
        if self._owner is None:
            raise CallError("say hello first")
        attempt = RenewalAttempt(
            self._counter.desk,
            self._owner,
            call,
            began=self._first_byte,
            answer_by=answer_by,
            push=not is_sync,
        )
        if is_sync:
            later = partial(_later, tasks)
            return RenewalStep(attempt, _verifying(attempt, tasks), later, self.push)
        if self._apart >= APART:
            self.push(answers.renewal_refused(call.session, 0, Refusal.THROTTLED))
        else:
            self._apart += 1
            tasks.start_soon(self._renew_apart, attempt)
        return Said()

    async def _renew_apart(self, attempt: RenewalAttempt) -> None:
        await renew_apart(attempt, self.push)
        self._apart -= 1

    async def _known(self, names: frozenset[str]) -> frozenset[str]:
        return await self._counter.desk.table.ask(KnownNames(names=names))

    def _withdrawing(self, tasks: TaskGroup) -> Callable[[Withdraw], None]:
        def withdrawing(withdraw: Withdraw) -> None:
            tasks.start_soon(self._counter.desk.table.submit, withdraw)

        return withdrawing

    async def _expect_hello(self) -> None:
        await self._counter.clock.sleep(HELLO_TIMEOUT)
        if self._owner is None:
            log.info("no hello", uid=self._peer.uid, pid=self._peer.pid)
            self.cut()

    async def _record(
        self,
        recording: MemoryObjectReceiveStream[_InHand],
        to_answer: MemoryObjectSendStream[_InHand],
    ) -> None:
        async with recording, to_answer:
            async for each in recording:
                patience = None if each.step.keeps_time else self._counter.deadline
                with anyio.move_on_after(patience) as time:
                    await each.step.record()
                if time.cancelled_caught:  # what it said is lost, so the process must reconcile
                    log.error("the table takes no changes", process=self._label)
                    self.cut()
                await to_answer.send(each)

    async def _answer(
        self,
        answering: MemoryObjectReceiveStream[_InHand],
        tasks: TaskGroup,
        done: anyio.Event,
    ) -> None:
        async with answering:
            async for each in answering:
                try:
                    value = await self._in_time(each)
                except (CallError, StoreError) as error:
                    log.info("call refused", process=self._label, error=str(error))
                    if each.is_sync:
                        self._outbox.put(self._wire.error(f"sessiond: {error}"))
                else:
                    if each.is_sync:
                        self._outbox.put(self._wire.reply(value))
        done.set()

    async def _in_time(self, each: _InHand) -> Value:
        if each.step.keeps_time:
            return await each.step.answer()
        with anyio.move_on_after(self._left(each)):
            return await each.step.answer()
        raise CallError("no answer in time")

    def _left(self, each: _InHand) -> float:
        return max(0.0, each.answer_by - self._counter.clock.monotonic())

    async def _leave(self) -> None:
        """Let the sessions of a process that left wait for it."""
        if self._outbox.is_over:
            log.warning("process cut off: it does not read", process=self._label)
        owner = self._owner
        if owner is not None and self._counter.directory.leave(owner.key, self):
            log.info("process left", process=owner.about.name, pid=self._peer.pid)
            with anyio.CancelScope(shield=True), suppress(anyio.ClosedResourceError):
                await self._counter.desk.table.submit(Lose(process=owner.key))


def _later(tasks: TaskGroup, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    tasks.start_soon(work)


def _verifying(attempt: Attempt, tasks: TaskGroup) -> anyio.Event:
    """Verify beside the messages; return what happens when that is over."""
    verified = anyio.Event()

    async def verify() -> None:
        await attempt.verify()
        verified.set()

    tasks.start_soon(verify)
    return verified
