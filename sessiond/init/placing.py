"""Puts the files where they belong, with owner and mode; nothing gives way unasked."""

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from sessiond.config.credentials import new_key
from sessiond.core.errors import ConfigError, InTheWayError
from sessiond.whole_file import write_whole

OWNER = "sessiond"  # as the unit runs it
CONFIG_MODE, PROOF_MODE = 0o644, 0o640


@dataclass(frozen=True, slots=True)
class Accounts:
    """Names and numbers of the machine below `root`, which need not be this one."""

    root: Path

    def uid(self, user: str) -> int | None:
        if self.root == Path("/"):
            try:
                return pwd.getpwnam(user).pw_uid
            except KeyError:
                return None
        return self._number("etc/passwd", user, 2)

    def gid(self, group: str) -> int | None:
        if self.root == Path("/"):
            try:
                return grp.getgrnam(group).gr_gid
            except KeyError:
                return None
        return self._number("etc/group", group, 2)

    def group_of(self, user: str) -> str | None:
        """Return the name of a user's own group; None: there is no such user."""
        if self.root == Path("/"):
            try:
                return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
            except KeyError:
                return None
        gid = self._number("etc/passwd", user, 3)
        names = (row[0] for row in self._rows("etc/group") if row[2:3] == [str(gid)])
        return None if gid is None else next(names, None)

    def _number(self, file: str, name: str, column: int) -> int | None:
        for row in self._rows(file):
            if row[0] == name and row[column : column + 1] and row[column].isdecimal():
                return int(row[column])
        return None

    def _rows(self, file: str) -> list[list[str]]:
        try:
            text = (self.root / file).read_text(encoding="utf-8")
        except OSError:
            return []
        return [line.split(":") for line in text.splitlines()]


def group_of(root: Path, user: str) -> str:
    """Return the group of q's user; raise ConfigError where there is no such user."""
    group = Accounts(root).group_of(user)
    if group is None:
        raise ConfigError(
            f"there is no user {user} on this machine: name the user that q runs as (--q-user)"
        )
    return group


def below(root: Path, path: Path) -> Path:
    """Return where an absolute path of that machine is."""
    return root / path.relative_to("/")


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
            old = config.with_name(f"{config.name}.old")
            write_whole(old, config.read_bytes(), mode=CONFIG_MODE)
        write_whole(config, text.encode(), mode=CONFIG_MODE, replaces=force)
    except FileExistsError as error:
        raise _in_the_way(config) from error
    except OSError as error:
        raise _cannot(config, error) from error


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
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot(path, error) from error


def _cannot(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be written: {error.strerror}; run this as root")


def _in_the_way(config: Path) -> InTheWayError:
    return InTheWayError(
        f"{config} is there already, and is left as it is: edit that, or have it replaced with "
        f"--force, which keeps it as {config.name}.old; --dry-run shows what would be written"
    )
