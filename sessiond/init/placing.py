"""Puts the files where they belong, with owner and mode; nothing gives way unasked."""

import grp
import os
import pwd
import stat
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sessiond.config.credentials import new_key
from sessiond.core.errors import ConfigError, InTheWayError
from sessiond.whole_file import make_folder, write_whole

OWNER = "sessiond"  # as the unit runs it
CONFIG_MODE, PROOF_MODE = 0o644, 0o640


@dataclass(frozen=True, slots=True)
class Accounts:
    """Names and numbers of the machine below `root`, which need not be this one."""

    root: Path

    def uid(self, user: str) -> int | None:
        ids = self._ids(user)
        return None if ids is None else ids[0]

    def gid(self, group: str) -> int | None:
        if group.isdecimal():
            return int(group)
        if self.root == Path("/"):
            try:
                return grp.getgrnam(group).gr_gid
            except KeyError:
                return None
        numbers = (row[2] for row in self._rows("etc/group") if row[0] == group)
        return next(map(int, filter(str.isdecimal, numbers)), None)

    def group_of(self, user: str) -> str | None:
        """Return a user's own group, by its name where it has one; None: no such user."""
        ids = self._ids(user)
        if ids is None:
            return None
        if self.root == Path("/"):
            try:
                return grp.getgrgid(ids[1]).gr_name
            except KeyError:
                return str(ids[1])
        names = (row[0] for row in self._rows("etc/group") if row[2] == str(ids[1]))
        return next(names, str(ids[1]))

    def _ids(self, user: str) -> tuple[int, int] | None:
        """Return a user's uid and gid, by name or number."""
        if self.root == Path("/"):
            try:
                found = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
            except (KeyError, OverflowError):
                return None
            return found.pw_uid, found.pw_gid
        for row in self._rows("etc/passwd"):
            if user in (row[0], row[2]) and row[2].isdecimal() and row[3].isdecimal():
                return int(row[2]), int(row[3])
        return None

    def _rows(self, file: str) -> list[list[str]]:
        try:
            text = (self.root / file).read_text(encoding="utf-8")
        except OSError:
            return []
        return [row for row in (line.split(":") for line in text.splitlines()) if len(row) > 3]


def group_of(root: Path, user: str) -> str:
    """Return the group of q's user; raise ConfigError where there is no such user."""
    group = Accounts(root).group_of(user)
    if group is None:
        where = "on this machine" if root == Path("/") else f"in {root / 'etc/passwd'}"
        raise ConfigError(
            f"there is no user {user} {where}, wanted q's: name the user that q runs as "
            "(--q-user), or the group that reads the proof key (--q-group)"
        )
    return group


def check_way(config: Path, *, force: bool) -> None:
    """Raise InTheWayError where a configuration is there that must not be replaced."""
    if config.exists() and not force:
        raise _in_the_way(config)


def put_config(config: Path, text: str, *, force: bool) -> None:
    """Write the configuration; what it replaces is kept beside it.

    Raises:
        InTheWayError: There is one, and it must not be replaced.
        ConfigError: It cannot be written.
    """
    _make_folder(config)
    try:
        if force and config.exists():
            mode = stat.S_IMODE(config.stat().st_mode) & CONFIG_MODE
            write_whole(_free(config), config.read_bytes(), mode=mode, replaces=False)
        write_whole(config, text.encode(), mode=CONFIG_MODE, replaces=force)
    except FileExistsError as error:
        raise _in_the_way(config) from error
    except OSError as error:
        raise _cannot(config, error) from error


def _free(config: Path) -> Path:
    """Return where to keep what is replaced: whoever forces twice keeps what he began with."""
    names = (f"{config.name}.old{number or ''}" for number in count())
    return next(each for each in map(config.with_name, names) if not os.path.lexists(each))


def put_proof(proof: Path, *, group: str, accounts: Accounts) -> bool:
    """Make the proof key, unless there is one: q processes may have that. Say whether it was made.

    It is root's and unreadable to q where sessiond's user, or q's group, is not there yet.

    Raises:
        ConfigError: It cannot be written.
    """
    _make_folder(proof)
    key = f"{new_key().reveal()}\n".encode()
    owner = owner_of_proof(accounts, group)
    try:
        write_whole(proof, key, mode=PROOF_MODE, owner=owner, replaces=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise _cannot(proof, error) from error
    return True


def owner_of_proof(accounts: Accounts, group: str) -> tuple[int, int] | None:
    """Return to whom to give the proof key; None: that must be done later, or by root."""
    uid, gid = accounts.uid(OWNER), accounts.gid(group)
    return None if uid is None or gid is None or os.geteuid() != 0 else (uid, gid)


def _make_folder(path: Path) -> None:
    try:
        make_folder(path.parent)
    except OSError as error:
        raise _cannot(path, error) from error


def _cannot(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written: {error.strerror}, wanted it there: run this as root"
    )


def _in_the_way(config: Path) -> InTheWayError:
    return InTheWayError(
        f"{config} is there already, and is left as it is, wanted none: edit that, or have it "
        f"replaced with --force, which keeps it as {config.name}.old; --dry-run shows what would "
        "be "
        "written"
    )
