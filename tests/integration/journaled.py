"""A running daemon that logs to journald, and the test in journald's place."""

import json
import socket
import threading
from pathlib import Path

from tests.journal_fields import fields_of
from tests.running_daemon import RunningDaemon

# `sessiond run`, with journald at another address: the real one belongs to the machine.
PROGRAM = """
import sys
from sessiond.log import journal
journal.SOCKET = sys.argv[1]
from sessiond.cli import main
sys.exit(main(["run", "--config", sys.argv[2]]))
"""
FACT = "SESSIOND_"


class JournaledDaemon(RunningDaemon):
    """`lines` has each datagram as JSON, with the facts' own names; `datagrams` as it came."""

    def __init__(self, folder: Path, configuration: str) -> None:
        self.datagrams: list[bytes] = []
        self._address = str(folder / "journal")
        super().__init__(folder, configuration, program=["-c", PROGRAM, self._address])

    def _begin(self) -> None:
        self._journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._journal.bind(self._address)
        super()._begin()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def stop(self) -> int:
        code = super().stop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", self._journal.getsockname())
        self._listening.join()
        self._journal.close()
        return code

    def _listen(self) -> None:
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
                self._ready.put(True)
