"""sessionctl doctor on real installations: one in order, one that is not, one that is down."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessiond import __version__
from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.operating import PATIENCE
from tests.integration.terminal import PROGRAM
from tests.issuer.running import RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

Connected = Callable[[RunningDaemon], FakeProcess]
HOOK = Path(__file__).parents[2] / "plugins/torq/sessiond.q"


def doctor(daemon: RunningDaemon, *, code: int, program: list[str] = PROGRAM) -> dict[str, Any]:
    """Return what it finds, by check; the worst where a check has several."""
    config = str(daemon.folder / "config.toml")
    done = subprocess.run(
        [*program, "--config", config, "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    found = json.loads(done.stdout)["findings"]
    found.sort(key=lambda each: ("ok", "warning", "wrong").index(each["outcome"]))
    return {each["check"]: each for each in found}


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {check: each["outcome"] for check, each in found.items()}


def test_an_installation_in_order_is_ok(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    (folder / "proof").write_text("a proof key that q knows as well\n")
    (folder / "proof").chmod(0o640)
    daemon = start(configuration(strict_issuer, listen='proof_key_file = "{folder}/proof"'))
    process(daemon)
    found = doctor(daemon, code=0)
    assert {check: each["outcome"] for check, each in found.items() if each["advice"]} == {}
    assert {"config", "database", "store key", "store key fits", "proof key"} <= found.keys()
    assert strict_issuer.issuer in found["issuer corp"]["found"]
    assert found["clock by corp"]["outcome"] == "ok"
    assert f"held by process {daemon.pid} of" in found["kdb+ socket"]["found"]
    assert found["daemon"]["found"].startswith(__version__)
    assert not [each for each in daemon.log() if each["level"] == "error"]


def test_what_is_wrong_is_found(strict_issuer: RunningIssuer, start: Start, folder: Path) -> None:
    daemon = start(configuration(strict_issuer))
    key = folder / "sessiond.db.key"
    kept = key.read_text()
    key.write_text("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n")
    daemon.database.chmod(0o644)
    (folder / "config.toml").chmod(0o666)
    found = outcomes(doctor(daemon, code=1))
    assert (found["config"], found["database"]) == ("wrong", "wrong")
    assert (found["store key"], found["store key fits"]) == ("ok", "wrong")
    assert found["daemon"] == "ok"
    key.write_text(kept)
    daemon.database.chmod(0o600)
    (folder / "config.toml").chmod(0o644)
    assert "wrong" not in outcomes(doctor(daemon, code=0)).values()


def test_a_daemon_that_is_down_is_said_and_the_rest_is_looked_at(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(configuration(strict_issuer))
    daemon.stop()
    files = sorted(folder.iterdir())
    found = outcomes(doctor(daemon, code=1))
    assert (found["kdb+ socket"], found["control socket"]) == ("wrong", "wrong")
    assert (found["store key fits"], found["issuer corp"]) == ("ok", "ok")
    assert sorted(folder.iterdir()) == files  # nothing is left behind
    daemon.start()
    assert outcomes(doctor(daemon, code=0))["daemon"] == "ok"


def test_an_ordinary_user_is_told_what_he_may_not_look_at(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    daemon = start(configuration(strict_issuer))
    folder.chmod(0o755)
    as_nobody = (
        "import os, asyncio, concurrent.futures.thread, encodings.idna, httpcore, rich.table\n"
        "import anyio._backends._asyncio, httpcore._backends.anyio\n"
        "from sessiond.ctl import main\nimport sessiond.ctl.doctor.issuers\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\nmain(prog_name='sessionctl')"
    )
    found = doctor(daemon, code=0, program=[sys.executable, "-c", as_nobody])
    assert found["store key fits"]["found"].startswith("not looked at")
    assert found["kdb+ socket"]["outcome"] == "warning"
    assert found["control socket"]["outcome"] == "warning"
    assert found["issuer corp"]["outcome"] == "ok"


def test_the_hook_says_the_version_that_it_comes_with() -> None:
    assert f'version:"{__version__}"' in HOOK.read_text()
