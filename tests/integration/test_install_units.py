"""What `sessiond install-units` writes is what systemd's own tools take."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("systemd")

CONFIG = """
[listen]
port = 6001
directory = "/srv/q"
control_group = "sessiond"
[store]
path = "/srv/sessiond/db"
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
"""


def run(*command: str | Path) -> str:
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout + found.stderr


def test_an_image_gets_units_that_systemd_verifies_and_enables(
    tmp_path: Path, folder: Path
) -> None:
    venv = folder / "venv"  # a unit can name it, wherever the checkout is
    venv.symlink_to(sys.prefix)
    root, config = tmp_path / "root", tmp_path / "config.toml"
    config.write_text(CONFIG)
    printed = run(
        *(venv / "bin/python", "-m", "sessiond", "install-units"),
        *("--root", root, "--config", config, "--apply"),
    )
    units = sorted((root / "etc/systemd/system").iterdir())
    assert len(units) == 4
    assert run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units) == ""

    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    commands = [line for line in printed.splitlines() if not line.startswith("#")]
    assert len(commands) == 3
    for command in commands:
        run(*command.split())
    assert "\nsessiond:x:" in (root / "etc/passwd").read_text()
    assert (root / "run/sessiond").is_dir()
    enabled = {each.name for each in root.glob("etc/systemd/system/*.wants/*")}
    assert enabled == {each.name for each in units}
