"""A running daemon that logs to journald, and the test in journald's place."""

import json
import queue
import socket
import subprocess
import sys
import threading

from sessiond.edge.log.journal import fields_of
from tests.running_daemon import READY_WITHIN, DaemonError, RunningDaemon

# `sessiond run`, with journald at another address: the real one belongs to the machine.
PROGRAM = """
import sys
from sessiond.edge.log import journal
journal.SOCKET = sys.argv[1]
from sessiond.cli import main
sys.exit(main(["run", "--config", sys.argv[2]]))
"""
FACT = "SESSIOND_"


class JournaledDaemon(RunningDaemon):
    """`lines` has each datagram as JSON, with the facts' own names; `datagrams` as it came."""

    def start(self) -> None:
        self.datagrams: list[bytes] = []
        address = str(self.folder / "journal")
        self._journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._journal.bind(address)
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, str(self._file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready: queue.Queue[bool] = queue.Queue()
        self._listening = threading.Thread(target=self._listen, args=(ready,), daemon=True)
        self._listening.start()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready), daemon=True)
        self._reader.start()
        if not ready.get(timeout=READY_WITHIN):
            raise DaemonError(f"exit {self._process.wait()}:\n" + "".join(self.lines))

    def stop(self) -> int:
        code = super().stop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", self._journal.getsockname())
        self._listening.join()
        self._journal.close()
        return code

    def _listen(self, ready: "queue.Queue[bool]") -> None:
        while line := self._journal.recv(1 << 20):
            fields = {name: value.decode() for name, value in fields_of(line)}
            facts = {
                name.removeprefix(FACT).lower(): value
                for name, value in fields.items()
                if name.startswith(FACT)
            }
            with self._news:
                self.datagrams.append(line)
                self.lines.append(json.dumps(facts) + "\n")
                self._news.notify_all()
            if facts["event"] == "ready":
                ready.put(True)
