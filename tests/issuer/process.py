"""The issuer's Node.js process: started, heard until it is ready, ended."""

import json
import os
import queue
import subprocess
import threading
from pathlib import Path

from tests.issuer.install import HERE, INSTALLED, node_home

READY_WITHIN = 30.0  # seconds


class IssuerError(Exception):
    """The issuer did not start or refused a preparation; the message has its log."""


class NodeProcess:
    """server.mjs, running; it ends with this process at the latest."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Start it and wait for its ready line.

        Raises:
            IssuerError: It ended, or was not ready in time.
        """
        self._lines: list[str] = []
        self._ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [node(), "server.mjs"],
            cwd=HERE,
            env={"PATH": os.defpath, "ENDS_WITH_STDIN": "yes"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.issuer = self._wait_until_ready()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return "".join(self._lines)

    def end(self, *, by_force: bool = False) -> None:
        """End it by SIGTERM or SIGKILL and wait until it is gone; again is harmless."""
        if by_force:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _wait_until_ready(self) -> str:
        try:
            line = self._ready.get(timeout=READY_WITHIN)
        except queue.Empty:
            line = None
        if line is None:
            self.end(by_force=True)
            raise IssuerError(f"the issuer did not start:\n{self.log}")
        issuer: str = json.loads(line)["issuer"]
        return issuer

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line)
            if line.startswith('{"ready":true'):
                self._ready.put(line)
        self._ready.put(None)  # it has ended


def node() -> Path:
    """Return the path of Node.js, once all that the server needs is there."""
    home = node_home()
    if home is None or not INSTALLED.exists():
        raise IssuerError("Node.js or its packages are missing: python -m tests.issuer.install")
    return home / "bin" / "node"
