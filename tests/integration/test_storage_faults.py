"""Whatever is wrong with the disk: nothing is let in that is not on it, and nothing live is lost.

While it runs, the daemon waits for a disk that refuses writes; at start, it refuses a database
that is not whole, and leaves the file as it found it.
"""

import itertools
import os
import resource
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from sessiond.core.rows import Put
from sessiond.edge.credentials import new_key, store_key
from sessiond.edge.sealing import KeyRing
from sessiond.edge.sqlite import opened
from sessiond.edge.sqlite.store import VERSION
from tests.fakes import grant, opened_event, session
from tests.integration.conftest import Start
from tests.integration.test_login import pair
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.qprocess import QProcess
from tests.running_daemon import DaemonError, RunningDaemon, configuration

Connected = Callable[[RunningDaemon], QProcess]
EARLY = "share = 0.05\njitter = 0.0"  # a refresh is due at once, nearly
BARE = """
[listen]
port = {port}
directory = "{folder}"
[store]
path = "{folder}/sessiond.db"
[[issuer]]
name = "corp"
issuer = "http://localhost:9/"
insecure_http = true
verify = "jwt"
audience = ["api://kdb"]
"""


@contextmanager
def disk_full(daemon: RunningDaemon) -> Iterator[None]:
    """Refuse every byte that the daemon writes to a file (setrlimit(2), RLIMIT_FSIZE)."""
    _, most = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, most))


def on_disk(daemon: RunningDaemon, query: str) -> list[tuple[object, ...]]:
    """Return what another connection reads in the database."""
    with closing(sqlite3.connect(daemon.database)) as db:
        return list(db.execute(query))


def events(daemon: RunningDaemon) -> list[object]:
    rows = on_disk(daemon, "SELECT json_extract(body, '$.kind') FROM events ORDER BY sequence")
    return [kind for (kind,) in rows]


def await_logged(daemon: RunningDaemon, q: QProcess, event: str, count: int = 1) -> None:
    """Return when the daemon has logged an event so often; the test's timeout ends this."""
    while sum(entry["event"] == event for entry in daemon.log()) < count:
        q.ping()


def write_something(q: QProcess, issuer: RunningIssuer, handle: int) -> None:
    """Log bob in: whatever the table owes the disk is written before."""
    q.log_in(BOB, issuer.tokens(BOB)["access_token"], handle)


# The disk is full


def test_while_the_disk_is_full_logins_are_unavailable_and_what_is_live_goes_on(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q, pid = process(daemon), daemon.pid
    alice = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
    bob = strict_issuer.tokens(BOB)["access_token"]
    with disk_full(daemon):
        assert q.connect(BOB, bob, 6)["reason"] == "unavailable"
        assert q.renew(alice, pair(strict_issuer.tokens()))["reason"] == "unavailable"
        assert q.connect(ALICE, "a plain password", 7)["reason"] == "nottoken"
        q.ping()
        assert [each["session"] for each in q.sessions()] == [alice]
        await_logged(daemon, q, "nothing can be written")
    bobs = q.log_in(BOB, bob, 6)["session"]
    assert {each["session"] for each in q.sessions()} == {alice, bobs}
    assert q.renew(alice, pair(strict_issuer.tokens()))["ok"]
    assert q.pushes == []
    assert daemon.pid == pid
    daemon.kill()  # so what is there now was on disk
    daemon.start()
    again = process(daemon)
    assert again.reconcile({5: alice, 6: bobs}) == []
