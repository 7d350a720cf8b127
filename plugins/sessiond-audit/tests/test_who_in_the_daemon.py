"""Who could be admin on rdb1, and why: asked of the log of a real daemon and its kept files."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from audit_events import whole
from sessiond_audit.__main__ import main
from test_in_the_daemon import wait_until_written

from sessiond.qipc import call, int_
from sessiond.testing import FakeProcess
from tests.integration.test_reload import reload
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.needs import absent
from tests.running_daemon import RunningDaemon, configuration

ROLES = 'role_names = ["adm*"]\n[issuer.roles]\ntrader = "trading"\n'
GRANT = f'[[access.grant]]\nusers = ["{ALICE}"]\nroles = ["admin"]\n'
TABLES = f"""[access]
protected_roles = ["admin"]
{GRANT}[[access.process]]
name = "gateway*"
roles = ["trading"]
[[access.process]]
name = "rdb*"
peers = [0, "nobody"]
estate = true
"""


class Estate:
    """A daemon with a gateway, whose configurations are kept by a careful operator."""

    def __init__(self, folder: Path, issuer: RunningIssuer) -> None:
        self.log = folder / "audit.jsonl"
        subscriber = f'[[subscriber]]\nplugin = "audit"\npath = "{self.log}"\n'
        self._text = configuration(issuer, extra=ROLES) + subscriber + TABLES
        self._kept: list[Path] = []
        self.daemon = RunningDaemon(folder, self._text)

    def keep(self) -> None:
        """Keep the file that counts."""
        kept = self.daemon.folder / f"kept-{len(self._kept)}.toml"
        self._kept.append(Path(shutil.copy(self.daemon.folder / "config.toml", kept)))

    def take_the_grant_away(self) -> None:
        reload(self.daemon, self._text.replace(GRANT, ""))

    def who(self, capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, Any]]:
        wait_until_written(self.daemon)
        kept = [part for path in self._kept for part in ("--configuration", str(path))]
        assert main(["who", str(self.log), "--role", "admin", "--json", *kept, *args]) == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["found"]
        return found


def test_an_auditor_hears_who_could_be_admin_on_rdb1_and_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    if reason := absent("real"):
        pytest.skip(f"needs real: {reason}")
    with (
        tempfile.TemporaryDirectory(prefix="sd") as folder,
        RunningIssuer(rotation="strict") as issuer,
    ):
        for user in (ALICE, BOB):  # the issuer calls both of them admin, which counts for nothing
            issuer.control.change_user(user, roles=["trader", "admin"])
        estate = Estate(Path(folder), issuer)
        with estate.daemon as daemon, FakeProcess(daemon.address) as q:
            estate.keep()
            q.hello("gateway1")
            for handle, user in ((5, ALICE), (6, BOB)):
                q.log_in(user, issuer.tokens(user)["access_token"], handle)
            (alice,) = estate.who(capsys, "--process", "rdb1")
            assert (alice["user"], alice["why"]) == (ALICE, ["access.grant[1]"])
            assert (alice["by_follow"], alice["logged_in_at"]) == (True, "gateway1")
            assert (alice["end"], alice["unknown"]) == (None, [])
            assert estate.who(capsys, "--process", "gateway1") == []
            daemon.kill()
            daemon.start()
            assert estate.who(capsys, "--process", "rdb1") == [alice]  # a restart ends nothing
            estate.take_the_grant_away()
            estate.keep()
            (ended,) = estate.who(capsys, "--process", "rdb1")
            assert (ended["begin"], ended["ended"]) == (alice["begin"], "another configuration")
        assert whole(estate.log).holes == []


def test_who_leaves_was_admin_until_then(capsys: pytest.CaptureFixture[str]) -> None:
    if reason := absent("real"):
        pytest.skip(f"needs real: {reason}")
    with (
        tempfile.TemporaryDirectory(prefix="sd") as folder,
        RunningIssuer(rotation="strict") as issuer,
    ):
        estate = Estate(Path(folder), issuer)
        with estate.daemon as daemon, FakeProcess(daemon.address) as q:
            estate.keep()
            q.hello("gateway1")
            q.log_in(ALICE, issuer.tokens(ALICE)["access_token"], 5)
            q.tell(call("disconnect", int_(5)))
            assert q.sessions() == []
            (alice,) = estate.who(capsys, "--process", "rdb1")
            assert alice["ended"] == "session.closed disconnect"
            assert alice["end"] >= alice["begin"]
            assert estate.who(capsys, "--process", "rdb1", "--to", "2020-01-01") == []
