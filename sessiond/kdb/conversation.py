"""What one process says: each call is begun, in the order of its messages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import structlog

from sessiond.clock import TimerClock
from sessiond.containment import Containment
from sessiond.core.changes import Bind, Close, ProcessLost, ProcessMet, Reconcile
from sessiond.core.errors import CallError, Refusal
from sessiond.core.password import is_ticket
from sessiond.core.principal import shown
from sessiond.core.queries import KnownNames
from sessiond.core.session import ProcessKey, SessionId
from sessiond.eventlog import EventLog
from sessiond.gate import LoginTimings
from sessiond.kdb import calls, replies
from sessiond.kdb.budget import Account, Budget
from sessiond.kdb.changing import Changing, Listing, Opening, nothing
from sessiond.kdb.connected import ConnectedProcesses
from sessiond.kdb.estate import Estate
from sessiond.kdb.feed import Discretion, Feed, Names, rows
from sessiond.kdb.following import Following
from sessiond.kdb.login import Login
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.kdb.process_access import ProcessAccess
from sessiond.kdb.process_line import ProcessLine
from sessiond.kdb.renewal import Renewal
from sessiond.kdb.slots import Encoded, Slot, Slots, Wrong
from sessiond.kdb.subscriber_access import ProcessNames, SubscriberAccess
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.kdb.telling import Refused, Told, tell
from sessiond.kdb.ticket_call import TicketRequest
from sessiond.kdb.ticket_login import TicketLogin
from sessiond.kdb.token_call import SourceAnswers, TokenRequest
from sessiond.kdb.turns import Turns
from sessiond.kdb.web_call import LATE, WebAnswers, answered, begin_web
from sessiond.kdb.welcome import ConnectionSettings, Welcome
from sessiond.qipc import NIL, Value, is_ping, list_, symbol
from sessiond.qipc.values import QType, Vector
from sessiond.sources.answer import Reason
from sessiond.system.peer import Peer
from sessiond.table import Table
from sessiond.tickets.issuing import TicketRefusal
from sessiond.tickets.tickets import Tickets

RENEWAL_SIZE = 40_000  # bytes that a renewal under way may hold: a token of 32 KiB, and its task

log = structlog.get_logger()
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionContext:
    """What a connection needs of the daemon."""

    login_services: LoginServices
    connected: ConnectedProcesses
    events: EventLog
    clock: TimerClock
    welcome: Welcome
    subscriber_access: SubscriberAccess
    names: ProcessNames
    turns: Turns
    estate: Estate
    web: WebAnswers
    tickets: Tickets
    sources: SourceAnswers
    process_access: ProcessAccess = field(default_factory=ProcessAccess)
    containment: Containment = field(default_factory=Containment)  # where faults of ours end
    budget: Budget = field(default_factory=Budget)


class Conversation:
    """Knows who the process is, from its `hello` on, and what each of its calls does."""

    def __init__(
        self,
        context: ConnectionContext,
        settings: ConnectionSettings,
        peer: Peer,
        line: ProcessLine,
        account: Account,
        slots: Slots,
        tasks: ConnectionTasks,
    ) -> None:
        """Begin with a process that has said nothing yet.

        Args:
            context: What there is for all connections.
            settings: What this one goes by.
            peer: Who is at the other end.
            line: The way back.
            account: What the connection may keep.
            slots: The messages in hand.
            tasks: Where what has to wait runs.
        """
        self._context = context
        self._settings = settings
        self._peer = peer
        self._line = line
        self._account = account
        self._slots = slots
        self._tasks = tasks
        self._number = next(_numbers)
        self._owner: Owner | None = None
        self._renewing: set[SessionId] = set()
        self._feed: Feed | None = None

    @property
    def is_known(self) -> bool:
        """Whether the process has said hello."""
        return self._owner is not None

    def begin(self, value: Value, slot: Slot) -> None:
        """Begin what a message does. Its slot is settled when that is done.

        Raises:
            CallError: Nothing but this q error; the slot is not settled.
        """
        if is_ping(value):
            slot.settle(nothing)
            return
        call = calls.read_call(value)
        table = self._context.login_services.table
        owner = self._owner
        if isinstance(call, calls.Hello):
            self._hello(call, slot)
            return
        if owner is None:
            raise CallError("say hello first")
        match call:
            case calls.Connect():
                self._connect(call, owner, slot)
            case calls.Renewal():
                self._renew(call, owner, slot)
            case calls.Opened():
                bind = Bind(
                    process=owner.key,
                    session=call.session,
                    handle=call.handle,
                    child=SessionId(self._context.login_services.new_id()),
                )
                Opening(table, bind, slot, self._line.push).begin()
            case calls.Disconnect():
                close = Close(process=owner.key, handle=call.handle, session=call.session)
                Changing(table, close, slot, lambda _: NIL).begin()
            case calls.Reconciliation():
                reconcile = Reconcile(process=owner.key, about=owner.about, held=call.held)
                Changing(table, reconcile, slot, _handles).begin()
            case calls.Sessions():
                Listing(table, owner.key, slot, self._tasks).begin()
            case calls.Subscription():
                self._subscribe(call, slot)
            case calls.Follow():
                self._follow_estate(owner, slot)
            case calls.Web():
                self._web(call, owner, slot)
            case calls.TicketCall():
                self._ticket(call, owner, slot)
            case calls.TokenCall():
                self._token(call, owner, slot)

    def pass_over(self, value: Value, slot: Slot) -> None:
        """Answer a message that could not be begun in its time. Nothing of it happens.

        What a process is not answered must happen. So it is cut: it comes back and says anew.

        Raises:
            CallError: Nothing but this q error; the slot is not settled.
        """
        if is_ping(value):
            slot.settle(nothing)
            return
        call, owner = calls.read_call(value), self._owner
        if owner is None and not isinstance(call, calls.Hello):
            raise CallError("say hello first")
        if owner is not None and isinstance(call, calls.Connect | calls.Renewal):
            self._refuse_late(call, owner, slot)
        elif owner is not None and isinstance(call, calls.Web):
            services = self._context.login_services
            slot.settle(partial(answered, services, owner, slot, LATE))
        elif owner is not None and slot.is_sync and isinstance(call, calls.TicketCall):
            slot.settle(lambda: Encoded(replies.no_ticket(TicketRefusal.DEADLINE)))
        elif owner is not None and slot.is_sync and isinstance(call, calls.TokenCall):
            slot.settle(lambda: Encoded(replies.no_token(Reason.UNAVAILABLE)))
        elif slot.is_sync:
            slot.late()
        else:
            self._line.cut("what it said could not be begun in time: see whether the disk is slow")

    def _refuse_late(self, call: calls.Connect | calls.Renewal, owner: Owner, slot: Slot) -> None:
        timings = LoginTimings()
        told = Told(
            call="connect" if isinstance(call, calls.Connect) else "renew",
            user=shown(call.user) if isinstance(call, calls.Connect) else "",
            took=self._context.clock.monotonic() - slot.began,
            commit=None,
            timings=timings,
        )
        late = Refused.late(told.took, timings, is_submitted=True)  # or would be, but for the disk
        tell(self._context.login_services, owner, told, late)
        if not slot.is_sync and isinstance(call, calls.Renewal):
            self._line.push(replies.renewal_refused(call.session, 0, late.reason))
        slot.settle(lambda: Encoded(replies.refused(late.reason)))

    def leave(self) -> None:
        """Let the sessions of a process that left wait for it."""
        owner = self._owner
        self._context.estate.leave(self._line)
        if owner is not None and self._context.connected.leave(owner.key, self._line):
            log.info("process left", process=owner.about.name, pid=self._peer.pid)
            self._context.login_services.table.submit(ProcessLost(process=owner.key))

    def _hello(self, call: calls.Hello, slot: Slot) -> None:
        """Enter the process, where it may call itself so; its sessions wait until it reconciles."""
        if not slot.is_sync:
            raise CallError("hello must be sync")
        if self._owner is not None:
            raise CallError("hello was said before")
        refusal = self._context.process_access.refusal_of(self._peer, call.about)
        if refusal is not None:
            wrong = Wrong(refusal, is_told=True)
            slot.settle(lambda: wrong)
            return
        owner = self._owner = Owner(self._key(), call.about)
        self._context.names.note(self._peer.uid, call.about.name)
        self._context.connected.enter(
            owner.key, self._line, owner.about, call.hook, peer=self._peer
        )
        log.info(
            "process connected",
            process=call.about.name,
            type=call.about.type,
            uid=self._peer.uid,
            pid=self._peer.pid,
        )
        welcome, settings = self._context.welcome, self._settings
        table = self._context.login_services.table
        Changing(
            table,
            ProcessMet(process=owner.key),
            slot,
            lambda _: welcome.answer(call, settings),
        ).begin()

    def _key(self) -> ProcessKey:
        """Return who the process is; without a pid, this connection of this run and nobody else."""
        peer, label = self._peer, ""
        if not peer.pid:
            label = f"{self._line.label} #{self._number} of {self._context.welcome.instance}"
        return ProcessKey(uid=peer.uid, pid=peer.pid, started=peer.started, label=label)

    def _connect(self, call: calls.Connect, owner: Owner, slot: Slot) -> None:
        if not slot.is_sync:
            raise CallError("connect must be sync")
        services = self._context.login_services
        if is_ticket(call.password.reveal()):
            TicketLogin(self._context.tickets.checking, services, owner, call, slot).begin()
            return
        Login(services, owner, call, slot, self._tasks).begin()

    def _ticket(self, call: calls.TicketCall, owner: Owner, slot: Slot) -> None:
        if not slot.is_sync:
            raise CallError("ticket must be sync")
        context = self._context
        TicketRequest(context.tickets.issuing, context.login_services, owner, call, slot).begin()

    def _renew(self, call: calls.Renewal, owner: Owner, slot: Slot) -> None:
        """Renew one session at a time, which is `throttled` while it is being renewed.

        How many sessions are renewed at once is bounded by what that keeps. So whoever renews
        without end holds up nobody else, at this process or another.
        """
        session = call.session
        if session in self._renewing or not self._account.keep(RENEWAL_SIZE):
            if slot.is_sync:
                slot.settle(lambda: Encoded(replies.refused(Refusal.THROTTLED)))
                return
            self._line.push(replies.renewal_refused(session, 0, Refusal.THROTTLED))
            slot.settle(nothing)
            return
        self._renewing.add(session)
        place = slot
        if not slot.is_sync:
            slot.settle(nothing)
            place = Slot(self._slots, began=slot.began, answer_by=slot.answer_by, is_apart=True)
            self._slots.add(place)
        Renewal(
            self._context.login_services,
            owner,
            call,
            place,
            self._tasks,
            self._line.push,
            partial(self._renewed, session),
        ).begin()

    def _renewed(self, session: SessionId) -> None:
        self._renewing.discard(session)
        self._account.give(RENEWAL_SIZE)

    def _subscribe(self, call: calls.Subscription, slot: Slot) -> None:
        """Answer with the table, empty, before any row; again, it only moves the filter.

        It needs nobody, so the answer is on its way when the first row can be.
        """
        if not slot.is_sync:
            raise CallError(".u.sub must be sync")
        context, peer = self._context, self._peer
        if not context.subscriber_access.admits(peer):
            raise CallError(".u.sub is not for this user")
        if self._feed is None:
            discretion = Discretion(
                may_listen=partial(context.subscriber_access.admits, peer),
                known=partial(_known, context.login_services.table),
                may_name=context.names.may_give,
            )
            self._feed = Feed(context.events, discretion, self._line)
        slot.when_due(partial(self._follow, self._feed, call, slot))

    def _follow_estate(self, owner: Owner, slot: Slot) -> None:
        if not slot.is_sync:
            raise CallError("follow must be sync")
        Following(self._context.estate, self._line, owner, slot, self._tasks).begin()

    def _web(self, call: calls.Web, owner: Owner, slot: Slot) -> None:
        if not slot.is_sync:
            raise CallError("web must be sync")
        context = self._context
        begin_web(context.web, context.login_services, owner, call, slot, self._tasks)

    def _token(self, call: calls.TokenCall, owner: Owner, slot: Slot) -> None:
        if not slot.is_sync:
            raise CallError("token must be sync")
        context = self._context
        services = context.login_services
        TokenRequest(context.sources, services, owner, call, slot, self._tasks).begin()

    def _follow(self, feed: Feed, call: calls.Subscription, slot: Slot) -> None:
        feed.follow(call.users, self._tasks.begin)
        slot.settle(lambda: list_(symbol(calls.TABLE), rows(())))


def _handles(doomed: Sequence[int]) -> Value:
    return Vector(QType.INT, tuple(doomed))


async def _known(table: Table, names: Names) -> Names:
    return await table.ask(KnownNames(names=names))
