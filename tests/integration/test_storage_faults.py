"""A disk that refuses writes is waited for: nobody new is let in, and who is in stays.

test_storage_at_start.py is about what the daemon finds when it starts.
"""

import resource
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Connected, Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

pytestmark = pytest.mark.chaos

EARLY = "share = 0.05\njitter = 0.0"  # a refresh is due at once, nearly


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


def write_something(q: FakeProcess, issuer: RunningIssuer, handle: int) -> None:
    """Log bob in: whatever the table owes the disk is written before."""
    q.log_in(BOB, issuer.tokens(BOB)["access_token"], handle)


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
        daemon.logged(1, event="nothing can be written")
    bobs = q.log_in(BOB, bob, 6)["session"]
    assert {each["session"] for each in q.sessions()} == {alice, bobs}
    assert q.renew(alice, pair(strict_issuer.tokens()))["ok"]
    assert q.pushes == []
    assert daemon.pid == pid
    daemon.kill()  # so what is there now was on disk
    daemon.start()
    again = process(daemon)
    assert again.reconcile({5: alice, 6: bobs}) == []


@pytest.mark.parametrize("how", ["refused", "expired", "left"])
def test_access_ends_while_the_disk_is_full_and_the_end_is_written_when_it_is_not(
    strict_issuer: RunningIssuer, start: Start, process: Connected, how: str
) -> None:
    strict_issuer.control.set_access_token_lifetime(3 if how == "expired" else 60)
    daemon = start(configuration(strict_issuer, refresh=EARLY if how == "refused" else ""))
    q = process(daemon)
    tokens = strict_issuer.tokens()
    strict_issuer.control.set_access_token_lifetime(3600)
    strict_issuer.control.fault("/token", "hold")
    brought = pair(tokens) if how == "refused" else tokens["access_token"]
    alice = q.log_in(ALICE, brought)["session"]
    if how == "refused":  # the refresh is under way, which was recorded
        strict_issuer.control.wait_for_calls("/token")
    with disk_full(daemon):
        if how == "refused":
            strict_issuer.control.revoke_user(ALICE)
            strict_issuer.control.clear_faults()
            told = q.next_push()
            assert (told["event"], told["reason"]) == ("revoked", "refused")
            assert told["sequence"] == 0  # it has none before it is on disk
        elif how == "expired":
            assert q.next_push()["event"] == "expired"
        else:
            q.disconnect(5)
        assert q.sessions() == []
        assert on_disk(daemon, "SELECT id FROM sessions") == [(alice.bytes,)]
        assert q.connect(BOB, strict_issuer.tokens(BOB)["access_token"], 6)["reason"] != ""
    kind = {"refused": "revoked", "expired": "expired", "left": "closed"}[how]
    write_something(q, strict_issuer, 6)
    kinds = [each for each in events(daemon) if each != "login.refused"]
    assert kinds == ["session.opened", f"session.{kind}", "session.opened"]
    assert (alice.bytes,) not in on_disk(daemon, "SELECT id FROM sessions")
    daemon.kill()
    daemon.start()
    again = process(daemon)
    assert again.reconcile({5: alice}) == [5]
    if how != "left":
        reason = "inactive" if how == "refused" else "expired"
        assert again.connect(ALICE, brought, 7)["reason"] == reason


def test_what_introspection_takes_back_is_taken_back_while_the_disk_is_full(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    secret = folder / "secret"
    secret.write_text("sessiond-secret")
    secret.chmod(0o600)
    client = f'client_secret_file = "{secret}"\nrefresh_client_id = "qstudio-opaque"'
    daemon = start(
        configuration(
            strict_issuer, extra=f'verify = "introspection"\n{client}', refresh="recheck = 0.5"
        )
    )
    q = process(daemon)
    opaque = strict_issuer.tokens(client="qstudio-opaque", scope="openid profile")["access_token"]
    alice = q.log_in(ALICE, f"bearer:{opaque}")["session"]
    with disk_full(daemon):
        strict_issuer.control.revoke_user(ALICE)
        told = q.next_push()
        assert (told["event"], told["session"]) == ("revoked", alice)
        assert q.sessions() == []


def test_a_refresh_that_cannot_be_recorded_is_not_sent_and_made_up_for(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(60)
    daemon = start(configuration(strict_issuer, refresh=EARLY))
    q = process(daemon)
    alice = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
    with disk_full(daemon):
        daemon.logged(1, event="refresh not recorded")
        assert strict_issuer.control.calls("/token") == 0
        assert q.pushes == []
    told = q.next_push()
    assert (told["event"], told["session"]) == ("refreshed", alice)
    assert strict_issuer.control.calls("/token") == 1


def test_a_handle_whose_opening_cannot_be_recorded_is_closed(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer, login="unbound = 1.0"))
    q = process(daemon)
    answer = q.connect(ALICE, strict_issuer.tokens()["access_token"])
    assert answer["ok"]
    with disk_full(daemon):
        q.opened(answer["session"], 5)
        told = q.next_push()
        assert (told["event"], told["handle"]) == ("revoked", 5)
        assert told["session"] == answer["session"]
        while q.sessions():  # it was never opened, so it ends by itself
            pass


def test_a_process_that_comes_back_while_the_disk_is_full_keeps_its_sessions(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer, login="grace = 1.0"))
    q = process(daemon)
    alice = q.log_in(ALICE, strict_issuer.tokens(ALICE)["access_token"], 5)["session"]
    bob = q.log_in(BOB, strict_issuer.tokens(BOB)["access_token"], 6)["session"]
    with disk_full(daemon):
        again = process(daemon)  # which replaces the older connection
        assert again.reconcile({5: alice, 7: uuid4()}) == [7]  # bob has left meanwhile
        daemon.logged(1, event="nothing can be written")
        assert [each["session"] for each in again.sessions()] == [alice]
    write_something(again, strict_issuer, 8)
    kinds = ["session.opened", "session.opened", "session.closed", "session.opened"]
    assert events(daemon) == kinds
    sessions = on_disk(daemon, "SELECT id, state FROM sessions")
    assert (alice.bytes, "open") in sessions
    assert bob.bytes not in {key for key, _ in sessions}


def test_the_watchdog_is_fed_while_the_disk_is_full(
    strict_issuer: RunningIssuer, start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{folder}/notify")
        systemd.settimeout(20.0)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/notify")
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        daemon = start(configuration(strict_issuer))
        with FakeProcess(daemon.address) as q, disk_full(daemon):
            q.hello()
            bob = strict_issuer.tokens(BOB)["access_token"]
            assert q.connect(BOB, bob)["reason"] == "unavailable"
            systemd.setblocking(False)
            with suppress(BlockingIOError):
                while systemd.recv(4096):
                    pass  # what was sent before
            systemd.settimeout(20.0)
            for _ in range(3):
                assert systemd.recv(4096) == b"WATCHDOG=1"
            assert q.connect(BOB, bob)["reason"] == "unavailable"


def test_another_program_that_locks_the_database_costs_the_logins_of_that_time_only(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer, login="deadline = 0.3"))
    q = process(daemon)
    alice = q.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"]
    bob = strict_issuer.tokens(BOB)["access_token"]
    unopened = q.connect(BOB, bob, 6)["session"]
    with closing(sqlite3.connect(daemon.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        q.opened(unopened, 6)
        assert q.connect(BOB, bob, 7)["reason"] == "deadline"
        told = q.next_push()  # SQLite gives up, long after the deadline
        assert (told["event"], told["handle"]) == ("revoked", 6)
        other.execute("ROLLBACK")
    q.disconnect(6)
    while not (answer := q.connect(BOB, bob, 7))["ok"]:  # one more try may be waiting for the lock
        assert answer["reason"] == "deadline"
    q.opened(answer["session"], 7)
    q.ping()
    assert {each["session"] for each in q.sessions()} == {alice, answer["session"]}


@contextmanager
def small_disk(at: Path) -> Iterator[None]:
    """Mount a file system of 512 KiB."""
    at.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(at)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def test_a_file_system_without_space_is_waited_for_and_refused_at_start(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    disk = folder / "disk"
    with small_disk(disk):
        on_it = configuration(strict_issuer).replace("{folder}/sessiond", "{folder}/disk/sessiond")
        daemon = start(on_it)
        q = process(daemon)
        alice = q.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"]
        bob = strict_issuer.tokens(BOB)["access_token"]
        filler = disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        handles = count(6)  # until what SQLite had set aside is used up
        while (answer := q.connect(BOB, bob, next(handles)))["ok"]:
            pass
        assert answer["reason"] == "unavailable"
        filler.unlink()
        q.log_in(BOB, bob, next(handles))
        assert alice in {each["session"] for each in q.sessions()}
