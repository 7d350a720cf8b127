"""A plugin made by `sessionctl plugin new` installs, passes its tests, and is typed and tidy."""

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.integration.terminal import PROGRAM

ROOT = Path(__file__).parents[2]
PYTHON = [sys.executable, "-m"]
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new plugin of each kind."""
    folder = tmp_path_factory.mktemp("made")
    for kind in GROUPS:
        run(*PROGRAM, "plugin", "new", f"my-{kind}", "--kind", kind, folder=folder)
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize("kind", GROUPS)
def test_a_new_plugin_is_installed_and_passes_its_tests(
    made: Path, kind: str, tmp_path: Path
) -> None:
    plugin, site = made / f"sessiond-my-{kind}", tmp_path / "site"
    install = [*PYTHON, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*install, "--disable-pip-version-check", "--target", str(site), ".", folder=plugin)
    (found,) = distributions(path=[str(site)])
    (point,) = found.entry_points
    assert (point.group, point.name) == (GROUPS[kind], f"my-{kind}")
    assert (site / point.module / "py.typed").exists()
    tests = [*PYTHON, "pytest", "-q", "-p", "no:cacheprovider"]
    printed = run(*tests, folder=plugin, PYTHONPATH=os.pathsep.join([str(site), str(ROOT)]))
    assert " passed" in printed


@pytest.mark.heavy
@pytest.mark.timeout(240)  # it makes two environments
@pytest.mark.parametrize("is_ours", [True, False])
def test_the_command_that_is_printed_installs_the_plugin_and_runs_its_tests(
    tmp_path: Path, is_ours: bool
) -> None:
    prefix = tmp_path / ".venv"
    run(*PYTHON, "venv", str(prefix), folder=tmp_path)
    (site,) = prefix.glob("lib/python*/site-packages")
    seen = sysconfig.get_path("purelib")
    (site / "all.pth").write_text(f"import site; site.addsitedir({seen!r})\n")
    program = (
        f"import os; os.access = lambda _, mode, **__: mode != os.W_OK or {is_ours}\n"
        "from sessiond.ctl import main; main(prog_name='sessionctl')"
    )
    python = str(prefix / "bin/python")
    printed = run(python, "-c", program, "plugin", "new", "x", folder=tmp_path)
    step = printed.splitlines()[-1].removeprefix("next: ")
    assert ("venv .venv" in step) != is_ours
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_QUIET": "1"}
    assert " passed" in run("sh", "-c", step, folder=tmp_path, **offline)


def test_new_plugins_are_typed_and_tidy(made: Path, tmp_path: Path) -> None:
    modules = [str(next(made.glob(f"sessiond-my-{kind}/sessiond_*"))) for kind in GROUPS]
    cache = str(tmp_path / "mypy")
    run(
        *PYTHON, "mypy", "--strict", "--cache-dir", cache, *modules,
        folder=tmp_path, PYTHONPATH=str(ROOT),
    )  # fmt: skip
    run(*PYTHON, "ruff", "check", "--no-cache", ".", folder=made)
    run(*PYTHON, "ruff", "format", "--check", "--no-cache", ".", folder=made)
