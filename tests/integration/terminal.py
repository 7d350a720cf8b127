"""A program on a terminal of its own, driven by what it shows."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from typing import Self

from tests.integration.operating import PATIENCE, control_of
from tests.running_daemon import RunningDaemon

PROGRAM = [sys.executable, "-c", "from sessiond.ctl import main; main(prog_name='sessionctl')"]
CTRL_C = "\x03"
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class OnTerminal:
    """A program whose standard input, output and error are a terminal, and which it controls."""

    def __init__(self, *command: str, columns: int = 120, **environ: str) -> None:
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("4H", 30, columns, 0, 0))
        plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        self._run = subprocess.Popen(
            command,
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C arrives
            env={**plain, "TERM": "xterm-256color", **environ},
        )
        os.close(side)
        self.text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._run.kill()
        self._run.wait()
        os.close(self._main)

    @property
    def plain(self) -> str:
        """What it has shown so far, without colours and movements."""
        return _STEERING.sub("", self.text)

    def expect(self, text: str) -> None:
        """Wait until it has shown this."""
        while text not in self.text:
            ready, _, _ = select.select([self._main], [], [], PATIENCE)
            assert ready, self.text
            self.text += self._read()

    def rest(self) -> str:
        """Return what it shows until it ends."""
        while piece := self._read():
            self.text += piece
        return self.plain

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def interrupt(self) -> int:
        """Press Ctrl-C, again where Python was just about to read, and return the exit code."""
        for _ in range(int(PATIENCE)):
            self.type(CTRL_C)
            if select.select([self._main], [], [], 1.0)[0]:
                while piece := self._read_now():
                    self.text += piece
            with suppress(subprocess.TimeoutExpired):
                self._run.wait(1.0)
                return self.code()
        raise AssertionError(self.text)

    def code(self) -> int:
        """Wait for its end; return its exit code."""
        self.rest()
        return self._run.wait(PATIENCE)

    def _read_now(self) -> str:
        return self._read() if select.select([self._main], [], [], 0)[0] else ""

    def _read(self) -> str:
        try:
            return os.read(self._main, 65536).decode(errors="replace")
        except OSError:  # EIO: nobody has the other side open any more
            return ""


def on_terminal(
    daemon: RunningDaemon, *args: str, columns: int = 120, **environ: str
) -> OnTerminal:
    """Return sessionctl, asking this daemon, on a terminal."""
    command = [*PROGRAM, "--control", control_of(daemon), *args]
    return OnTerminal(*command, columns=columns, **environ)
