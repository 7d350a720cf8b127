"""Where each system has a person's files, and where the administrator's are."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs
from platformdirs.api import PlatformDirsABC
from platformdirs.macos import MacOS
from platformdirs.windows import Windows

from sessiond_login.errors import ProfileRefused

NAME = "sessiond"
FILE = "login.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The files and folders of one person on one machine; none need be there."""

    profiles: Path  # the person's login.toml
    system_profiles: Path  # the administrator's, for everybody
    state: Path  # the folder of what is kept
    locks: tuple[Path, ...]  # folders for locks, the first that can be had


def here() -> Places:
    """Return those of this process.

    Raises:
        ProfileRefused: The person has no home.
    """
    uid = os.getuid() if os.name == "posix" else None
    try:
        return places(PlatformDirs(NAME, appauthor=False), os.environ, uid=uid)
    except RuntimeError:  # of a user that /etc/passwd does not know
        raise ProfileRefused(
            f"the user {uid} has no home folder: set HOME to one that is yours"
        ) from None


def places(dirs: PlatformDirsABC, environment: Mapping[str, str], *, uid: int | None) -> Places:
    """Return those of a system.

    Args:
        dirs: The system's folders, made with appauthor False.
        environment: Where XDG_RUNTIME_DIR and Windows' ProgramFiles are looked for.
        uid: The person's number; None: the system has none.
    """
    return Places(
        profiles=dirs.user_config_path / FILE,
        system_profiles=_system(dirs, environment) / FILE,
        state=dirs.user_state_path,
        locks=(
            *_runtime(dirs, environment, uid),
            dirs.user_state_path / "locks",
            *_temporary(uid),
        ),
    )


def _system(dirs: PlatformDirsABC, environment: Mapping[str, str]) -> Path:
    if isinstance(dirs, Windows):  # not ProgramData, where everybody may make folders
        named = environment.get("ProgramW6432") or environment.get("ProgramFiles")
        return Path(named or r"C:\Program Files") / NAME
    if isinstance(dirs, MacOS):
        return dirs.site_config_path
    return Path("/etc") / NAME  # where sessiond itself has its configuration


def _temporary(uid: int | None) -> tuple[Path, ...]:
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:  # nothing here can be written at all
        return ()
    return (Path(folder) / f"sessiond-login-{'' if uid is None else uid}",)


def _runtime(
    dirs: PlatformDirsABC, environment: Mapping[str, str], uid: int | None
) -> tuple[Path, ...]:
    """Return the local folder of the person's session: a home may be on another machine.

    A program without the variable, as one that cron starts, finds the same one.
    """
    if isinstance(dirs, Windows | MacOS):
        return ()
    folder = Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}")
    try:
        ours = folder.is_absolute() and folder.stat().st_uid == uid
    except OSError:
        ours = False
    return (folder / "sessiond-login",) if ours else ()
