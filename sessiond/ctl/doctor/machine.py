"""The machine: the systemd unit, and room on the disk."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sessiond.ctl.doctor.finding import Finding, ok, unseen, warning, wrong

UNIT = "sessiond.service"
WITHIN = 10.0  # seconds for systemctl
BOOTED = Path("/run/systemd/system")  # there where systemd runs: sd_booted(3)
FULL = 64 * 2**20  # bytes free, below which the database soon refuses writes
LOW = 2**30  # bytes free, below which it is time to look
_ASKED = "LoadState,ActiveState,SubState,UnitFileState,User,NRestarts,NeedDaemonReload"


def unit_state() -> dict[str, str]:
    """Return what systemd knows of the unit; nothing where there is no systemd."""
    program = shutil.which("systemctl")
    if program is None or not BOOTED.is_dir():
        return {}
    try:
        shown = subprocess.run(  # noqa: S603 - the program that PATH names, and no word of others
            [program, "show", UNIT, f"--property={_ASKED}"],
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    lines = (line.partition("=") for line in shown.stdout.splitlines())
    return {name: value for name, _, value in lines}


def unit(state: dict[str, str]) -> Iterator[Finding]:
    """Judge the unit by its state."""
    if not state:
        yield ok("systemd", "not in use here")
        return
    if state.get("LoadState") != "loaded":
        found = f"{UNIT}: {state.get('LoadState') or 'unknown'}"
        yield warning("systemd", found, "install it: sessiond install-units")
        return
    active = f"{UNIT}: {state.get('ActiveState')} ({state.get('SubState')})"
    restarts = state.get("NRestarts", "0")
    if state.get("ActiveState") == "failed":
        yield wrong("systemd", active, f"journalctl -u {UNIT} says why")
    elif state.get("ActiveState") != "active":
        yield warning("systemd", active, f"systemctl enable --now {UNIT}")
    elif restarts not in ("", "0"):
        found = f"{active}, restarted {restarts} times by systemd"
        yield warning("systemd", found, f"journalctl -u {UNIT} says why")
    else:
        yield ok("systemd", active)
    if state.get("UnitFileState") == "disabled":
        yield warning("systemd", f"{UNIT} does not start at boot", f"systemctl enable {UNIT}")
    if state.get("NeedDaemonReload") == "yes":
        yield warning("systemd", f"{UNIT} has changed on disk", "systemctl daemon-reload")


def account(state: dict[str, str], database: Path | None) -> int | None:
    """Return the uid that the daemon runs as: by its unit, else by its database's owner."""
    name = state.get("User", "")
    try:
        if name and state.get("LoadState") == "loaded":
            return int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid
    except KeyError:
        pass
    try:
        return None if database is None else database.stat().st_uid
    except OSError:
        return None


def disk(database: Path) -> Iterator[Finding]:
    """Look for room: a full disk keeps everybody out, since no login can be put on it."""
    folder = database.parent
    while not os.path.lexists(folder) and folder != folder.parent:  # systemd makes it
        folder = folder.parent
    try:
        usage = shutil.disk_usage(folder)
        nodes = os.statvfs(folder)
    except OSError as error:
        yield unseen("disk", error)
        return
    found = f"{usage.free // 2**20} MiB free in {folder}"
    if usage.free < FULL or (nodes.f_files and not nodes.f_favail):
        yield wrong("disk", found, "make room: without it no login can be recorded")
    elif usage.free < LOW:
        yield warning("disk", found, "make room soon, or lower events.keep")
    else:
        yield ok("disk", found)
