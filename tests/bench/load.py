"""The load generator: many q processes' logins from one select loop, in a process of its own.

Each connection is a process's own (PeerFarm), with one login under way at a time. A FakeProcess
says hello on it; then the messages are encoded beforehand, and of the answers only those to logins
are decoded, so that it is the daemon that is measured.
"""

import multiprocessing
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Self
from uuid import UUID

from sessiond.qipc import (
    MessageDecoder,
    MessageKind,
    QError,
    decode,
    encode_message,
    flag,
    guid_of,
    mapping,
    text,
)
from sessiond.testing import FakeProcess, calls
from tests.bench.machine import cpu_seconds, resident_mib
from tests.peers import PeerFarm

PATIENCE = 30.0  # seconds without any answer until the measurement is given up
PING = encode_message(MessageKind.SYNC, calls.PING)

Login = tuple[str, str]  # user, password


@dataclass(frozen=True, slots=True)
class Plan:
    """A load: who logs in, over how many connections."""

    address: bytes
    daemon: int  # pid
    issuer: int  # pid
    logins: Sequence[Sequence[Login]]  # of each connection, one after the other
    opens: bool = True  # each login is opened, and that is on disk, before the next one begins
    closes: bool = True  # at the end, untimed, every handle is closed
    meanwhile: Login | None = None  # one connection more repeats it until the rest is done


@dataclass(slots=True)
class Load:
    """What a plan came to. Times are seconds."""

    waits: list[float] = field(default_factory=list)  # from each connect to its answer
    meanwhile: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)  # by reason; "" = accepted
    seconds: float = 0.0  # from the first connect until the last is answered, or opened
    daemon_cpu: float = 0.0
    issuer_cpu: float = 0.0
    own_cpu: float = 0.0
    daemon_mib: float = 0.0  # resident at the end, before anything is closed


class Generator:
    """A process that makes loads, one at a time."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=spawn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run(self, plan: Plan) -> Load:
        """Make a load and return what it came to."""
        return self._pool.submit(carry_out, plan).result()


class Caller:
    """One connection, and the logins that it still has to make."""

    def __init__(
        self, connection: socket.socket, logins: Iterator[bytes], *, opens: bool, waits: list[float]
    ) -> None:
        self.connection = connection
        self.outcomes: Counter[str] = Counter()
        self._messages = MessageDecoder(max_size=1 << 20)
        self._logins = logins
        self._opens = opens
        self._waits = waits
        self._handle = 0
        self._is_opening = False
        self._started = 0.0

    def begin(self) -> bool:
        """Send the next login; return False when there is none left."""
        login = next(self._logins, None)
        if login is None:
            return False
        self._handle += 1
        self._started = time.monotonic()
        self.connection.sendall(login)
        return True

    def take(self) -> bool:
        """Take what came and go on; return False when the last login is over."""
        received = self.connection.recv(65536)
        if not received:
            raise ConnectionError("the daemon closed a connection")
        self._messages.receive_data(received)
        while (message := self._messages.next_message()) is not None:
            if message.kind is MessageKind.RESPONSE and not self._advance(message.payload):
                return False
        return True

    def finish(self) -> None:
        """Begin no more, and wait until the login under way is over."""
        self._logins = iter(())
        while self.take():
            pass

    def close_handles(self) -> None:
        """Leave every handle, and wait until the daemon has it on disk."""
        handles = range(1, self._handle + 1)
        closing = [encode_message(MessageKind.ASYNC, calls.disconnect_call(n)) for n in handles]
        self.connection.sendall(b"".join([*closing, PING]))
        kind: MessageKind | None = None
        while kind is not MessageKind.RESPONSE:
            self._messages.receive_data(self.connection.recv(65536))
            message = self._messages.next_message()
            kind = None if message is None else message.kind

    def _advance(self, payload: bytes) -> bool:
        if self._is_opening:
            self._is_opening = False
            return self.begin()
        self._waits.append(time.monotonic() - self._started)
        value = decode(payload)
        if isinstance(value, QError):
            raise ConnectionError(f"the daemon answered with an error: {value.text}")
        answer = mapping(value)
        self.outcomes[text(answer["reason"])] += 1
        if not (self._opens and flag(answer["ok"])):
            return self.begin()
        self._is_opening = True
        self.connection.sendall(opened_and_ping(guid_of(answer["session"]), self._handle))
        return True


def opened_and_ping(session: UUID, handle: int) -> bytes:
    """Return `opened`, and a ping that is answered once that is on disk."""
    return encode_message(MessageKind.ASYNC, calls.opened_call(session, handle)) + PING


def connects(logins: Iterable[Login]) -> Iterator[bytes]:
    """Yield each login's message, for the handles 1, 2, 3 and so on."""
    for handle, (user, password) in enumerate(logins, 1):
        yield encode_message(MessageKind.SYNC, calls.connect_call(user, password, handle))


def carry_out(plan: Plan) -> Load:
    """Make the load, in this process."""
    load = Load()
    beside = 0 if plan.meanwhile is None else 1
    with PeerFarm(plan.address, len(plan.logins) + beside) as farm:
        for number, connection in enumerate(farm.sockets):
            FakeProcess(connection, name=f"q{number}").hello()
        callers = [
            Caller(connection, iter(list(connects(logins))), opens=plan.opens, waits=load.waits)
            for connection, logins in zip(farm.sockets, plan.logins, strict=False)
        ]
        extra = []
        if plan.meanwhile is not None:
            again = connects(plan.meanwhile for _ in count())
            extra = [Caller(farm.sockets[-1], again, opens=True, waits=load.meanwhile)]
        measure(plan, load, partial(call_until_done, callers, extra))
        for caller in callers:
            load.outcomes += caller.outcomes
        for caller in extra:
            caller.finish()
        if plan.closes:
            for caller in callers + extra:
                caller.close_handles()
    return load


def measure(plan: Plan, load: Load, calling: Callable[[], None]) -> None:
    """Note the time that the calling takes, and what it costs each of the three processes."""
    daemon, issuer = cpu_seconds(plan.daemon), cpu_seconds(plan.issuer)
    own, started = time.process_time(), time.monotonic()
    calling()
    load.seconds = time.monotonic() - started
    load.own_cpu = time.process_time() - own
    load.daemon_cpu = cpu_seconds(plan.daemon) - daemon
    load.issuer_cpu = cpu_seconds(plan.issuer) - issuer
    load.daemon_mib = resident_mib(plan.daemon)


def call_until_done(callers: Sequence[Caller], extra: Sequence[Caller]) -> None:
    """Have all callers log in until `callers` have no more logins.

    Raises:
        TimeoutError: The daemon has stopped to answer.
    """
    with selectors.DefaultSelector() as selector:
        for caller in (*extra, *callers):
            selector.register(caller.connection, selectors.EVENT_READ, caller)
        for caller in (*extra, *callers):
            caller.begin()
        left = len(callers)
        while left:
            ready = selector.select(PATIENCE)
            if not ready:
                raise TimeoutError(f"no answer for {PATIENCE} seconds")
            for key, _ in ready:
                if not key.data.take():
                    selector.unregister(key.fileobj)
                    left -= 1
