"""docs/examples/events.sh follows a real daemon's events, and misses none over its restarts."""

import os
import queue
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Self

import pytest

from sessiond.qipc import call, int_
from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "events.sh"
PATIENCE = 20.0  # seconds that a test waits for an event before it fails
LIFE = ["session.opened", "session.closed"]

pytestmark = [pytest.mark.needs("real"), pytest.mark.needs("curl")]


class Following:
    """The example, running until the test is done with it."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.place = folder / "place"
        self._process = subprocess.Popen(
            [shell, str(SCRIPT), f"{folder}/c", str(self.place)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its curl ends with it
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()

    def next(self, count: int) -> list[str]:
        """Wait for so many lines."""
        return [self._lines.get(timeout=PATIENCE) for _ in range(count)]

    def is_running(self) -> bool:
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))


def live(daemon: RunningDaemon, issuer: RunningIssuer, first: int) -> list[str]:
    """Log Alice in and out; return the lines that tell of it, the first with this number."""
    with FakeProcess(daemon.address) as q:
        q.hello()
        q.log_in(ALICE, issuer.tokens()["access_token"], 5)
        q.tell(call("disconnect", int_(5)))
        assert q.sessions() == []
    return [f"{first + n} {kind} {ALICE}" for n, kind in enumerate(LIFE)]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_each_event_is_printed_once_though_the_daemon_is_stopped_and_killed_meanwhile(
    shell: str, start: Start, folder: Path, strict_issuer: RunningIssuer
) -> None:
    daemon = start(configuration(strict_issuer))
    with Following(folder, shell) as script:
        assert live(daemon, strict_issuer, 1) == script.next(2)
        daemon.stop()
        daemon.start()
        assert live(daemon, strict_issuer, 3) == script.next(2)
        lost = live(daemon, strict_issuer, 5)  # with luck, before it has come back
        daemon.kill()
        daemon.start()
        assert lost + live(daemon, strict_issuer, 7) == script.next(4)


def test_what_happens_while_the_script_is_away_is_printed_when_it_is_back(
    start: Start, folder: Path, strict_issuer: RunningIssuer
) -> None:
    daemon = start(configuration(strict_issuer))
    before = live(daemon, strict_issuer, 1)
    with Following(folder, "sh") as script:
        assert script.next(2) == before
        while script.place.read_text() != "2\n":  # it keeps the place just after printing
            assert script.is_running()
    away = live(daemon, strict_issuer, 3)
    with Following(folder, "sh") as script:
        assert away + live(daemon, strict_issuer, 5) == script.next(4)


def test_it_is_short_and_shellcheck_has_nothing_to_say() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 20
    if shellcheck := shutil.which("shellcheck"):
        checked = subprocess.run([shellcheck, str(SCRIPT)], capture_output=True, text=True)
        assert (checked.returncode, checked.stdout) == (0, "")
