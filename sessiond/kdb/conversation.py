"""What one process says: each call becomes a step, in the order of its messages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import anyio
import structlog

from sessiond.clock import Clock
from sessiond.core.changes import Bind, Close, ProcessLost, Reconcile, Withdraw
from sessiond.core.errors import CallError, Refusal
from sessiond.core.queries import KnownNames
from sessiond.core.session import ProcessKey, SessionId
from sessiond.eventlog import EventLog
from sessiond.gate import FairLimiter
from sessiond.kdb import calls, replies
from sessiond.kdb.authentication import (
    Authentication,
    Login,
    LoginServices,
    Owner,
    RenewalAuthentication,
)
from sessiond.kdb.budget import Account, Budget
from sessiond.kdb.connected import ConnectedProcesses
from sessiond.kdb.feed import Discretion, Feed, Names
from sessiond.kdb.process_line import ProcessLine
from sessiond.kdb.steps import (
    Binding,
    Changed,
    Listing,
    LoginStep,
    RenewalStep,
    Said,
    Step,
    Subscribing,
    renew_apart,
)
from sessiond.kdb.subscriber_access import ProcessNames, SubscriberAccess
from sessiond.kdb.tasks import Later
from sessiond.kdb.welcome import ConnectionSettings, Welcome
from sessiond.qipc import NIL, Value, dictionary, is_ping
from sessiond.qipc.values import QType, Vector
from sessiond.system.peer import Peer
from sessiond.table import Table

RENEWAL_SIZE = 40_000  # bytes that a renewal under way may hold: a token of 32 KiB, and its task

log = structlog.get_logger()
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionContext:
    """What a connection needs of the daemon."""

    login_services: LoginServices
    connected: ConnectedProcesses
    events: EventLog
    clock: Clock
    welcome: Welcome
    subscriber_access: SubscriberAccess
    names: ProcessNames
    budget: Budget = field(default_factory=Budget)
    turns: FairLimiter = field(default_factory=lambda: FairLimiter(1))  # at decoding what is big


@dataclass(frozen=True, slots=True)
class Message:
    """A message that has come."""

    value: Value
    is_sync: bool
    began: float  # monotonic moment of its first byte
    answer_by: float  # monotonic moment


class Conversation:
    """Knows who the process is, from its `hello` on, and what each of its calls does."""

    def __init__(
        self,
        context: ConnectionContext,
        settings: ConnectionSettings,
        peer: Peer,
        line: ProcessLine,
        account: Account,
        later: Later,
    ) -> None:
        """Begin with a process that has said nothing yet.

        Args:
            context: What there is for all connections.
            settings: What this one goes by.
            peer: Who is at the other end.
            line: The way back.
            account: What the connection may keep.
            later: Starts what goes on beside the messages.
        """
        self._context = context
        self._settings = settings
        self._peer = peer
        self._line = line
        self._account = account
        self._later = later
        self._number = next(_numbers)
        self._owner: Owner | None = None
        self._renewing: set[SessionId] = set()
        self._feed: Feed | None = None

    @property
    def is_known(self) -> bool:
        """Whether the process has said hello."""
        return self._owner is not None

    def step(self, message: Message) -> Step:
        """Return what a message does.

        Raises:
            CallError: Nothing but this q error.
        """
        if is_ping(message.value):
            return Said()
        call = calls.read_call(message.value)
        table = self._context.login_services.table
        if isinstance(call, calls.Hello):
            return self._hello(call, message.is_sync)
        owner = self._owner
        if owner is None:
            raise CallError("say hello first")
        match call:
            case calls.Connect():
                return self._connect(call, owner, message)
            case calls.Renewal():
                return self._renewal(call, owner, message)
            case calls.Opened():
                bind = Bind(process=owner.key, session=call.session, handle=call.handle)
                return Binding(table, bind, self._line.push, self._later)
            case calls.Disconnect():
                close = Close(process=owner.key, handle=call.handle, session=call.session)
                return Changed(table, close, lambda _: NIL)
            case calls.Reconciliation():
                reconcile = Reconcile(process=owner.key, about=owner.about, held=call.held)
                return Changed(table, reconcile, lambda doomed: Vector(QType.INT, tuple(doomed)))
            case calls.Sessions():
                return Listing(table, owner.key)
            case calls.Subscription():
                return self._subscribe(call, message.is_sync)

    async def leave(self) -> None:
        """Let the sessions of a process that left wait for it."""
        owner = self._owner
        if owner is not None and self._context.connected.leave(owner.key, self._line):
            log.info("process left", process=owner.about.name, pid=self._peer.pid)
            self._context.login_services.table.submit(ProcessLost(process=owner.key))

    def _hello(self, call: calls.Hello, is_sync: bool) -> Step:
        """Enter the process; its sessions wait until it reconciles."""
        if not is_sync:
            raise CallError("hello must be sync")
        if self._owner is not None:
            raise CallError("hello was said before")
        owner = self._owner = Owner(self._key(), call.about)
        self._context.names.note(self._peer.uid, call.about.name)
        self._context.connected.enter(owner.key, self._line, owner.about, call.hook)
        log.info(
            "process connected",
            process=call.about.name,
            type=call.about.type,
            uid=self._peer.uid,
            pid=self._peer.pid,
        )
        welcome, settings = self._context.welcome, self._settings
        return Changed(
            self._context.login_services.table,
            ProcessLost(process=owner.key),
            lambda _: welcome.answer(call, settings),
        )

    def _key(self) -> ProcessKey:
        """Return who the process is; without a pid, this connection of this run and nobody else."""
        peer, label = self._peer, ""
        if not peer.pid:
            label = f"{self._line.label} #{self._number} of {self._context.welcome.instance}"
        return ProcessKey(uid=peer.uid, pid=peer.pid, started=peer.started, label=label)

    def _connect(self, call: calls.Connect, owner: Owner, message: Message) -> Step:
        if not message.is_sync:
            raise CallError("connect must be sync")
        login_services, later = self._context.login_services, self._later
        login = Login(login_services, owner, call, began=message.began, answer_by=message.answer_by)
        return LoginStep(login, _verifying(login, later), _withdrawing(login_services.table, later))

    def _renewal(self, call: calls.Renewal, owner: Owner, message: Message) -> Step:
        """Renew one session at a time, which is `throttled` while it is being renewed.

        How many sessions are renewed at once is bounded by what that keeps. So whoever renews
        without end holds up nobody else, at this process or another.
        """
        session = call.session
        if session in self._renewing or not self._account.keep(RENEWAL_SIZE):
            if message.is_sync:
                return Said(dictionary(replies.refused(Refusal.THROTTLED)))
            self._line.push(replies.renewal_refused(session, 0, Refusal.THROTTLED))
            return Said()
        self._renewing.add(session)
        attempt = RenewalAuthentication(
            self._context.login_services,
            owner,
            call,
            began=message.began,
            answer_by=message.answer_by,
            push=not message.is_sync,
        )
        over = partial(self._renewed, session)
        if message.is_sync:
            verified = _verifying(attempt, self._later)
            return RenewalStep(attempt, verified, self._later, self._line.push, over)
        self._later(partial(renew_apart, attempt, self._line.push, over))
        return Said()

    def _renewed(self, session: SessionId) -> None:
        self._renewing.discard(session)
        self._account.give(RENEWAL_SIZE)

    def _subscribe(self, call: calls.Subscription, is_sync: bool) -> Step:
        if not is_sync:
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
        return Subscribing(call, self._feed, self._later)


async def _known(table: Table, names: Names) -> Names:
    return await table.ask(KnownNames(names=names))


def _withdrawing(table: Table, later: Later) -> Callable[[Withdraw], None]:
    async def submit(withdraw: Withdraw) -> None:
        table.submit(withdraw)

    return lambda withdraw: later(partial(submit, withdraw))


def _verifying(attempt: Authentication, later: Later) -> anyio.Event:
    """Verify beside the messages; return what happens when that is over."""
    verified = anyio.Event()

    async def verify() -> None:
        await attempt.verify()
        verified.set()

    later(verify)
    return verified
