"""Keys rotate while the daemon runs and while it rests, and nothing is lost."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from sessiond.config import StoreConfig
from sessiond.config.credentials import new_key
from sessiond.core.secret import Secret
from sessiond.store.refresh_tokens import sealed_place
from sessiond.store.rotation import rotation_of
from sessiond.store.sealing import KeyRing
from sessiond.store.sqlite import LOOKUP_KEY, QUERIES
from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration


def rekey(daemon: RunningDaemon, *options: str) -> str:
    """Run `sessiond rekey` and return what it prints."""
    config = str(daemon.folder / "config.toml")
    return subprocess.run(
        [sys.executable, "-m", "sessiond", "rekey", *options, "--config", config],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def sealed(daemon: RunningDaemon) -> list[bytes]:
    """Return every sealed value of the database."""
    with closing(sqlite3.connect(daemon.database)) as db:
        values = "SELECT sealed FROM refresh_tokens UNION ALL SELECT sealed FROM keys"
        return [value for (value,) in db.execute(values)]


def test_a_new_key_takes_over_and_the_old_one_can_go(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    strict_issuer.control.set_access_token_lifetime(60)
    key_file = folder / "store.key"
    old, new = new_key().reveal(), new_key().reveal()
    key_file.write_text(f"{old}\n")
    key_file.chmod(0o600)
    daemon = start(
        configuration(
            strict_issuer,
            store=f'key_file = "{key_file}"',
            refresh="share = 0.05\njitter = 0.0",
        )
    )
    with FakeProcess(daemon.address) as q:
        q.hello()
        session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
        key_file.write_text(f"1:{old}\n2:{new}\n")
        assert rekey(daemon).endswith("2 values sealed anew\n")  # while the daemon runs
        daemon.stop()
    rekey(daemon)  # and while it rests: whatever it wrote with its older key
    ring = KeyRing.from_text(Secret(f"2:{new}"))
    assert all(ring.is_current(value) for value in sealed(daemon))
    key_file.write_text(f"2:{new}\n")
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.reconcile({5: session}) == []
        assert q.next_push()["event"] == "refreshed"
    assert daemon.database.stat().st_mode & 0o077 == 0


def test_the_key_is_changed_again_and_again_while_the_daemon_runs(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    strict_issuer.control.set_access_token_lifetime(60)
    daemon = start(configuration(strict_issuer, refresh="share = 0.05\njitter = 0.0"))
    key = daemon.folder / "sessiond.db.key"
    with FakeProcess(daemon.address) as q:
        q.hello()
        session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
        for number in (2, 3, 4):
            assert f"key {number - 1} is taken out" in rekey(daemon, "--new")
            ring = KeyRing.from_text(Secret(key.read_text()))
            assert (ring.current, ring.older) == (number, [])
            assert q.next_push()["event"] == "refreshed"  # sealed with a key that is there
            assert all(ring.is_current(value) for value in sealed(daemon))
        daemon.stop()
    assert "key 5 is made" in rekey(daemon, "--new")  # and while it rests
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.reconcile({5: session}) == []
        assert q.next_push()["event"] == "refreshed"
    assert not [each for each in daemon.log() if each["event"] == "refresh token lost"]


def test_a_key_that_seals_and_is_taken_away_is_refused_at_a_reload(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    key = daemon.folder / "sessiond.db.key"
    before = key.read_text()
    key.write_text(f"1:{new_key().reveal()}\n")
    os.kill(daemon.pid, signal.SIGHUP)
    (refused,) = daemon.logged(1, event="configuration refused")
    assert refused["problem"].startswith("store.key_file: key 1, with which the database is sealed")
    key.write_text(before)
    os.kill(daemon.pid, signal.SIGHUP)
    daemon.logged(1, event="configuration applied")


@pytest.mark.chaos
def test_killed_at_any_step_nothing_is_lost_and_the_next_one_goes_on(
    strict_issuer: RunningIssuer, start: Start, tmp_path: Path
) -> None:
    daemon = start(configuration(strict_issuer))
    with FakeProcess(daemon.address) as q:
        q.hello()
        q.log_in(ALICE, pair(strict_issuer.tokens()))
        daemon.stop()
    config, key = daemon.folder / "config.toml", daemon.folder / "sessiond.db.key"
    for step in count(1):
        program = [sys.executable, "-m", "tests.chaos.dying_rekey", str(step), str(config)]
        code = subprocess.run(program, check=False, capture_output=True).returncode
        ring = KeyRing.from_text(Secret(key.read_text()))
        assert opened(daemon, ring) == 2, f"killed at step {step}"
        if code != -signal.SIGKILL:
            assert code == 0
            break
        rotation_of(StoreConfig(path=str(daemon.database)), {}, print).run()
        ring = KeyRing.from_text(Secret(key.read_text()))
        assert ring.older == []
        assert all(ring.is_current(value) for value in sealed(daemon))
        assert not list(daemon.folder.glob("*.new"))
    assert step > 15  # it was killed indeed
    daemon.start()
    assert not [each for each in daemon.log() if each["event"] == "refresh token lost"]


def opened(daemon: RunningDaemon, ring: KeyRing) -> int:
    """Return how many sealed values the ring opens, as the daemon's start would."""
    with closing(sqlite3.connect(daemon.database)) as db:
        grants = db.execute(QUERIES["sealed_refresh_tokens"]).fetchall()
        keys = db.execute(QUERIES["sealed_keys"]).fetchall()
    for row, issuer, subject, value in grants:
        ring.unseal(value, **sealed_place(UUID(bytes=row), issuer, subject))
    for name, value in keys:
        ring.unseal(value, **{**LOOKUP_KEY, "row": name})
    return len(grants) + len(keys)
