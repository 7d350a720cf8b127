"""One q process's connection, from handshake to end, in one pass and without a task.

Bytes come in and become messages, so many a turn of the loop; each message's call is begun as it
is read; what it changes enters the table, and its answer leaves, in the order of the messages.
"""

import asyncio  # noqa: TID251 - a connection is a Protocol of the loop's: no task, no stream
import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

import structlog

from sessiond.containment import Contained
from sessiond.core.errors import CallError, ProtocolError
from sessiond.core.principal import shown
from sessiond.kdb import replies
from sessiond.kdb.alarm import Alarm
from sessiond.kdb.arrivals import Arrivals
from sessiond.kdb.changing import failing
from sessiond.kdb.conversation import ConnectionContext, Conversation
from sessiond.kdb.listener import Place, Served
from sessiond.kdb.outbox import Outbox
from sessiond.kdb.process_line import ProcessLine
from sessiond.kdb.slots import EARLY, Encoded, Slot, Slots, Wrong
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.welcome import ConnectionSettings
from sessiond.qipc import Handshake, Received, ServerConnection, Value
from sessiond.qipc.messages import MessageKind
from sessiond.system.peer import Peer

HANDSHAKE_TIMEOUT = 10.0  # seconds
HELLO_TIMEOUT = 60.0  # seconds that a connection may be nobody's
LAST_WORDS = 2.0  # seconds for a peer to read its last answers
IN_HAND = 256  # messages of one connection being worked on; the rest waits in the socket
IN_HAND_SIZE = 1 << 18  # bytes of them, and one more message
A_TURN = 8  # messages of one connection, in one turn of the loop
IN_TIME = 0.95  # of the deadline; the rest is for the answer's way to q, on a busy machine
LOOKS_AGAIN = 0.1  # seconds until what was late, and could be begun soon, is looked at again
STRANGERS_MESSAGE = 65536  # bytes of one before `hello`
MAX_ITEMS = 61_000  # as for decode: 10,000 handles to reconcile, and a few milliseconds at most

log = structlog.get_logger()

P = ParamSpec("P")
R = TypeVar("R")


def _guarded(
    callback: Callable[Concatenate["Connection", P], R],
) -> Callable[Concatenate["Connection", P], R | None]:
    """Make what goes wrong in a callback end this connection: the loop would go on with it."""

    @wraps(callback)
    def guard(self: "Connection", /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        with Contained(self.line.fail):
            return callback(self, *args, **kwargs)
        return None

    return guard


class Connection(Served):
    """Serves one process until it leaves, breaks the protocol, or is cut.

    Once it is over nothing leads back to it, so all of it is given back.
    """

    def __init__(
        self, peer: Peer, context: ConnectionContext, settings: ConnectionSettings, place: Place
    ) -> None:
        self._peer = peer
        self._context = context
        self._settings = settings
        self._place = place
        self._account = context.budget.open(peer.uid)
        first = min(STRANGERS_MESSAGE, settings.max_message)
        self._wire = ServerConnection(first, max_items=MAX_ITEMS)
        self._arrivals = Arrivals()
        self._outbox = Outbox(self._account, self._cut_unread)
        self.line = ProcessLine(self._wire, self._outbox, self._cut, context.containment)
        self._slots = Slots(self._answer, self.line.fail)
        self._tasks = ConnectionTasks(place, self.line.fail)
        self._conversation = Conversation(
            context, settings, peer, self.line, self._account, self._slots, self._tasks
        )
        self._alarm = Alarm(context.clock, self._ring)
        self._phase_ends = math.inf  # monotonic moment: of the handshake, of hello, of last words
        self._transport: asyncio.Transport | None = None  # None: not yet, or no more
        self._has_greeted = False
        self._greeting = 0  # bytes of the handshake, the NUL at its end included
        self._is_paused = False  # what comes next stays in the socket
        self._is_ending = False  # no more is taken; what was is answered
        self._says_bye = False
        self._is_closing = False  # all is said
        self._is_over = False

    @property
    def uid(self) -> int:
        """Whose it is."""
        return self._peer.uid

    @_guarded
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._is_over:  # cut before it began
            self._transport.abort()
            return
        self._outbox.begin(self._transport)
        self._phase(HANDSHAKE_TIMEOUT)

    @_guarded
    def data_received(self, data: bytes) -> None:
        if self._is_ending or self._is_over:
            return
        if not self._account.keep(len(data)):
            self.line.cut("its user's processes have too much unread or unsent")
            return
        was_mid, now = self._wire.is_mid_message, self._context.clock.monotonic()
        self._wire.receive_data(data)
        if not self._has_greeted:
            self._greeting += data.find(0) + 1 or len(data)
        has_begun = self._has_greeted and was_mid and not self._is_whole()
        self._arrivals.receive(len(data), now, has_begun=has_begun)
        self.read_on()

    @_guarded
    def eof_received(self) -> bool:
        """Keep the way back open: what was asked is answered."""
        self._end_input()
        return True

    @_guarded
    def pause_writing(self) -> None:
        self._outbox.look()

    @_guarded
    def resume_writing(self) -> None:
        self._outbox.look()

    @_guarded
    def connection_lost(self, exc: Exception | None) -> None:
        """Carry out what was read all the same, though nobody hears of it."""
        self._transport = None
        if self._is_over:
            return
        self._outbox.end()
        self._end_input()

    @_guarded
    def stop(self) -> None:
        """Take no more, and say bye once all that was taken is answered."""
        self._says_bye = True
        self._end_input()

    def cut(self) -> None:
        """End it now."""
        self.line.cut()

    @_guarded
    def read_on(self) -> None:
        """Read some of the messages that have come, as far as there is room in hand."""
        if self._is_over:
            return
        try:
            if self._has_greeted or self._greet():
                for _ in range(A_TURN):
                    if not self._may_read() or not self._context.turns.has_room:
                        break
                    self._take(self._wire.ready)
        except ProtocolError as error:
            self._break(error)
        self._go_on()

    def _greet(self) -> bool:
        """Take the handshake; return whether it is there."""
        try:
            event = self._wire.next_event()
        except ProtocolError as error:
            self._no_handshake(str(error))
            return False
        if event is None:
            return False
        if isinstance(event, Handshake):
            self.line.label = shown(event.user)
        self._has_greeted = True
        self._arrivals.began(self._greeting)  # what comes next has a moment of its own
        self._outbox.put(self._wire.accept())
        self._phase(HELLO_TIMEOUT)
        return True

    def _take(self, size: int, *, is_late: bool = False) -> None:
        """Begin what the next message says; where it is late, only answer it."""
        self._context.turns.spend(size)
        began = self._arrivals.began(size)
        received = cast("Received", self._wire.next_event())  # nothing else comes any more
        slot = Slot(
            self._slots,
            is_sync=received.kind is MessageKind.SYNC,
            began=began,
            answer_by=began + self._settings.deadline * IN_TIME,
            size=size,
        )
        self._slots.add(slot)
        was_known = self._conversation.is_known
        try:
            if is_late:
                self._conversation.pass_over(received.value, slot)
            else:
                self._conversation.begin(received.value, slot)
        except CallError as error:
            slot.settle(failing(error))
        if self._conversation.is_known and not was_known and not self._is_over:
            self._place.known()
            self._wire.admit(self._settings.max_message)
            self._phase_ends = math.inf
        if self._slots.are_waited_for:  # also by one apart, whose message is settled already
            self._alarm.by(slot.answer_by)

    def _may_read(self) -> bool:
        is_free = len(self._slots) < IN_HAND and self._slots.size <= IN_HAND_SIZE
        return is_free and not self._is_over and bool(self._wire.ready)

    def _is_whole(self) -> bool:
        """Say whether the next message has come whole."""
        try:
            return self._has_greeted and bool(self._wire.ready)
        except ProtocolError as error:
            self._break(error)
            return False

    def _break(self, error: ProtocolError) -> None:
        """Take no more; what was asked before is still answered."""
        log.warning("protocol broken", process=self.line.label, error=str(error))
        self._is_ending = True

    def _go_on(self) -> None:
        """Have the rest read later, keep it from growing, and end where nothing is left to do."""
        if self._is_over or self._is_closing:
            return
        is_behind = self._is_whole()
        if is_behind and self._may_read():
            self._context.turns.wait(self)
            soon = self._context.clock.monotonic() + LOOKS_AGAIN
            self._alarm.by(max(self._next_answer_by(), soon))
        self._pause(is_behind or self._is_ending)
        if self._is_ending and not is_behind and not len(self._slots):
            self._close()

    def _pause(self, is_paused: bool) -> None:
        if self._transport is not None and is_paused is not self._is_paused:
            self._is_paused = is_paused
            if is_paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _answer(self, slots: list[Slot]) -> None:
        """Send the answers of those who leave."""
        messages = []
        thens = []
        for slot in slots:
            answer = slot.take_answer()()
            message = self._message(slot, answer)
            if slot.is_sync:
                messages.append(message)
            if isinstance(answer, Encoded):
                thens.append(answer.then)
            self._account.give(slot.size)
        if messages:
            self._outbox.put(*messages)
        for then in thens:  # the process is not kept waiting by what is written to the log
            then()
        self._go_on()

    def _message(self, slot: Slot, answer: Value | Encoded | Wrong) -> bytes:
        """Return a slot's answer as the message that it is sent in, empty where it is not."""
        if isinstance(answer, Wrong):
            if not answer.is_told:
                log.info("call refused", process=self.line.label, error=answer.text)
            return self._wire.error(f"sessiond: {answer.text}") if slot.is_sync else b""
        if not slot.is_sync:
            return b""
        if isinstance(answer, Encoded):
            return self._wire.answer(answer.message)
        return self._wire.reply(answer)

    def _phase(self, seconds: float) -> None:
        self._phase_ends = self._context.clock.monotonic() + seconds
        self._alarm.by(self._phase_ends)

    @_guarded
    def _ring(self) -> None:
        """End what has taken too long, and see when to look again."""
        now = self._context.clock.monotonic()
        if self._phase_ends <= now + EARLY:
            self._end_phase()
        self._slots.pass_time(now)
        self._pass_over(now)
        if not self._is_over:
            self._alarm.by(min(self._phase_ends, self._slots.next_deadline))
            self._go_on()

    def _pass_over(self, now: float) -> None:
        """Answer what has waited too long to be begun, where a crowded table does not move."""
        if not self._context.turns.are_held_up:
            return  # it is begun soon
        try:
            for _ in range(A_TURN):
                if not self._may_read() or self._next_answer_by() > now + EARLY:
                    break
                self._take(self._wire.ready, is_late=True)
        except ProtocolError as error:
            self._break(error)

    def _next_answer_by(self) -> float:
        return self._arrivals.next_began + self._settings.deadline * IN_TIME

    def _end_phase(self) -> None:
        if not self._has_greeted:
            self._no_handshake("none in time")
        elif self._is_closing:
            self._cut()
        else:
            log.info("no hello", uid=self._peer.uid, pid=self._peer.pid)
            self._cut()

    def _no_handshake(self, why: str) -> None:
        log.info("no handshake", uid=self._peer.uid, pid=self._peer.pid, error=why)
        self._cut()

    def _end_input(self) -> None:
        if self._is_over:
            return
        if not self._has_greeted:
            self._no_handshake("it left")
            return
        self._is_ending = True
        if self._is_closing and self._transport is None:
            self._end()
        else:
            self._go_on()

    def _close(self) -> None:
        """Close, once the peer has taken what is sent."""
        if self._says_bye and self._conversation.is_known:
            self.line.push(replies.bye())
        self._is_closing = True
        self._outbox.close()
        if self._transport is None:
            self._end()
        else:
            self._phase(LAST_WORDS)

    def _cut_unread(self) -> None:
        log.warning("process cut off: it does not read", process=self.line.label)
        self._cut()

    def _cut(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._end()

    def _end(self) -> None:
        """Give everything back. What was submitted is still recorded, and then that it left."""
        if self._is_over:
            return
        self._is_over = True
        with ExitStack() as last:  # whatever goes wrong in one of them
            last.callback(self._place.over)
            last.callback(self.line.end)
            last.callback(self._account.close)
            last.callback(self._conversation.leave)
            last.callback(self._outbox.end)
            last.callback(self._tasks.end)
            last.callback(self._slots.stop)
            last.callback(self._context.turns.leave, self)
            last.callback(self._alarm.stop)
