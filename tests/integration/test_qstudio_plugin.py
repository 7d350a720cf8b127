"""The qStudio plugin: Maven builds its jar, and its own tests try that as qStudio does."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "plugins/qstudio"
PATIENCE = 600  # seconds; a first build fetches what pom.xml names


@pytest.mark.heavy
@pytest.mark.needs("maven")
@pytest.mark.timeout(PATIENCE)
def test_the_qstudio_plugin_is_built_and_passes_its_own_tests(tmp_path: Path) -> None:
    folder = tmp_path / "qstudio"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("target"))
    maven = subprocess.run(
        ["mvn", "--batch-mode", "--quiet", "verify"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert maven.returncode == 0, maven.stdout[-10_000:]
    assert (folder / "plugin/target/sessiond-qstudio.jar").exists()
