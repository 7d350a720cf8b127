"""Revoking everybody: how long it takes, what holds the loop meanwhile, and what logins wait."""

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from tests import running_daemon
from tests.bench import held
from tests.bench.bench import Bench, must_be_accepted
from tests.bench.figures import Row, waits
from tests.bench.machine import cpu_seconds
from tests.issuer.running import ALICE
from tests.many_sessions import fill
from tests.running_daemon import DAEMON, RunningDaemon, configuration

SESSIONS = 50_000  # a user, a grant and a refresh token each
IDLE = 300  # logins before
MEANWHILE = 100
A_SECOND = 1.1  # until a new token is younger than the revocation
PATIENCE = 300.0  # seconds


def measure(bench: Bench) -> Iterator[Row]:
    """Measure twice: as it runs, and on a loop whose callbacks are timed."""
    yield from _as_it_runs(bench)
    yield from _timed(bench)


def _as_it_runs(bench: Bench) -> Iterator[Row]:
    with _filled(bench, "everybody", DAEMON) as daemon:
        login = (ALICE, bench.issuer.tokens()["access_token"])
        must_be_accepted(bench.load(daemon, [[login]]))
        idle = must_be_accepted(bench.load(daemon, [[login] * bench.few(IDLE)]))
        revoking = _Revoking(daemon, bench.few(SESSIONS))
        time.sleep(A_SECOND)
        login = (ALICE, bench.issuer.tokens()["access_token"])
        during = must_be_accepted(bench.load(daemon, [[login] * bench.few(MEANWHILE)]))
        note = "" if revoking.is_alive() else "it was over before the logins: too few sessions"
        revoking.join()
    yield Row(f"cached login, {bench.few(SESSIONS):,} sessions, idle", waits(idle.waits))
    yield Row("- the same while all are revoked", waits(during.waits), note)
    cpu = 100 * revoking.cpu / revoking.seconds
    took = {"max ms": revoking.seconds * 1000, "server %": cpu}
    yield Row(f"revoking all of {bench.few(SESSIONS):,} sessions", took, "with those logins")


def _timed(bench: Bench) -> Iterator[Row]:
    lines = bench.folder / "held"
    lines.touch()
    with (
        patch.dict(os.environ, {held.VARIABLE: str(lines)}),
        _filled(bench, "timed", held.PROGRAM) as daemon,
    ):
        time.sleep(A_SECOND)  # what was built at the start is no hold
        before = len(lines.read_text().splitlines())
        _Revoking(daemon, bench.few(SESSIONS)).join()
        found = [line.split(" ", 2) for line in lines.read_text().splitlines()[before:]]
    for name, at in (("CPU", 0), ("time", 1)):
        worst = max(found, key=lambda each: float(each[at]))
        longest = {"max ms": float(worst[at]) * 1000}
        yield Row(f"- longest hold of the loop meanwhile, {name}", longest, worst[2])


@contextmanager
def _filled(bench: Bench, name: str, program: tuple[str, ...]) -> Iterator[RunningDaemon]:
    folder = bench.folder / name
    folder.mkdir()
    later = datetime.now(UTC) + timedelta(days=10)
    fill(
        folder / "sessiond.db",
        bench.few(SESSIONS),
        refresh_at=later,
        expires_at=later + timedelta(days=10),
    )
    text = configuration(bench.issuer, login="grace = 600.0")
    with (
        patch.object(running_daemon, "READY_WITHIN", PATIENCE),
        RunningDaemon(folder, text, program=program) as daemon,
    ):
        yield daemon


class _Revoking(threading.Thread):
    """An operator who takes everybody's access back."""

    def __init__(self, daemon: RunningDaemon, sessions: int) -> None:
        super().__init__()
        self._daemon = daemon
        self._sessions = sessions
        self.seconds = 0.0
        self.cpu = 0.0  # seconds, of the daemon
        self.start()

    def run(self) -> None:
        cpu, began = cpu_seconds(self._daemon.pid), time.monotonic()
        control = Control(self._daemon.folder / "c")
        body = json.dumps({"all": True, "reason": "bench"})
        control.request("POST", "/v1/revocations", body, {"Content-Type": "application/json"})
        answer = json.load(control.getresponse())
        self.seconds = time.monotonic() - began
        self.cpu = cpu_seconds(self._daemon.pid) - cpu
        if answer["revoked"] < self._sessions:
            raise RuntimeError(f"not everybody was revoked: {answer}")


class Control(http.client.HTTPConnection):
    """A connection to the control socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("control", timeout=PATIENCE)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)
