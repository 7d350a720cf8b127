"""The load generator: many q processes' logins from one loop, in a process of its own.

Each connection to the daemon is a process's own (PeerFarm), with one login under way at a time; a
FakeProcess says hello on it. The floor and Dovecot get plain connections and the same logins.
"""

import multiprocessing
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Self

from sessiond.qipc import MessageKind, encode_message
from sessiond.testing import FakeProcess, calls
from tests.bench import dovecot
from tests.bench.machine import cpu_seconds, resident_mib
from tests.bench.speech import PING, SPEECHES, Login, Speech, opened_and_ping
from tests.peers import PeerFarm, allow_files

PATIENCE = 30.0  # seconds without any answer until the measurement is given up
ENDLESS = 100_000  # logins of one who repeats his until the others are done


@dataclass(frozen=True, slots=True)
class Plan:
    """A load: who logs in, over how many connections."""

    address: bytes
    server: int  # pid
    issuers: Sequence[int]  # pids
    logins: Sequence[Sequence[Login]]  # of each connection, one after the other
    kind: str = "sessiond"  # of server: one of SPEECHES. The rest is for sessiond alone
    opens: bool = True  # each login is opened, and that is on disk, before the next one begins
    closes: bool = True  # at the end, untimed, every handle is closed
    meanwhile: Login | None = None  # one connection more repeats it until the rest is done
    pause: float = 0.0  # seconds between one login and the next, where there is one connection


@dataclass(slots=True)
class Load:
    """What a plan came to. Times are seconds."""

    waits: list[float] = field(default_factory=list)  # from each connect to its answer
    meanwhile: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)  # by reason; "" = accepted
    seconds: float = 0.0  # from the first connect until the last is answered, or opened
    server_cpu: float = 0.0
    issuer_cpu: float = 0.0
    own_cpu: float = 0.0
    server_mib: float = 0.0  # resident at the end, before anything is closed


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
        self,
        connection: socket.socket,
        speech: Speech,
        logins: Iterator[bytes],
        *,
        opens: bool,
        waits: list[float],
    ) -> None:
        self.connection = connection
        self.outcomes: Counter[str] = Counter()
        self._speech = speech
        self._received = bytearray()
        self.logins = logins
        self._opens = opens
        self._waits = waits
        self._handle = 0
        self._is_opening = False
        self._started = 0.0

    def begin(self) -> bool:
        """Send the next login; return False when there is none left."""
        login = next(self.logins, None)
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
            raise ConnectionError("the server closed a connection")
        self._received += received
        return all(map(self._advance, self._speech.answers(self._received)))

    def finish(self) -> None:
        """Begin no more, and wait until the login under way is over."""
        self.logins = iter(())
        while self.take():
            pass

    def close_handles(self) -> None:
        """Leave every handle, and wait until the daemon has it on disk."""
        handles = range(1, self._handle + 1)
        closing = [encode_message(MessageKind.ASYNC, calls.disconnect_call(n)) for n in handles]
        self.connection.sendall(b"".join([*closing, PING]))
        while not list(self._speech.answers(self._received)):
            self._received += self.connection.recv(65536)

    def _advance(self, answer: bytes) -> bool:
        if self._is_opening:
            self._is_opening = False
            return self.begin()
        self._waits.append(time.monotonic() - self._started)
        reason, session = self._speech.verdict(answer)
        self.outcomes[reason] += 1
        if not (self._opens and session):
            return self.begin()
        self._is_opening = True
        self.connection.sendall(opened_and_ping(session, self._handle))
        return True


def carry_out(plan: Plan) -> Load:
    """Make the load, in this process."""
    load, speech = Load(), SPEECHES[plan.kind]
    count = len(plan.logins) + (plan.meanwhile is not None)
    with ExitStack() as stack:
        connections = connected(plan, count, stack)
        callers = [
            Caller(
                connection,
                speech,
                iter(list(speech.logins(logins))),
                opens=plan.opens,
                waits=load.waits,
            )
            for connection, logins in zip(connections, plan.logins, strict=False)
        ]
        extra = []
        if plan.meanwhile is not None:
            again = speech.logins(repeat(plan.meanwhile, ENDLESS))
            extra = [Caller(connections[-1], speech, again, opens=True, waits=load.meanwhile)]
        calling = partial(call_in_time, callers[0], plan.pause)
        measure(plan, load, calling if plan.pause else partial(call_until_done, callers, extra))
        for caller in callers:
            load.outcomes += caller.outcomes
        for caller in extra:
            caller.finish()
        if plan.closes and plan.kind == "sessiond":
            for caller in callers + extra:
                caller.close_handles()
    return load


def connected(plan: Plan, count: int, stack: ExitStack) -> list[socket.socket]:
    """Return connections on which logins may begin."""
    if plan.kind == "sessiond":
        farm = stack.enter_context(PeerFarm(plan.address, count))
        for number, connection in enumerate(farm.sockets):
            FakeProcess(connection, name=f"q{number}").hello()
        return farm.sockets
    allow_files(count + 100)
    connections = []
    for _ in range(count):
        connection = stack.enter_context(socket.socket(socket.AF_UNIX))
        connection.settimeout(PATIENCE)
        connection.connect(plan.address)
        if plan.kind == "Dovecot":
            dovecot.greeted(connection)
        connections.append(connection)
    return connections


def measure(plan: Plan, load: Load, calling: Callable[[], None]) -> None:
    """Note the time that the calling takes, and what it costs each of the three processes."""
    server, issuer = cpu_seconds(plan.server), sum(map(cpu_seconds, plan.issuers))
    own, started = time.process_time(), time.monotonic()
    calling()
    load.seconds = time.monotonic() - started
    load.own_cpu = time.process_time() - own
    load.server_cpu = cpu_seconds(plan.server) - server
    load.issuer_cpu = sum(map(cpu_seconds, plan.issuers)) - issuer
    load.server_mib = resident_mib(plan.server)


def call_in_time(caller: Caller, pause: float) -> None:
    """Have one caller log in again and again, with a pause after each."""
    for login in caller.logins:
        caller.logins = iter([login])
        caller.begin()
        while caller.take():
            pass
        time.sleep(pause)


def call_until_done(callers: Sequence[Caller], extra: Sequence[Caller]) -> None:
    """Have all callers log in until `callers` have no more logins.

    Raises:
        TimeoutError: The server has stopped to answer.
    """
    by_file = {caller.connection.fileno(): caller for caller in (*extra, *callers)}
    with select.epoll() as poll:
        for file in by_file:
            poll.register(file, select.EPOLLIN)
        for caller in by_file.values():
            caller.begin()
        left = len(callers)
        while left:
            ready = poll.poll(PATIENCE)
            if not ready:
                raise TimeoutError(f"no answer for {PATIENCE} seconds")
            for file, _ in ready:
                if not by_file[file].take():
                    poll.unregister(file)
                    left -= 1
