"""Plugins written by a test, on the path of the daemon that it starts."""

import textwrap
from pathlib import Path

import pytest

from tests.subscribed import python_path


def put_on_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, group: str, name: str, code: str
) -> None:
    """Install a plugin, as pip would, for the daemons that this test starts from now on.

    Args:
        folder: Where to.
        monkeypatch: Undoes it.
        group: The entry points' group.
        name: Of the entry point, and of the module.
        code: The module's; `entry` in it is what the entry point names.
    """
    (folder / f"{name}.py").write_text(textwrap.dedent(code))
    about = folder / f"{name}-1.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}:entry\n")
    monkeypatch.setenv("PYTHONPATH", python_path(folder))
