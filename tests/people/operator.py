"""What an operator does for people: write the profile that their machines need."""

import subprocess
import sys
from pathlib import Path

from tests.people.machine import Machine

SESSIONCTL = str(Path(sys.executable).with_name("sessionctl"))


def hand_out_profile(configuration: Path, machine: Machine, *options: str, **keys: str) -> None:
    """Put onto a person's machine what `sessionctl client-profile` makes of a configuration.

    Args:
        configuration: The daemon's file.
        machine: Whose.
        options: For the command.
        keys: What the person's own machine needs besides, as TOML.
    """
    command = [SESSIONCTL, "--config", str(configuration), "client-profile", *options]
    written = subprocess.run(command, capture_output=True, text=True, check=False)
    assert written.returncode == 0, written.stderr
    own = "".join(f"{name} = {value}\n" for name, value in keys.items())
    machine.has_profiles(written.stdout + own)
