"""A program on a terminal of its own."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import termios
from collections.abc import Mapping, Sequence
from typing import Self

DEADLINE = 30  # seconds


class OnTerminal:
    """A process whose controlling terminal is a pty; its streams are too, unless said otherwise."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stdout: int | None = None,
    ) -> None:
        self.said = ""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            if stdout is not None:
                os.dup2(stdout, 1)
            os.execvpe(command[0], list(command), environment or os.environ)  # noqa: S606

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)

    def wait_for(self, words: str) -> str:
        """Return all that was said until these words were."""
        while words not in self.said:
            if not self._read():
                raise AssertionError(f"{words!r} was never said, but {self.said!r}")
        return self.said

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._terminal)[3] & termios.ECHO)

    def ended(self) -> int:
        """Return the exit code, as a shell counts, once it has ended."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _read(self) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], DEADLINE)
        if not ready:
            raise subprocess.TimeoutExpired("on a terminal", DEADLINE, self.said)
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # Linux says so that nobody holds the other end
            return False
        self.said += data.decode(errors="replace")
        return bool(data)
