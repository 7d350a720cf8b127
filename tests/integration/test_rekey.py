"""Keys rotate while the daemon runs and while it rests, and nothing is lost."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from sessiond.config.credentials import new_key
from sessiond.core.secret import Secret
from sessiond.store.sealing import KeyRing
from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration


def rekey(daemon: RunningDaemon) -> str:
    """Run `sessiond rekey` and return what it prints."""
    return subprocess.run(
        [sys.executable, "-m", "sessiond", "rekey", "--config", str(daemon.folder / "config.toml")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def sealed(daemon: RunningDaemon) -> list[bytes]:
    """Return every sealed value of the database."""
    with closing(sqlite3.connect(daemon.database)) as db:
        values = "SELECT refresh_token FROM grants UNION ALL SELECT sealed FROM keys"
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
