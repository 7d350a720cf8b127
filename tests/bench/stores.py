"""What token stores cost: a read, a renewal under the lock, and the lock's way to the next."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from queue import Queue

from tests.bench.bench import Bench
from tests.bench.figures import Row, waits
from tests.running_daemon import RunningDaemon

READS, RENEWALS, PASSES = 2000, 200, 200
VALUE = b"x" * 2000  # a token and what belongs to it
PLACE = "context=externalToken%3A%2F%2Fbench&name=oauth"
TOKEN, LOCK = f"/v1/stores/token?{PLACE}", f"/v1/stores/lock?{PLACE}"
READ, READ_ANEW, RENEWAL, PASSED = (
    "read of a stored token",
    "the same, on a connection of its own",
    "lock, read, write and release",
    "from one's release to the next one's lock",
)


class Caller:
    """One connection to the control socket, without what a library would cost."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"{daemon.folder}/c")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """Return an answer's body; the answer must be a good one."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        found = b""
        while b"\r\n\r\n" not in found:
            found += self._socket.recv(65_536)
        head, _, content = found.partition(b"\r\n\r\n")
        told = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(content) < int(told.get(b"content-length", 0)):
            content += self._socket.recv(65_536)
        assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 204 ")), head
        return content

    def lock(self) -> int:
        return int(json.loads(self.ask("POST", LOCK, b'{"wait_ms": 60000}'))["fence"])

    def write(self, fence: int) -> None:
        self.ask("PUT", TOKEN, VALUE, Lock=f"{fence}")

    def read(self) -> None:
        assert self.ask("GET", TOKEN) == VALUE

    def release(self, fence: int) -> None:
        self.ask("DELETE", LOCK, Lock=f"{fence}")

    def close(self) -> None:
        self._socket.close()


def measure(bench: Bench) -> Iterator[Row]:
    """Measure each, one after the other."""
    with bench.daemon(stores='users = ["root"]') as daemon, closing(Caller(daemon)) as one:
        one.write(one.lock())
        reads = [_read(one) for _ in range(bench.few(READS))]
        yield Row(READ, waits(reads), key="stores.read", is_of_one=False)
        yield _row(READ_ANEW, [_read_anew(daemon) for _ in range(bench.few(READS))])
        with closing(Caller(daemon)) as other:
            one.ask("DELETE", f"/v1/stores?{PLACE.partition('&')[0]}")
            yield _row(RENEWAL, [_renewal(other) for _ in range(bench.few(RENEWALS))])
        yield _row(PASSED, list(_passed(daemon, bench.few(PASSES))))


def _row(what: str, seconds: list[float]) -> Row:
    return Row(what, waits(seconds), is_of_one=False)


def _read(caller: Caller) -> float:
    began = time.perf_counter()
    caller.read()
    return time.perf_counter() - began


def _read_anew(daemon: RunningDaemon) -> float:
    began = time.perf_counter()
    with closing(Caller(daemon)) as caller:
        caller.read()
    return time.perf_counter() - began


def _renewal(caller: Caller) -> float:
    """Renew as drivers do, but for the issuer: its commit is most of it."""
    began = time.perf_counter()
    fence = caller.lock()
    caller.write(fence)
    caller.read()
    caller.release(fence)
    return time.perf_counter() - began


def _passed(daemon: RunningDaemon, count: int) -> Iterator[float]:
    """Yield how long it took until the next one had a lock that was given back."""
    taken = Queue[tuple[float, int]]()

    def wait(caller: Caller) -> None:
        fence = caller.lock()
        taken.put((time.perf_counter(), fence))

    with closing(Caller(daemon)) as holder, closing(Caller(daemon)) as other:
        pair = [holder, other]
        fence = holder.lock()
        for _ in range(count):
            holder, other = pair
            waiting = threading.Thread(target=wait, args=(other,))
            waiting.start()
            while json.loads(holder.ask("GET", "/v1/status"))["stores"]["waiting"] != 1:
                pass
            began = time.perf_counter()
            holder.release(fence)
            ended, fence = taken.get()
            waiting.join()
            yield ended - began
            pair.reverse()
