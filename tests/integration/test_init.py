"""What `sessiond init` writes is what a daemon starts with, and lets a user in by."""

import subprocess
import sys
from pathlib import Path

from tests.integration.conftest import Connected, Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer

# What every test's daemon has of its own, in the place of the machine's.
PLACES = """\
[store]
path = "{folder}/sessiond.db"
[listen]
port = {port}
directory = "{folder}"
control = "{folder}/c"
"""


def init(root: Path, *options: str) -> str:
    """Set an image up; return the configuration that is in it, with places of the test's."""
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "sessiond", "init", "--yes"),
            *("--root", str(root), "--q-user", "root", *options),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert max(map(len, run.stdout.partition("Left to do")[2].splitlines())) <= 80
    text = (root / "etc/sessiond/config.toml").read_text()
    return text.replace("/etc/sessiond/", f"{root}/etc/sessiond/").replace("[listen]\n", PLACES)


def test_a_user_of_the_development_issuer_gets_in(
    strict_issuer: RunningIssuer, folder: Path, start: Start, process: Connected
) -> None:
    daemon = start(
        init(
            folder / "image",
            *("--issuer", f"{strict_issuer.issuer}/", "--insecure-http"),
            *("--audience", "api://kdb", "--program", "qstudio"),
            *("--role", "trader=reader"),
        )
    )
    answer = process(daemon).log_in(ALICE, pair(strict_issuer.tokens()))
    assert answer["roles"] == ["reader"]


def test_a_user_of_an_entra_shaped_tenant_gets_in_and_is_refreshed(
    tls_issuer: RunningIssuer, folder: Path, start: Start, process: Connected
) -> None:
    tls_issuer.control.set_access_token_lifetime(10)
    written = init(
        folder / "image",
        *("--entra", tls_issuer.issuer, "--ca-file", str(tls_issuer.ca_file)),
        *("--api", "api://kdb", "--program", "qstudio", "--role", "trader=reader"),
    )
    daemon = start(f"{written}[refresh]\nshare = 0.2\njitter = 0.0\n")
    q = process(daemon)
    scope = "openid profile offline_access api://kdb/session.login"
    answer = q.log_in(ALICE, pair(tls_issuer.tokens(scope=scope)))
    assert answer["roles"] == ["reader"]
    assert q.next_push()["event"] == "refreshed"
