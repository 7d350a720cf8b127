"""Whoever the story starts: a process of its own that says in JSON lines what happens to it."""

import json
import subprocess
import sys
import threading
import time
from typing import Any, Self

PATIENCE = 15.0  # seconds to wait for anything to happen
LAST_SECONDS = 5.0  # to end by itself, before it is killed


class StepFailedError(Exception):
    """The story cannot go on: what should have happened did not."""


class Actor:
    """`python -m MODULE ARGUMENTS`, its output read all the time.

    The daemon is one as well: a line of its JSON log has an `event` too.
    """

    def __init__(self, name: str, module: str, *arguments: str) -> None:
        """Start it.

        Args:
            name: What the story calls it.
            module: What to run.
            arguments: What to give it.
        """
        self.name = name
        self.lines: list[str] = []  # all of its output
        self._reports: list[dict[str, Any]] = []
        self._taken = 0  # reports that `expect` has gone past
        self._is_over = False
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()  # also tidies up after one that has ended

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, **command: str) -> None:
        """Send a command.

        Raises:
            StepFailedError: It has ended.
        """
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(command) + "\n")
                self._process.stdin.flush()
        except OSError as error:
            raise StepFailedError(f"{self.name} has ended") from error

    def expect(self, event: str, **facts: object) -> dict[str, Any]:
        """Return its next report of an event with these facts, and go past those before.

        Raises:
            StepFailedError: It ended, or nothing came within PATIENCE.
        """
        give_up_at = time.monotonic() + PATIENCE
        with self._news:
            while True:
                for number, report in enumerate(self._reports[self._taken :], self._taken + 1):
                    if _fits(report, event, facts):
                        self._taken = number
                        return report
                if self._is_over or not self._news.wait(max(0.0, give_up_at - time.monotonic())):
                    how = "it ended" if self._is_over else f"nothing in {PATIENCE:g} s"
                    wanted = " ".join([event, *(f"{name}={fact}" for name, fact in facts.items())])
                    raise StepFailedError(f"{self.name} did not report `{wanted}`: {how}")

    def count(self, event: str, **facts: object) -> int:
        """Return how often it has reported such an event so far."""
        with self._news:
            return sum(_fits(report, event, facts) for report in self._reports)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._process.kill()
        self._process.wait()
        self._done()

    def stop(self) -> int:
        """Ask it to end, as systemd does, and return its exit code.

        Raises:
            StepFailedError: It does not.
        """
        self._process.terminate()
        try:
            code = self._process.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise StepFailedError(f"{self.name} does not stop") from error
        self._done()
        return code

    def _done(self) -> None:
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                report = json.loads(line) if line.startswith("{") else {}
                with self._news:
                    self.lines.append(line)
                    self._reports.append({"at": time.monotonic(), **report})
                    self._news.notify_all()
        with self._news:
            self._is_over = True
            self._news.notify_all()


def _fits(report: dict[str, Any], event: str, facts: dict[str, object]) -> bool:
    wanted = {"event": event, **facts}
    return all(report.get(name) == fact for name, fact in wanted.items())
