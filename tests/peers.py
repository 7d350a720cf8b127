"""Many real processes connected to one Unix socket, their sockets in this test's hands.

SO_PEERCRED names the process that called connect(), so a thousand q processes need a thousand
processes. Children of a minimal interpreter connect and pass the socket here (SCM_RIGHTS). What is
said on it is FakeProcess's (sessiond.testing).
"""

import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

FARM = Path(__file__).with_name("peer_farm.py")
SPARE_FILES = 256  # what else a test has open


class PeerFarm:
    """`count` processes, each with one connection to `address`.

    Bytes are a path or, after a first NUL, an abstract name at its exact length. The listener must
    be listening; where it accepts on this thread's event loop, make the farm in a worker thread.
    `sockets[i]` is the end of process `pids[i]`, a blocking socket. Raises the limit of open files
    as far as needed and allowed.
    """

    def __init__(
        self, address: bytes | str, count: int, *, connects: bool = True, timeout: float = 30.0
    ) -> None:
        """Start them all.

        Args:
            address: Where they connect.
            count: Of processes.
            connects: False: none does before `connect`, and `sockets` is empty.
            timeout: Seconds that a process has to connect, counted from the one before.

        Raises:
            TimeoutError: A process did not connect in its time.
            ConnectionError: Nobody listens, or the farm has ended early; its standard error says
                why.
        """
        allow_files(2 * count + SPARE_FILES)
        self.sockets: list[socket.socket] = []
        name = address.encode() if isinstance(address, str) else address
        self._receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._receiver.settimeout(timeout)
        with sender:
            self._farm = subprocess.Popen(
                [sys.executable, "-S", "-E", FARM, name.hex(), str(count), str(sender.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[sender.fileno()],
                text=True,
            )
        self.pids = [int(pid) for pid in self._heard().split()]
        if len(self.pids) < count:
            self.close()
            raise ConnectionError("the farm has ended early")
        if connects:
            try:
                self.sockets = self._connected(self.pids)
            except OSError:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self, i: int) -> socket.socket:
        """Have process `i` connect once more; the connection is the caller's to close.

        Raises:
            ConnectionError: Nobody listens.
        """
        (connection,) = self._connected([self.pids[i]])
        return connection

    def kill(self, i: int) -> None:
        """Let process `i` die as kill -9 would: its connection closes, its pid is gone."""
        self._say(f"kill {self.pids[i]}\n")
        if (answer := self._heard()) != f"gone {self.pids[i]}\n":
            raise ConnectionError(f"the farm answered {answer!r}")
        if self.sockets:
            self.sockets[i].close()

    def close(self) -> None:
        """End all processes and close their sockets."""
        for connection in self.sockets:
            connection.close()
        self._receiver.close()
        self._farm.communicate()

    def _connected(self, pids: list[int]) -> list[socket.socket]:
        """Have these processes connect, all at once; return their sockets in the same order."""
        self._say("".join(f"connect {pid}\n" for pid in pids))
        taken: dict[int, socket.socket] = {}
        try:
            while len(taken) < len(pids):
                message, files, _, _ = socket.recv_fds(self._receiver, 4, 1)
                if not files:
                    raise ConnectionError(f"{len(taken)} processes connected, then one could not")
                taken[int.from_bytes(message, "little")] = socket.socket(fileno=files[0])
        except OSError:
            for connection in taken.values():
                connection.close()
            raise
        return [taken[pid] for pid in pids]

    def _say(self, lines: str) -> None:
        assert self._farm.stdin is not None
        self._farm.stdin.write(lines)
        self._farm.stdin.flush()

    def _heard(self) -> str:
        assert self._farm.stdout is not None
        return self._farm.stdout.readline()


def allow_files(wanted: int) -> None:
    """Let this process have so many files open, where the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
