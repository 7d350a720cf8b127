"""The daemon as another program than `sessiond run`: the same code, on a disk with a fate."""

import queue
import subprocess
import sys
import threading
from pathlib import Path

from tests.running_daemon import READY_WITHIN, RunningDaemon


class ProgramDaemon(RunningDaemon):
    """A running daemon that `arguments` names the program of; None is sessiond's own."""

    def __init__(
        self, folder: Path, configuration: str, arguments: list[str] | None = None
    ) -> None:
        self.arguments = arguments
        super().__init__(folder, configuration)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        if self.arguments is None:
            super().start()
            return
        self._process = subprocess.Popen(
            [sys.executable, "-m", *self.arguments, str(self.folder / "config.toml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready: queue.Queue[bool] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready), daemon=True)
        self._reader.start()
        assert ready.get(timeout=READY_WITHIN), "".join(self.lines)

    def wait_until_killed(self) -> None:
        """Return once it has been killed; fail where it ended otherwise."""
        assert self._process.wait(timeout=READY_WITHIN) == -9
        self._reader.join()
