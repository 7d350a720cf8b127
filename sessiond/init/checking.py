"""What was written, looked at as a start would look at it."""

import subprocess
import sys
from pathlib import Path

from sessiond import config as configuration
from sessiond.whole_file import below


def checked(config: Path, root: Path) -> list[str]:
    """Return what a start would say of a configuration, a line each.

    Of an image that is the file alone: its users and files are not this machine's. Here it is a
    process of its own, since root looks as the daemon's user does, and nobody comes back from that.
    What is wrong yet may well be among what is left to do, so it is told and ends nothing.

    Raises:
        ConfigError: The file itself is wrong.
    """
    if root != Path("/"):
        configuration.load(below(root, config))
        return [f"{below(root, config)}: ok"]
    # -P: root may stand anywhere, and what lies there is not imported
    command = [sys.executable, "-P", "-m", "sessiond", "check-config", "--deep"]
    command += ["--config", str(config)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if run.returncode == 0:
        return run.stdout.splitlines()
    return ["Not yet as a start needs it:", *(f"  {each}" for each in run.stderr.splitlines())]
