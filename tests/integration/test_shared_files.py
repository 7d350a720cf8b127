"""What pip installs has the files that the Debian package has."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from sessiond.shared_files import plan

ROOT = Path(__file__).parents[2]
THERE = """
import sys
from pathlib import Path
from sessiond.shared_files import plan
assert __import__("sessiond").__file__.startswith(sys.argv[1])
for each in plan(Path("/nowhere")):
    print(each.path, len(each.content))
"""


def test_a_wheel_carries_all_that_is_shared(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    ZipFile(wheel).extractall(tmp_path / "unpacked")
    run = subprocess.run(
        [sys.executable, "-c", THERE, str(tmp_path / "unpacked")],
        env={"PYTHONPATH": str(tmp_path / "unpacked")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    here = [f"{each.path} {len(each.content)}" for each in plan(Path("/nowhere"))]
    assert run.stdout.splitlines() == here
