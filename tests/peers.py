"""Many real processes connected to one Unix socket, their sockets in this test's hands.

SO_PEERCRED names the process that called connect(), so a thousand q processes need a thousand
processes. Children of a minimal interpreter connect and pass the socket here (SCM_RIGHTS).
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

    def __init__(self, address: bytes | str, count: int, *, timeout: float = 30.0) -> None:
        """Connect them all.

        Raises:
            TimeoutError: A process did not connect within `timeout` seconds of the one before.
            ConnectionError: The farm has ended early; its standard error says why.
        """
        allow_files(2 * count + SPARE_FILES)
        self.sockets: list[socket.socket] = []
        self.pids: list[int] = []
        name = address.encode() if isinstance(address, str) else address
        receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with receiver, sender:
            self._farm = subprocess.Popen(
                [sys.executable, "-S", "-E", FARM, name.hex(), str(count), str(sender.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[sender.fileno()],
                text=True,
            )
            sender.close()  # so that the farm's end is our end of stream
            receiver.settimeout(timeout)
            try:
                for _ in range(count):
                    self._take_one(receiver)
            except OSError:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kill(self, i: int) -> None:
        """Let process `i` die as kill -9 would: its connection closes, its pid is gone."""
        assert self._farm.stdin is not None
        assert self._farm.stdout is not None
        self._farm.stdin.write(f"kill {self.pids[i]}\n")
        self._farm.stdin.flush()
        answer = self._farm.stdout.readline()
        if answer != f"gone {self.pids[i]}\n":
            raise ConnectionError(f"the farm answered {answer!r}")
        self.sockets[i].close()

    def close(self) -> None:
        """End all processes and close their sockets."""
        for connection in self.sockets:
            connection.close()
        self._farm.communicate()

    def _take_one(self, receiver: socket.socket) -> None:
        message, files, _, _ = socket.recv_fds(receiver, 4, 1)
        if not files:
            raise ConnectionError(f"{len(self.pids)} processes connected, then no more")
        self.pids.append(int.from_bytes(message, "little"))
        connection = socket.socket(fileno=files[0])
        self.sockets.append(connection)


def allow_files(wanted: int) -> None:
    """Let this process have so many files open, where the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
