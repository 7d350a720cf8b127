"""The files: whether they are there, whose they are, and who else could read them."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sessiond.config import Config
from sessiond.ctl.doctor.finding import Finding, ok, unseen, warning, wrong

WRITABLE = stat.S_IWGRP | stat.S_IWOTH
ONLY_OWNER = stat.S_IRWXG | stat.S_IRWXO
OWNER_AND_READING_GROUP = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Whose daemon it is, and where systemd puts its credentials."""

    owner: int | None  # the daemon's uid; None: nobody knows yet
    credentials: Path | None


def config_file(path: Path, where: Where) -> Iterator[Finding]:
    """Look at the configuration: who writes it decides who may log in."""
    if _is_missing(path):
        advice = "`sessiond init` makes one; for another: sessionctl --config FILE doctor"
        yield wrong("config", f"{path} is not there", advice)
        return
    yield from _file("config", path, where, forbidden=WRITABLE, mode="0644")


def files(config: Config, database: Path, where: Where) -> Iterator[Finding]:
    """Look at the database, at the key it is sealed with, and at every other secret."""
    yield from _database(database, where)
    key = config.store.key_file
    beside = database.with_name(f"{database.name}.key")
    yield from secret("store key", key, "store", where, otherwise=beside)
    yield from _proof(config, where)
    for issuer in config.issuers:
        secrets = {
            "client_secret": issuer.client_secret_file,
            "refresh_client_secret": issuer.refresh_client_secret_file,
        }
        if issuer.web is not None:
            secrets["web_client_secret"] = issuer.web.client_secret_file
        for name, file in secrets.items():
            yield from secret(f"{issuer.name} {name}", file, f"{issuer.name}.{name}", where)
    for source in config.sources:
        secrets = {
            "client_secret": source.client_secret_file,
            "refresh_token": source.refresh_token_file,
            "password": source.password_file,
        }
        for name, file in secrets.items():
            credential = f"source.{source.name}.{name}"
            yield from secret(f"source {source.name} {name}", file, credential, where)


def secret(
    check: str, file: str, credential: str, where: Where, *, otherwise: Path | None = None
) -> Iterator[Finding]:
    """Look at a secret of the daemon's own: its file, or else its systemd credential."""
    if file:
        yield from _file(check, Path(file), where, forbidden=ONLY_OWNER, mode="0600")
    elif (found := credential_file(credential, where)) is not None:
        yield ok(check, f"systemd credential {found}")
    elif otherwise is not None and not _is_missing(otherwise):
        yield from _file(check, otherwise, where, forbidden=ONLY_OWNER, mode="0600")
    elif otherwise is not None:
        said = f"no {otherwise}, and no systemd credential to be seen"
        is_first = _is_missing(otherwise.with_suffix(""))
        then = "a first start makes it" if is_first else "or bring it back: its database is there"
        yield warning(check, said, f"run this as root while the daemon runs; {then}")


def credential_file(name: str, where: Where) -> Path | None:
    """Return where a systemd credential is, or None: there is none, as far as one can see."""
    if where.credentials is None:
        return None
    path = where.credentials / name
    try:
        return path if path.exists() else None
    except PermissionError:
        return None


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:
        return False


def _database(path: Path, where: Where) -> Iterator[Finding]:
    folder = path.parent
    try:
        if not path.exists():
            yield warning("database", f"{path} is not there", "the daemon's first start makes it")
            return
        mode = folder.stat().st_mode
    except OSError as error:
        yield unseen("database", error)
        return
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        yield wrong("database", f"everybody may write in {folder}", f"chmod o-w {folder}")
    for each in (path, path.with_name(f"{path.name}-wal")):
        if each == path or each.exists():
            yield from _file("database", each, where, forbidden=ONLY_OWNER, mode="0600")


def _proof(config: Config, where: Where) -> Iterator[Finding]:
    check, file = "proof key", config.listen.proof_key_file
    if not file:
        found = credential_file("proof", where)
        if found is not None:
            yield ok(check, f"systemd credential {found}; q needs its own copy")
        else:
            said = "none to be seen; without one, hooks that ask for a proof send no token"
            advice = "make one with `sessiond keygen`, and name it: listen.proof_key_file"
            yield warning(check, said, advice)
        return
    path = Path(file)
    findings = list(_file(check, path, where, forbidden=OWNER_AND_READING_GROUP, mode="0640"))
    yield from findings
    if all(each.outcome == "ok" for each in findings):
        for user in config.listen.allow_users:
            yield from _readable_by(user, path)


def _readable_by(user: str | int, path: Path) -> Iterator[Finding]:
    """Say where a q process of this user could not read the proof key."""
    try:
        account = pwd.getpwuid(int(user)) if str(user).isdecimal() else pwd.getpwnam(str(user))
    except KeyError:
        yield wrong("q's user", f"there is no user {user}", "mend listen.allow_users")
        return
    status = path.stat()
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    by_owner = status.st_uid == account.pw_uid and status.st_mode & stat.S_IRUSR
    by_group = status.st_gid in groups and status.st_mode & stat.S_IRGRP
    if account.pw_uid != 0 and not by_owner and not by_group:
        found = f"{account.pw_name}, who may connect, cannot read {path}"
        group = group_name(account.pw_gid)
        yield warning("proof key", found, f"chgrp {group} {path}; chmod 0640 {path}")


def _file(check: str, path: Path, where: Where, *, forbidden: int, mode: str) -> Iterator[Finding]:
    try:
        status = path.stat()
    except FileNotFoundError:
        yield wrong(check, f"{path} is not there", "bring it back, or name another file")
        return
    except OSError as error:
        yield unseen(check, error)
        return
    if not stat.S_ISREG(status.st_mode):
        yield wrong(check, f"{path} is no regular file", "name another file")
        return
    shown = f"{path}, mode {stat.S_IMODE(status.st_mode):04o}, of {user_name(status.st_uid)}"
    is_fine = True
    if status.st_mode & forbidden:
        is_fine = False
        yield wrong(check, f"{shown}: others get at it", f"chmod {mode} {path}")
    if where.owner is not None and status.st_uid not in (0, where.owner):
        is_fine = False
        owner = user_name(where.owner)
        yield wrong(check, f"{shown}: the daemon runs as {owner}", f"chown {owner} {path}")
    if is_fine:
        yield ok(check, shown)


def user_name(number: int) -> str:
    """Return what a user is called, or the number."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    """Return what a group is called, or the number."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
