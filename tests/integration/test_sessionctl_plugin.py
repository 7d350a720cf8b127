"""A plugin made by `sessionctl plugin new` installs, passes its tests, and is typed and tidy."""

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.integration.terminal import PROGRAM

ROOT = Path(__file__).parents[2]
GROUPS = {
    "subscriber": "sessiond.subscribers",
    "verifier": "sessiond.verifiers",
    "role-source": "sessiond.role_sources",
}


def run(*command: str, folder: Path, **environ: str) -> str:
    """Run a program in a folder; it must end well."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("kind", GROUPS)
def test_a_new_plugin_is_in_order(kind: str, tmp_path: Path) -> None:
    python = [sys.executable, "-m"]
    name = f"my-{kind}"
    run(*PROGRAM, "plugin", "new", name, "--kind", kind, folder=tmp_path)
    plugin, site = tmp_path / f"sessiond-{name}", tmp_path / "site"
    install = [*python, "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    run(*install, "--target", str(site), ".", folder=plugin)
    (found,) = distributions(path=[str(site)])
    (point,) = found.entry_points
    assert (point.group, point.name) == (GROUPS[kind], name)
    assert (site / point.module / "py.typed").exists()
    tests = [*python, "pytest", "-q", "-p", "no:cacheprovider"]
    printed = run(*tests, folder=plugin, PYTHONPATH=os.pathsep.join([str(site), str(ROOT)]))
    assert " passed" in printed
    cache = str(tmp_path / "mypy")
    run(*python, "mypy", "--strict", "--cache-dir", cache, folder=plugin, PYTHONPATH=str(ROOT))
    run(*python, "ruff", "check", "--no-cache", folder=plugin)
    run(*python, "ruff", "format", "--check", "--no-cache", folder=plugin)
